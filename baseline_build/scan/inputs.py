"""What can be scanned: wheels and other zip archives, ELF files, static archives, folders, installed distributions."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import closing
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Callable, Dict, FrozenSet, Iterable, Iterator, List, NoReturn, Optional, Sequence, Union

from .. import elf
from ..elf import archive
from ..errors import BrokenInputError, ConfigError
from ..wheel import WheelFile, names, open_wheel, record
from . import asking, imports, nested, waivers, workers
from .examination import Examined
from .model import FileReport, InputReport, Report, Verdict, gravest
from .options import ScanOptions
from .origins import origin_of

PathLike = Union[str, "os.PathLike[str]"]

_LIBRARY = re.compile(r"\.so(\.[0-9A-Za-z_.]+)?$")
DEFAULTS = ScanOptions()

# Native code of other systems: (beginning of the file, what it is).
_FOREIGN = (
    (b"MZ", "a Windows program or library"),
    (b"\xcf\xfa\xed\xfe", "a macOS program or library"),
    (b"\xce\xfa\xed\xfe", "a macOS program or library"),
    (b"\xfe\xed\xfa\xcf", "a macOS program or library"),
    (b"\xfe\xed\xfa\xce", "a macOS program or library"),
    (b"\xca\xfe\xba\xbe\x00\x00\x00", "a macOS universal file"),
    (b"BC\xc0\xde", "LLVM bitcode, compiled only when it is linked"),
    (b"\x1f\x8b", "a compressed archive, as source distributions are: build a wheel of it first"),
    (b"BZh", "a compressed archive, as source distributions are: build a wheel of it first"),
    (b"\xfd7zXZ", "a compressed archive, as source distributions are: build a wheel of it first"),
)


def scan_path(paths: Union[PathLike, Sequence[PathLike]], options: ScanOptions = DEFAULTS) -> Report:
    """Scan every one of *paths*: a wheel, another zip archive, an ELF file, a static archive or a folder.

    Raises BrokenInputError BB401 to BB443 for an input that cannot be read at all (a file of a wheel or folder that
    cannot is reported as undecided), ConfigError BB220 to BB223, BB224 for a path that is nothing of the kind.
    """
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    entries = [_scan_one(Path(path), options) for path in listed]
    return _report(entries, options)


def scan_installed(name: str, options: ScanOptions = DEFAULTS) -> Report:
    """Scan the files of the installed distribution *name* (those in its RECORD).

    Raises ConfigError BB225 when it is not installed or has no list of files.
    """
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise ConfigError(
            "BB225",
            f"{name} is not installed for this Python",
            where=name,
            fix="Check the spelling, and run the command with the environment's own Python.",
        ) from error
    if distribution.files is None:
        raise ConfigError(
            "BB225",
            f"{name} is installed without a list of its files",
            where=name,
            why="Neither RECORD nor installed-files.txt is there.",
            fix="Scan its folder instead.",
        )
    listed = sorted({(str(file), Path(str(distribution.locate_file(file)))) for file in distribution.files})
    with closing(_Found()) as found:
        for path, place in listed:
            if place.is_file():
                _take_file(found, path, place)
        found.imported = _importer(dict(listed), str(distribution.metadata["Name"]))
        title = f"{distribution.metadata['Name']} {distribution.version}"
        return _report([_examined(title, None, found, options)], options)


def _report(entries: List[InputReport], options: ScanOptions) -> Report:
    if options.waivers:
        entries = _waived(entries, options)
    return Report(gravest([entry.verdict for entry in entries]), tuple(entries))


def _waived(entries: List[InputReport], options: ScanOptions) -> List[InputReport]:
    """A waiver may be used by any of the inputs; one that none uses is an error."""
    files = waivers.apply([file for entry in entries for file in entry.files], options.waivers)
    left = iter(files)
    changed = []
    for entry in entries:
        own = tuple(next(left) for _ in entry.files)
        changed.append(replace(entry, files=own, verdict=_verdict(own)))
    return changed


def _scan_one(path: Path, options: ScanOptions) -> InputReport:
    with closing(_Found()) as found:
        return _scan_into(found, path, options)


def _scan_into(found: _Found, path: Path, options: ScanOptions) -> InputReport:
    if path.is_dir():
        _take_folder(found, path)
        return _examined(str(path), None, found, options)
    if not path.is_file():
        what = "this is neither a file nor a folder" if path.exists() else "there is no such file or folder"
        raise ConfigError("BB224", what, where=str(path), fix="Check the spelling of the path.")
    head = _head(path)
    if head.startswith(b"PK") or path.suffix in (".whl", ".zip"):
        with open_wheel(path) as wheel:
            _take_wheel(found, wheel)
        return _examined(str(path), _sha256(path), found, options)
    if not (elf.is_elf(head) or archive.is_archive(head)):
        raise BrokenInputError(
            "BB401",
            f"this is no wheel, ELF file, static archive or folder: it starts with {head[:4].hex(' ') or 'nothing'}",
            where=str(path),
            why=next((f"It is {what}." for magic, what in _FOREIGN if head.startswith(magic)), "It is something else."),
            fix="Name a wheel, an ELF file (.so, executable, .o), a static archive (.a), or a folder with such files.",
        )
    found.jobs.append(workers.Job(path.name, str(path), None, path.stat().st_size))
    return _examined(str(path), _sha256(path), found, options, single=True)


class _Found:
    """What lies in an input: files to examine, files known to be undecided, remarks, and which are always imported."""

    def __init__(self) -> None:
        self.jobs: List[workers.Job] = []
        self.reports: List[FileReport] = []
        self.notes: List[str] = []
        self.asking: Optional[str] = None
        self.imported: Callable[[bool], FrozenSet[str]] = lambda _: frozenset()
        self._search = nested.Search()

    def close(self) -> None:
        """Remove what was unpacked."""
        self._search.close()

    def read(self, name: str, text: bytes) -> None:
        """Remember who is first to ask what the CPU can do in Python: that may choose among the native modules."""
        if self.asking is None:
            self.asking = asking.asker(name, text)

    def spool(self, pieces: Iterable[bytes]) -> Path:
        """A file with *pieces*, there until :meth:`close`."""
        return self._search.copy(lambda stream: stream.writelines(pieces))

    def look_into(self, name: str, place: Path) -> None:
        """Take in the native code of the archive at *place*."""
        for inner in self._search.look(name, place):
            if inner.place is None:
                self.reports.append(_undecided(inner.name, inner.note))
            else:
                self.jobs.append(workers.Job(inner.name, str(inner.place), None, inner.place.stat().st_size))


def _take_folder(found: _Found, folder: Path) -> None:
    places = {path.relative_to(folder).as_posix(): path for path in _walk(folder)}
    for name, path in places.items():
        _take_file(found, name, path)
    found.imported = _importer(places, "")


def _importer(places: Dict[str, Path], project: str) -> Callable[[bool], FrozenSet[str]]:
    return lambda alone: imports.always_imported(places, lambda name: places[name].read_bytes(), project, alone=alone)


def _take_file(found: _Found, name: str, path: Path) -> None:
    """Sort in a file that lies on the disk."""
    size = path.stat().st_size
    head = _head(path)
    if _is_packed(found, name, head):
        found.look_into(name, path)
    else:
        _sort_in(found, name, head, workers.Job(name, str(path), None, size), "any")
    if asking.is_told(name) and size <= asking.LIMIT:
        found.read(name, path.read_bytes())


def _walk(folder: Path) -> Iterator[Path]:
    """Regular files below *folder*, sorted; links to files are followed (they are shipped), to folders not.

    Raises ``OSError`` for a folder that cannot be read: what lies in it would pass unseen.
    """

    def refused(error: OSError) -> NoReturn:
        raise error

    for top, folders, files in os.walk(folder, onerror=refused):
        folders.sort()
        for name in sorted(files):
            path = Path(top, name)
            if path.is_file():
                yield path


def _take_wheel(found: _Found, wheel: WheelFile) -> None:
    platform = "any"
    if wheel.path.suffix == ".whl":
        platform = names.parse(wheel.path.name).platform
        found.notes += [f"RECORD: {problem}" for problem in record.problems(wheel)]
    for member in wheel.members:
        job = workers.Job(member.name, str(wheel.path), member.name, member.size)
        head = wheel.head(member.name, nested.HEAD)
        if _is_packed(found, member.name, head):
            found.look_into(member.name, found.spool(wheel.chunks(member.name)))
        else:
            _sort_in(found, member.name, head, job, platform)
        if asking.is_told(member.name) and member.size <= asking.LIMIT:
            found.read(member.name, wheel.read(member.name))
    found.imported = lambda alone: _imported_of(wheel.path, alone=alone)


def _imported_of(path: Path, *, alone: bool) -> FrozenSet[str]:
    with open_wheel(path) as wheel:
        listed = [member.name for member in wheel.members if member.size <= asking.LIMIT or member.name.endswith(".so")]
        return imports.always_imported(listed, wheel.read, path.name.partition("-")[0], alone=alone)


def _sort_in(found: _Found, name: str, head: bytes, job: workers.Job, platform: str) -> None:
    """Put the file where it belongs by its first bytes; a name that promises native code must be kept."""
    if nested.native_head(head):
        found.jobs.append(job)
        return
    foreign = next((what for magic, what in _FOREIGN if head.startswith(magic)), None)
    if foreign and not _of_other_system(foreign, platform):
        found.reports.append(_undecided(name, f"BB133: this is {foreign}; only ELF files can be judged"))
    elif foreign is None and job.size and _LIBRARY.search(name):
        start = head[:4].hex(" ")
        found.reports.append(_undecided(name, f"BB401: called a library, yet no ELF file (it starts with {start})"))


def _is_packed(found: _Found, name: str, head: bytes) -> bool:
    """Whether the file is an archive that can be looked into; one that cannot is remarked."""
    kind = None if nested.native_head(head) else nested.packed(name, head)
    if kind == "zstd":
        found.notes.append(f"{name} is packed by zstd; what it holds was not looked at")
    return kind not in (None, "zstd")


def _of_other_system(foreign: str, platform: str) -> bool:
    """Whether a file of another system can never be loaded where a wheel of *platform* is installed."""
    return "linux" in platform and "bitcode" not in foreign


def _undecided(path: str, note: str) -> FileReport:
    return FileReport(path, "other", Verdict.UNDECIDED, None, None, None, 0, 0, {}, notes=(note,))


def _examined(
    title: str, digest: Optional[str], found: _Found, options: ScanOptions, *, single: bool = False
) -> InputReport:
    outcomes = workers.run(found.jobs, options)
    examined: List[Examined] = [one for outcome in outcomes for one in outcome]
    if single:
        _refuse_unreadable(title, examined[0].alone, found.jobs[0].path)
    asked = found.asking is not None or any(one.detects for one in examined)
    if found.asking is not None and not any(one.detects for one in examined):
        found.notes.append(
            f"{found.asking} seems to ask what the CPU can do; it may choose among the native modules, "
            "so that the lack of a test inside of them proves nothing"
        )
    brought = _brought(found, examined) if asked and any(one.imported for one in examined) else frozenset()
    files = [_final(one, asked, one.alone.path in brought) for one in examined]
    everything = sorted([*files, *found.reports], key=lambda file: file.path)
    return InputReport(title, digest, _verdict(everything), tuple(everything), tuple(found.notes))


def _refuse_unreadable(title: str, file: FileReport, name: str) -> None:
    """A file that was named by itself and cannot be read is an error, not a report."""
    if file.path != name or not (file.notes and file.notes[0].startswith("BB4")):
        return
    code, _, what = file.notes[0].partition(": ")
    raise BrokenInputError(
        code,
        what,
        where=title,
        why="The file is truncated, damaged, or was made to mislead its readers.",
        fix="Build or download the file again.",
    )


def _brought(found: _Found, examined: Sequence[Examined]) -> FrozenSet[str]:
    """Names of the extension modules that are imported whatever the CPU is.

    A module that asks by itself, or under Python code that asks, may refuse to be imported and have a stand-in: there
    only imports count that nothing catches.
    """
    alone = found.imported(True)
    if found.asking is not None:
        return alone
    return alone | (found.imported(False) - {one.alone.path for one in examined if one.detects})


def _final(one: Examined, asked: bool, imported: bool) -> FileReport:
    chosen = one.alone
    if asked:
        chosen = (one.imported if imported else None) or one.together or one.alone
    return replace(chosen, origin=origin_of(chosen.path, one.soname))


def _verdict(files: Iterable[FileReport]) -> Verdict:
    return gravest([file.verdict for file in files])


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(nested.HEAD)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()
