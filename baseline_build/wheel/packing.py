"""Packing wheels so that the same files give the same bytes.

Order, times, permissions and the archive's own fields depend on nothing but names and contents: files sorted by name,
``*.dist-info`` last as PEP 427 recommends and RECORD at its very end; times from SOURCE_DATE_EPOCH
(reproducible-builds.org, "SOURCE_DATE_EPOCH specification") or 1980-01-01; modes 0644, or 0755 where the owner may
execute.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import time
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from ..errors import BrokenInputError, ConfigError
from . import names, record
from .archive import Limits, WheelFile, open_wheel

EARLIEST = 315532800  # 1980-01-01, the first time a zip archive can hold
_LATEST = 4354819199  # 2107-12-31, the last one
Stamp = Tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class Content:
    """A file to pack.

    :param chunks: gives its bytes piece by piece.
    :param size: bytes, as far as known; from 2 GiB on it must be, for the archive's format depends on it.
    """

    name: str
    executable: bool
    chunks: Callable[[], Iterable[bytes]]
    size: int = 0


def timestamp(environ: Mapping[str, str]) -> Stamp:
    """The time all files get. Raises ConfigError BB221 for a SOURCE_DATE_EPOCH no zip archive can hold."""
    text = environ.get("SOURCE_DATE_EPOCH")
    if text is None:
        return (1980, 1, 1, 0, 0, 0)
    if not (text.isascii() and text.isdigit()) or int(text) > _LATEST:
        raise ConfigError(
            "BB221",
            f"SOURCE_DATE_EPOCH is {text!r}",
            where="SOURCE_DATE_EPOCH",
            why="It is the number of seconds since 1970 that all files of the wheel get as their time.",
            fix="Unset it, or set it to a whole number, for instance `git log -1 --format=%ct`.",
        )
    moment = time.gmtime(max(int(text), EARLIEST))
    return (moment.tm_year, moment.tm_mon, moment.tm_mday, moment.tm_hour, moment.tm_min, moment.tm_sec)


def write(contents: Iterable[Content], target: Path, environ: Mapping[str, str]) -> None:
    """Write a wheel of *contents* (RECORD is made anew, signatures are left out) to *target*, all or nothing.

    Raises ConfigError BB221, BrokenInputError BB440.
    """
    stamp = timestamp(environ)
    by_name = {content.name: content for content in contents}
    folder = record.dist_info_of(by_name, target.name)
    made_anew = {f"{folder}/{name}" for name in ("RECORD", *record.SIGNATURES)}
    ordered = sorted((n for n in by_name if n not in made_anew), key=lambda n: (n.startswith(folder + "/"), n))
    handle, scratch = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w+b") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            entries = [_write(archive, by_name[name], stamp) for name in ordered]
            text = record.render(entries, f"{folder}/RECORD").encode("utf-8")
            _write(archive, Content(f"{folder}/RECORD", False, lambda: (text,)), stamp)
        os.chmod(scratch, 0o644)
        os.replace(scratch, target)
    except BaseException:
        os.unlink(scratch)
        raise


def pack(folder: Path, target: Path, *, epoch: Optional[int] = None) -> None:
    """Pack the unpacked wheel *folder* as *target*, all or nothing; the executable bits on the disk are kept.

    :param epoch: seconds since 1970 all files get as their time; ``None``: SOURCE_DATE_EPOCH of ``os.environ``.

    Raises ConfigError BB221, BrokenInputError BB436 (a link in the folder), BB440, BB443.
    """
    names.parse(target.name)
    write(_from_folder(folder), target, os.environ if epoch is None else {"SOURCE_DATE_EPOCH": str(epoch)})


def _write(archive: zipfile.ZipFile, content: Content, stamp: Stamp) -> record.Entry:
    info = zipfile.ZipInfo(content.name, stamp)
    info.create_system = 3
    info.compress_type = zipfile.ZIP_DEFLATED
    info.file_size = content.size
    info.external_attr = (stat.S_IFREG | (0o755 if content.executable else 0o644)) << 16
    digest = hashlib.sha256()
    size = 0
    with archive.open(info, "w") as stream:
        for piece in content.chunks():
            digest.update(piece)
            size += len(piece)
            stream.write(piece)
    return record.Entry(content.name, f"sha256={record.encoded(digest.digest())}", size)


def repack(
    source: Union[str, os.PathLike[str]],
    target: Union[str, os.PathLike[str]],
    *,
    replace: Optional[Mapping[str, bytes]] = None,
    remove: Iterable[str] = (),
    platform: Optional[str] = None,
    environ: Optional[Mapping[str, str]] = None,
    verified: bool = True,
) -> Path:
    """Pack the wheel or unpacked wheel folder *source* anew and return where the new wheel lies.

    :param target: the new wheel, or an existing folder for it. It may be *source* itself.
    :param replace: name -> new bytes, of members that are there or new; an old one keeps its executable bit.
    :param remove: members to leave out.
    :param platform: another platform tag, for the file name and WHEEL.
    :param environ: where SOURCE_DATE_EPOCH is looked up; ``os.environ`` by default.
    :param verified: whether RECORD of a packed *source* must agree with its files (BB442).

    Raises ConfigError BB221, BrokenInputError BB430 to BB443.
    """
    origin, place = Path(source), Path(target)
    with ExitStack() as stack:
        if origin.is_dir():
            contents = {content.name: content for content in _from_folder(origin)}
            if place.is_dir():
                raise ValueError("a folder does not tell the wheel's file name: give the whole target path")
        else:
            wheel = stack.enter_context(open_wheel(origin, Limits()))
            if verified:
                record.verify(wheel)
            contents = {content.name: content for content in _from_wheel(wheel)}
        for gone in remove:
            contents.pop(gone, None)
        for member, data in (replace or {}).items():
            executable = member in contents and contents[member].executable
            contents[member] = Content(member, executable, _constant(data))
        name = names.parse(origin.name if place.is_dir() else place.name)
        if platform is not None:
            name = names.retagged(name, platform=platform)
            _retag(contents, name, place.name)
        final = (place if place.is_dir() else place.parent) / str(name)
        write(contents.values(), final, os.environ if environ is None else environ)
    return final


def _constant(data: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: (data,)


def _retag(contents: Dict[str, Content], name: names.WheelName, where: str) -> None:
    path = f"{record.dist_info_of(contents, where)}/WHEEL"
    if path not in contents:
        raise BrokenInputError(
            "BB440", f"{path} is missing", where=where, why="It lists the wheel's tags (PEP 427).",
            fix="Build the wheel again with a PEP 517 backend.",
        )  # fmt: skip
    text = b"".join(contents[path].chunks()).decode("utf-8")
    contents[path] = Content(path, False, _constant(names.wheel_metadata(text, name.tags).encode("utf-8")))


def _from_wheel(wheel: WheelFile) -> Iterator[Content]:
    for member in wheel.members:
        yield Content(member.name, member.executable, _reader(wheel, member.name), member.size)


def _reader(wheel: WheelFile, name: str) -> Callable[[], Iterable[bytes]]:
    return lambda: wheel.chunks(name)


def _from_folder(folder: Path) -> Iterator[Content]:
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        facts = path.stat()
        yield Content(name, bool(facts.st_mode & stat.S_IXUSR), _file_reader(path), facts.st_size)


def _files(folder: Path) -> List[Path]:
    found: List[Path] = []
    for top, folders, files in os.walk(folder):
        for name in sorted(folders) + sorted(files):
            path = Path(top, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise BrokenInputError(
                    "BB436",
                    "this is a link, a device or a pipe",
                    where=str(path.relative_to(folder)),
                    why="Wheels hold files only (PEP 427).",
                    fix="Put a copy of the file in its place.",
                )
            if path.is_file():
                found.append(path)
    return sorted(found)


def _file_reader(path: Path) -> Callable[[], Iterable[bytes]]:
    def read() -> Iterator[bytes]:
        with path.open("rb") as stream:
            while True:
                piece = stream.read(1 << 20)
                if not piece:
                    return
                yield piece

    return read
