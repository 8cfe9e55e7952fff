"""Building, repairing and scanning the wheel of one cell."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple

from .cells import Cell

ROOT = Path(__file__).resolve().parents[2]
_NAMES = {"cp39": "python3.9", "cp311": "python3.11", "cp313": "python3.13", "pp39": "pypy3", "pp311": "pypy3"}
_ASK = (
    "import sys; print({'cpython': 'cp', 'pypy': 'pp'}[sys.implementation.name] + '%d%d' % sys.version_info[:2]);"
    "import pip, venv, ensurepip"
)


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


def interpreter(tag: str) -> Optional[str]:
    """The interpreter *tag* (``cp39``): of ``BASELINE_BUILD_TEST_PYTHONS`` (paths with colons between), or on PATH."""
    named = os.environ.get("BASELINE_BUILD_TEST_PYTHONS", "").split(os.pathsep)
    for candidate in (*filter(None, named), _NAMES[tag], "python3"):
        path = shutil.which(candidate)
        if path and _tag_of(path) == tag:
            return path
    return None


def _tag_of(path: str) -> str:
    done = subprocess.run([path, "-c", _ASK], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def environment(more: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
    """The variables of a build: zig where it is installed, so that it is not fetched for every cell."""
    variables = {key: value for key, value in os.environ.items() if key not in {"CC", "CXX", "CFLAGS", "CXXFLAGS"}}
    package = importlib.util.find_spec("ziglang")
    places = list(package.submodule_search_locations or ()) if package else []
    folders = [str(Path(sys.executable).parent), variables.get("PATH", os.defpath), *places]
    variables["PATH"] = os.pathsep.join(folders)
    variables.update(more or {})
    return variables


def build(cell: Cell, python: str, out: Path, more: Optional[Mapping[str, str]] = None) -> Built:
    """``pip wheel`` of the example project for *cell* with the interpreter *python*. Raises RefusedError."""
    settings = [part for key, value in cell.row.settings.items() for part in ("--config-settings", f"{key}={value}")]
    command = [python, "-m", "pip", "-v", "wheel", str(ROOT), "--no-deps", "-w", str(out), *settings]
    begin = time.monotonic()
    done = subprocess.run(
        command, env=environment(more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    seconds = time.monotonic() - begin
    (out.parent / f"{out.name}.log").write_text(done.stdout, encoding="utf-8")
    wheels = sorted(out.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise RefusedError(_telling(done.stdout))
    return Built(wheels[0], seconds, "found in the cache" not in done.stdout, done.stdout)


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
