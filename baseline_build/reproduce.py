"""Build a project twice under different circumstances and say which bytes differ, and why.

What differs between the two builds on purpose: the folder (and the length of its name), the times of all files, the
order in which folders list their files as far as copying can change it, the umask, the time zone, the locale and the
hash seed. See https://reproducible-builds.org/docs/ for what leaks how.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .errors import ToolError

_LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".hg",
    "dist",
    "wheelhouse",
    "build",
    "*.egg-info",
    "__pycache__",
    ".venv*",
    "venv",
    ".tox",
    ".nox",
    ".*_cache",
)
_HOUR = 3600
_END_OF_BACKEND = "[end of output]"


@dataclass(frozen=True)
class Difference:
    """A member of an archive that is not the same in both builds.

    :param archive: the file it is in.
    :param member: its name; empty for the archive as a whole.
    :param why: what differs, and where it can be told, what leaked in.
    """

    archive: str
    member: str
    why: str


@dataclass(frozen=True)
class Circumstances:
    """What one of the two builds runs under.

    :param age: seconds by which the files are made older. Files of the future would not do: ninja, for one, builds its
        own files anew as long as they are older than what they are made of.
    """

    folder: str
    umask: int
    environ: Tuple[Tuple[str, str], ...]
    age: int


FIRST = Circumstances("a", 0o022, (("TZ", "UTC"), ("LC_ALL", "C.UTF-8"), ("PYTHONHASHSEED", "1")), _HOUR)
SECOND = Circumstances(
    "another-folder-with-a-longer-name",
    0o077,
    (("TZ", "Asia/Kathmandu"), ("LC_ALL", "C"), ("PYTHONHASHSEED", "2")),
    0,
)


def build_twice(
    project: Path,
    scratch: Path,
    *,
    arguments: Sequence[str] = (),
    sdist: bool = True,
    report: Callable[[str], object] = lambda _: None,
) -> Tuple[Tuple[Path, ...], Tuple[Difference, ...]]:
    """Build *project* twice in copies below *scratch*; the archives of the first build, and all differences.

    :param arguments: handed to ``pip wheel``, for instance ``--no-build-isolation``.
    :param sdist: compare source distributions as well.
    :param report: gets one line for each step.
    :raises ToolError: BB551, a build failed.
    """
    made = []
    for circumstances in (FIRST, SECOND):
        report(f"building in {circumstances.folder}")
        made.append(_build(project, scratch / circumstances.folder, circumstances, arguments, sdist=sdist))
    first, second = ({path.name: path for path in paths} for paths in made)
    found: List[Difference] = []
    for name in sorted({*first, *second}):
        if name not in first or name not in second:
            found.append(Difference(name, "", "only one of the two builds made a file of this name"))
        else:
            found.extend(compare(first[name], second[name], scratch))
    return tuple(first.values()), tuple(found)


def build_once(
    project: Path, scratch: Path, *, arguments: Sequence[str] = (), report: Callable[[str], object] = lambda _: None
) -> Tuple[Path, ...]:
    """Build the wheel of *project* in a copy below *scratch*. Raises ToolError BB551."""
    report(f"building in {FIRST.folder}")
    return _build(project, scratch / FIRST.folder, FIRST, arguments, sdist=False)


def _build(
    project: Path, folder: Path, under: Circumstances, arguments: Sequence[str], *, sdist: bool
) -> Tuple[Path, ...]:
    copy, out = folder / "project", folder / "out"
    shutil.copytree(project, copy, symlinks=True, ignore=_LEFT_OUT)
    for top, _, names in os.walk(copy):
        for name in names:
            path = os.path.join(top, name)
            if not os.path.islink(path):
                moment = os.stat(path).st_mtime - under.age
                os.utime(path, (moment, moment))
    # A program taken from the cache of the first build would hide what differs.
    environ = {**os.environ, **dict(under.environ), "BASELINE_BUILD_CACHE": "off"}
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"]
    _call([*pip, *arguments, "-w", str(out), "."], copy, environ, under.umask)
    if sdist:
        _call([sys.executable, "-c", _SDIST, str(out)], copy, environ, under.umask)
    return tuple(sorted(path for path in out.iterdir() if path.name.endswith((".whl", ".tar.gz"))))


_SDIST = """
import importlib, os, sys
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib
with open("pyproject.toml", "rb") as stream:
    system = tomllib.load(stream).get("build-system", {})
