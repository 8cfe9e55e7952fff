"""Building, repairing and scanning the wheel of one cell."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple

from tests.checkout import copy_checkout
from tests.cibuildwheel.copies import extension_alone

from .cells import Cell

ROOT = Path(__file__).resolve().parents[2]


class RefusedError(Exception):
    """A step of a cell that said no; the text is its first line."""


@dataclass(frozen=True)
class Built:
    """A wheel fresh from ``pip wheel``.

    :param compiled: whether the program was compiled for it, not taken from the cache.
    :param log: all that was said.
    """

    wheel: Path
    seconds: float
    compiled: bool
    log: str


@dataclass(frozen=True)
class Interpreter:
    """A Python and how it is called.

    :param path: of the program, in *root* where that is given.
    :param enter: the words before it.
    :param root: the folder that is its root, ``None`` for this machine's own.
    """

    path: str
    enter: Tuple[str, ...] = ()
    root: Optional[Path] = None

    def tried(self, *words: str, folder: Optional[Path] = None) -> subprocess.CompletedProcess[str]:
        """What came of a call with *words*, in *folder*."""
        command = [*self.enter, self.path, *words]
        return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)

    def call(self, *words: str) -> None:
        """Call it with *words*. Raises RefusedError where it fails."""
        done = self.tried(*words)
        if done.returncode:
            raise RefusedError(_telling(done.stdout + done.stderr))


def environment(more: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
    """The variables of a build: zig where it is installed, so that it is not fetched for every cell."""
    variables = {key: value for key, value in os.environ.items() if key not in {"CC", "CXX", "CFLAGS", "CXXFLAGS"}}
    package = importlib.util.find_spec("ziglang")
    places = list(package.submodule_search_locations or ()) if package else []
    folders = [str(Path(sys.executable).parent), variables.get("PATH", os.defpath), *places]
    variables["PATH"] = os.pathsep.join(folders)
    variables.update(more or {})
    return variables


def build(cell: Cell, python: Interpreter, out: Path, more: Optional[Mapping[str, str]] = None) -> Built:
    """``pip wheel`` of the example project for *cell* with the interpreter *python*. Raises RefusedError."""
    project, more = _partial(out.parent, more) if cell.row.partial else (ROOT, more)
    settings = [part for key, value in cell.row.settings.items() for part in ("--config-settings", f"{key}={value}")]
    command = [
        *python.enter,
        python.path,
        "-m",
        "pip",
        "-v",
        "wheel",
        str(project),
        "--no-deps",
        "-w",
        str(out),
        *settings,
    ]
    begin = time.monotonic()
    done = subprocess.run(
        command, env=environment(more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    seconds = time.monotonic() - begin
    (out.parent / f"{out.name}.log").write_text(done.stdout, encoding="utf-8")
    wheels = sorted(out.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise RefusedError(_telling(done.stdout))
    compiled = not cell.row.partial and "found in the cache" not in done.stdout
    return Built(wheels[0], seconds, compiled, done.stdout)


def _partial(folder: Path, more: Optional[Mapping[str, str]]) -> Tuple[Path, Dict[str, str]]:
    """The example project without its program in C++, and the variables that build it with Debian's ``musl-gcc``.

    Debian calls musl ``libc.so``, the musllinux policies (PEP 656) ``libc.musl-MACHINE.so.1``: a library of that name
    without contents is linked in its place. musl's loader takes itself for both.
    """
    project = copy_checkout(folder / "project")
    extension_alone(project)
    (folder / "stand-in").mkdir()
    (folder / "stand-in" / "empty.c").touch()
    command = ["musl-gcc", "-shared", "-nostdlib", "-Wl,-soname,libc.musl-x86_64.so.1", "empty.c", "-o", "libc.so"]
    subprocess.run(command, cwd=folder / "stand-in", check=True)
    return project, {**(more or {}), "CC": "musl-gcc", "CXX": "false", "LDFLAGS": f"-L{folder / 'stand-in'}"}


def repair(wheel: Path, out: Path) -> Path:
    """What ``baseline-build repair`` makes of *wheel*. Raises RefusedError."""
    status, text = tool("repair", str(wheel), "-w", str(out))
    if status:
        raise RefusedError(_telling(text))
    (repaired,) = out.glob("*.whl")
    return repaired


def verdict(wheel: Path) -> str:
    """The verdict of a scan of *wheel* in strict mode."""
    _, text = tool("scan", "--strict", "--format", "json", str(wheel))
    return str(json.loads(text)["verdict"])


def tool(*arguments: str, environ: Optional[Mapping[str, str]] = None) -> Tuple[int, str]:
    """Status and output of this project's command line."""
    # Found by the working folder, not by PYTHONPATH: a command it runs must not find the source tree.
    command = [sys.executable, "-m", "baseline_build", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(environ), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout if arguments[0] == "scan" else done.stdout + done.stderr


def _telling(output: str) -> str:
    """The line of *output* that has one of our codes; the last one where none has."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["nothing was said"]
    return next((line for line in lines if line.startswith("BB") or ": BB" in line), lines[-1])
