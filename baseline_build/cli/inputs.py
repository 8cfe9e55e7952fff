"""What the user names on the command line -> files that exist: paths, patterns, folders of wheels, stdin, the index."""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Iterator, List, Optional, Sequence

from ..errors import ConfigError, ToolError
from ..scan.nested import native_head

_WILD = "*?["
_VERSIONED = re.compile(r"^[A-Za-z0-9][\w.-]*(\[[\w,.\s-]*\])?\s*(===|==|~=|!=|<=|>=|<|>)")
_BARE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_HEAD = 4


@dataclass(frozen=True)
class Named:
    """Something to scan.

    :param path: where it lies.
    :param title: what to call it in the report: what the user wrote, where *path* is a file of ours.
    """

    path: Path
    title: Optional[str] = None


def expand(names: Sequence[str]) -> List[Path]:
    """Existing paths for *names*; patterns that no shell expanded (``'dist/*.whl'``) are expanded here, sorted.

    A folder with wheels at its top stands for these wheels.

    :raises ConfigError: BB252, nothing matches a pattern, a path does not exist or is neither file nor folder, or a
        folder is empty.
    """
    paths: List[Path] = []
    for name in names:
        path = Path(name)
        if name and path.is_dir():
            paths.extend(sorted(path.glob("*.whl")) or [_filled(path)])
        elif name and path.exists():
            if not path.is_file():
                raise ConfigError(
                    "BB252",
                    "this is neither a file nor a folder",
                    where=name,
                    fix="pass what comes out of a pipe through stdin: baseline-build scan - < FILE",
                )
            paths.append(path)
        elif any(mark in name for mark in _WILD):
            found = sorted(glob.glob(name, recursive=True))
            if not found:
                raise ConfigError(
                    "BB252", "no file matches this pattern", where=name, fix="check the folder and the spelling"
                )
            paths.extend(Path(one) for one in found)
        else:
            raise _missing(name)
    return paths


def _filled(folder: Path) -> Path:
    """*folder*, which has something in it. Raises ConfigError BB252: nothing to look at must not pass for clean."""
    if next(folder.iterdir(), None) is None:
        raise ConfigError(
            "BB252", "the folder is empty", where=str(folder), fix="check that the build wrote its wheel there"
        )
    return folder


def _missing(name: str) -> ConfigError:
    """What to say of *name*, which is no path."""
    what, fix = "there is no such file or folder", "check the spelling of the path"
    if not name:
        what, fix = "an argument is empty", "check the variable that it comes from"
    elif os.path.islink(name):
        what, fix = "this symbolic link leads nowhere", "name the file itself, or make the link anew"
    elif "://" in name:
        fix = "download it first; nothing is fetched but a requirement with a version: NAME==VERSION"
    elif _BARE.fullmatch(name):
        fix = (
            f"check the spelling; write {name}==VERSION for a package of the index, --installed {name} for what is here"
        )
    return ConfigError("BB252", what, where=name or None, fix=fix)


@contextmanager
def gathered(names: Sequence[str], platform: Optional[str] = None) -> Iterator[List[Named]]:
    """What *names* stand for; what had to be copied or fetched is gone when the block ends.

    ``-`` is one wheel or ELF file on stdin. A name that is no path and has a version (``numpy==2.4.6``) is fetched
    from the package index, with pip and its configuration.

    :param platform: fetch for this platform tag (``manylinux_2_28_aarch64``) and not for this machine.
    :raises ConfigError: BB252, BB253.
    :raises ToolError: BB255, the index does not give it; BB256, there is no pip.
    """
    with ExitStack() as stack:
        found: List[Named] = []
        for name in names:
            if name == "-":
                folder = Path(stack.enter_context(TemporaryDirectory(prefix="baseline-build-")))
                found.append(Named(_from_stdin(folder), "-"))
            elif not os.path.lexists(name) and _VERSIONED.match(name):
                folder = Path(stack.enter_context(TemporaryDirectory(prefix="baseline-build-")))
                wheel = _from_index(name, folder, platform)
                found.append(Named(wheel, wheel.name))
            else:
                paths = expand([name])
                found.extend(Named(path) for path in [*paths, *_loose(Path(name), paths)])
        yield found


def _loose(folder: Path, wheels: Sequence[Path]) -> List[Path]:
    """ELF files and static archives in *folder* beside the *wheels* that stand for it: none of them may be lost."""
    if not folder.is_dir() or folder in wheels:
        return []
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_file():
            with path.open("rb") as stream:
                if native_head(stream.read(8)):
                    found.append(path)
    return found


def _from_stdin(folder: Path) -> Path:
    head = sys.stdin.buffer.read(_HEAD)
    if not head:
        raise ConfigError("BB252", "nothing came through stdin", where="-", fix="write: baseline-build scan - < FILE")
    # A wheel's own name does not come through a pipe; the archive is scanned without what the name would tell.
    path = folder / ("stdin.zip" if head.startswith(b"PK") else "stdin")
    with path.open("wb") as stream:
        stream.write(head)
        shutil.copyfileobj(sys.stdin.buffer, stream)
    return path


def _from_index(requirement: str, folder: Path, platform: Optional[str]) -> Path:
    if importlib.util.find_spec("pip") is not None:
        call = [sys.executable, "-m", "pip"]
    elif shutil.which("pip"):
        call = ["pip"]
    else:
        raise ToolError(
            "BB256",
            "pip is not installed, and it is what fetches wheels",
            where=requirement,
            fix="install pip, or fetch the wheel yourself and name the file",
        )
    line = [*call, "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "-d", str(folder)]
    line += ["--platform", platform] if platform else []
    done = subprocess.run([*line, "--", requirement], capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        words = [text.strip() for text in done.stderr.splitlines() if text.startswith("ERROR:")]
        raise ToolError(
            "BB255",
            "the package index did not give a wheel for it",
            where=requirement,
            why=words[-1][len("ERROR:") :].strip() if words else f"pip ended with status {done.returncode}",
            fix="check name and version; --platform asks for another machine's wheel",
        )
    return wheels[0]