sys.path[:0] = [os.path.abspath(path) for path in system.get("backend-path", [])]
module, _, attribute = system.get("build-backend", "setuptools.build_meta:__legacy__").partition(":")
backend = importlib.import_module(module)
for name in filter(None, attribute.split(".")):
    backend = getattr(backend, name)
os.makedirs(sys.argv[1], exist_ok=True)
backend.build_sdist(sys.argv[1])
"""
"""PEP 517 in a few lines: pip has no command for source distributions."""


def _call(command: Sequence[str], folder: Path, environ: Mapping[str, str], umask: int) -> None:
    done = subprocess.run(
        ["sh", "-c", f'umask {umask:04o}; exec "$@"', "sh", *command],
        cwd=folder,
        env=dict(environ),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        what = "the source distribution" if command[1] == "-c" else "the wheel"
        raise ToolError(
            "BB551",
            f"{what} could not be built",
            where=str(folder),
            why="\n       ".join(_last_words(done.stderr or done.stdout)) or None,
            fix="build it by itself first: pip wheel . --no-deps",
        )


def _last_words(said: str) -> List[str]:
    """The end of what a build said: pip frames the backend's own words and adds only that they are not its own."""
    words = [line.strip() for line in said.splitlines() if line.strip()]
    if _END_OF_BACKEND in words:
        words = words[: words.index(_END_OF_BACKEND)]
    return words[-5:]


@dataclass(frozen=True)
class _Entry:
    data: bytes
    facts: Tuple[Tuple[str, object], ...]


def compare(first: Path, second: Path, scratch: Optional[Path] = None) -> Tuple[Difference, ...]:
    """What differs between two archives (wheels or ``.tar.gz``), member by member; nothing when the bytes are the same.

    :param scratch: folder both builds happened in: its name in a member's bytes is told as the reason.
    """
    if first.read_bytes() == second.read_bytes():
        return ()
    read = _read_wheel if first.suffix == ".whl" else _read_tar
    one, other = read(first), read(second)
    found: List[Difference] = []
    for name in sorted({*one, *other}):
        if name not in one or name not in other:
            found.append(Difference(first.name, name, "only one of the two builds has it"))
            continue
        reasons = [
            f"{label} is {before} in one and {after} in the other"
            for (label, before), (_, after) in zip(one[name].facts, other[name].facts)
            if before != after
        ]
        if one[name].data != other[name].data:
            reasons.append(_reason(one[name].data, other[name].data, scratch))
        if reasons:
            found.append(Difference(first.name, name, "; ".join(reasons)))
    if not found:
        same = list(one) == list(other)
        why = "the archive's own bytes differ (compression, header)" if same else "the members stand in another order"
        found.append(Difference(first.name, "", why))
    return tuple(found)


def _reason(first: bytes, second: bytes, scratch: Optional[Path]) -> str:
    where = next((i for i, (a, b) in enumerate(zip(first, second)) if a != b), min(len(first), len(second)))
    text = f"contents differ from byte {where:#x} on"
    if len(first) != len(second):
        text += f" ({len(first):,} and {len(second):,} bytes)"
    if scratch is not None:
        for under, data in ((FIRST, first), (SECOND, second)):
            path = os.fsencode(str(scratch / under.folder))
            if path in data:
                text += f": the build folder {os.fsdecode(path)} is in it"
                break
    if first[:4] == b"\x7fELF" and b".note.gnu.build-id" in first and len(first) == len(second):
        text += "; if only 20 bytes differ it is the linker's build id of other differences"
    return text


def _read_wheel(path: Path) -> Dict[str, _Entry]:
    with zipfile.ZipFile(path) as archive:
        return {
            info.filename: _Entry(
                archive.read(info), (("time", info.date_time), ("mode", oct(info.external_attr >> 16)))
            )
            for info in archive.infolist()
        }


def _read_tar(path: Path) -> Dict[str, _Entry]:
    entries: Dict[str, _Entry] = {}
    with tarfile.open(path, "r:gz") as archive:
        for info in archive:
            stream = archive.extractfile(info) if info.isfile() else None
            facts = (("time", info.mtime), ("mode", oct(info.mode)), ("owner", f"{info.uname}:{info.gname}"))
            entries[info.name] = _Entry(stream.read() if stream else b"", facts)
    return entries
