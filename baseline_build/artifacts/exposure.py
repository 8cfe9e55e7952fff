"""The native files an editable install runs: members of its wheel, and files in the project's own folders."""

from __future__ import annotations

import os
from dataclasses import replace
from fnmatch import fnmatchcase
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Iterator, Tuple

from ..config.model import Settings
from ..scan.model import Report
from ..scan.options import ScanOptions
from ..toolchain import CompileLog
from .reporter import Reporter
from .verifying import error_of, fails, scan_options

_HEAD = 18  # bytes: ELF's e_type stands at 16 (System V ABI, "ELF Header")
_LINKED = ((2).to_bytes(2, "little"), (3).to_bytes(2, "little"), (2).to_bytes(2, "big"), (3).to_bytes(2, "big"))


def exposed_files(project_dir: Path, since: int) -> Tuple[Path, ...]:
    """Programs and shared objects below *project_dir* that this build wrote or that lie in a package, and all extension
    modules.

    An extension module that an earlier build has left is what an import finds, if this one took it for up to date; what
    lies in a package is run from there, whoever put it there. Hidden folders and virtual environments are not the
    project's.

    :param since: when the build began, nanoseconds of the file system's clock.
    """
    return tuple(sorted(path for path in _files(project_dir) if _counts(path, since, project_dir)))


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
        ]
        yield from (Path(place, name) for name in names)


def _counts(path: Path, since: int, project_dir: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if not head.startswith(b"\x7fELF") or head[16:18] not in _LINKED:
        return False
    if path.stat().st_mtime_ns >= since or path.name.endswith(tuple(EXTENSION_SUFFIXES)):
        return True
    folders = path.relative_to(project_dir).parents
    return any(Path(project_dir, folder, "__init__.py").is_file() for folder in folders)


def verify_editable(
    wheel: Path, project_dir: Path, since: int, settings: Settings, reporter: Reporter, log: CompileLog
) -> Report:
    """Scan what an editable install of *wheel* would run.

    :raises ViolationError: code above the promise runs without a test, or is above it at all with ``strict``.
    :raises UnprovenError: code above the promise could not be proven guarded, or bytes could not be judged.
    """
    from ..scan import scan_path

    files = exposed_files(project_dir, since)
    report = scan_path([wheel, *files], _options(settings, files))
    for one in report.inputs:
        reporter.detail(f"{one.path}: {one.verdict.value}")
    if fails(report, settings):
        raise error_of(report, settings, wheel.name, log)
    return report


def _options(settings: Settings, files: Tuple[Path, ...]) -> ScanOptions:
    """The scan's options; waivers are written for members of a wheel, here the file's name alone can match."""
    options = scan_options(settings)
    widened = [replace(waiver, file="*" + waiver.file.rsplit("/", 1)[-1]) for waiver in options.waivers]
    met = tuple(one for one in widened if any(fnmatchcase(path.name, one.file) for path in files))
    return replace(options, waivers=met)
