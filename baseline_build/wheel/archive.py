"""Wheels from strangers, read within limits.

A wheel is refused before anything of it is used when its archive is damaged, could overwrite files outside of its
folder, would fill the disk, or says different things to different readers. Sources: PEP 427, PEP 491; "ZIP File Format
Specification" (APPNOTE.TXT) sections 4.3 and 4.4.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Callable, Dict, Iterator, List, Optional, Tuple, TypeVar, Union

from ..errors import BrokenInputError

_Result = TypeVar("_Result")

_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate"}
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_DRIVE = re.compile(r"[A-Za-z]:")
_IN_MEMORY = 16 << 20  # bytes; larger members are spooled to a temporary file and mapped


@dataclass(frozen=True)
class Limits:
    """What is still read.

    :param members: files in the archive; the largest wheels on the index have about 30,000.
    :param member_size: bytes of one file, uncompressed.
    :param total_size: bytes of all files, uncompressed.
    :param ratio: uncompressed to compressed size of a file above ``ratio_floor`` bytes; deflate cannot exceed 1032.
    :param name_length: characters of a name.
    """

    members: int = 200_000
    member_size: int = 4 << 30
    total_size: int = 16 << 30
    ratio: int = 300
    ratio_floor: int = 16 << 20
    name_length: int = 1024


@dataclass(frozen=True)
class Member:
    """A file in a wheel; ``executable`` is the owner's executable bit."""

    name: str
    size: int
    compressed: int
    executable: bool


def _refuse(code: str, what: str, where: str, why: str, fix: str = "") -> BrokenInputError:
    return BrokenInputError(code, what, where=where, why=why, fix=fix or "Build or download the wheel again.")


class WheelFile:
    """An open wheel; made by :func:`open_wheel`.

    :param members: its files in the archive's order, folders left out.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, members: Tuple[Member, ...]) -> None:
        self.path = path
        self.members = members
        self._archive = archive
        self._infos: Dict[str, zipfile.ZipInfo] = {info.filename: info for info in archive.infolist()}
        self._sizes = {member.name: member.size for member in members}

    def __contains__(self, name: str) -> bool:
        return name in self._sizes

    def read(self, name: str) -> bytes:
        """All bytes of the member *name*. Raises BrokenInputError BB430, ``KeyError``."""
        return b"".join(self.chunks(name))

    def head(self, name: str, size: int) -> bytes:
        """The first *size* bytes of the member *name*, fewer when it is shorter. Raises BrokenInputError BB430."""
        with self._open(name) as stream:
            return self._damaged(name, lambda: stream.read(size))

    def chunks(self, name: str, size: int = 1 << 20) -> Iterator[bytes]:
        """The bytes of the member *name* piece by piece; never more than the archive's index claims."""
        left = self._sizes[name]
        with self._open(name) as stream:
            while True:
                piece = self._damaged(name, lambda: stream.read(size))
                if not piece:
                    break
                left -= len(piece)
                if left < 0:
                    raise _refuse("BB430", "the file is longer than the index says", self._where(name), _DAMAGE)
                yield piece
        if left:
            raise _refuse("BB430", f"the file ends {left} bytes early", self._where(name), _DAMAGE)

    @contextmanager
    def buffer(self, name: str) -> Iterator[Union[bytes, memoryview]]:
        """The bytes of the member *name*; a large one is a mapped temporary file, gone when the block ends."""
        if self._sizes[name] <= _IN_MEMORY:
            yield self.read(name)
            return
        with tempfile.TemporaryFile() as spool:
            for piece in self.chunks(name):
                spool.write(piece)
            spool.flush()
            mapped = mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ)
            # Not closed here: views of it may live as long as the caller keeps them; the last one frees it.
            yield memoryview(mapped)

    def _where(self, name: str) -> str:
        return f"{self.path.name}!{name}"

    def _open(self, name: str) -> IO[bytes]:
        return self._damaged(name, lambda: self._archive.open(self._infos[name]))

    def _damaged(self, name: str, act: Callable[[], _Result]) -> _Result:
        try:
            return act()
        except (zipfile.BadZipFile, zlib.error, EOFError, struct.error) as error:
            raise _refuse("BB430", f"the file cannot be unpacked: {error}", self._where(name), _DAMAGE) from error


_DAMAGE = "The archive is truncated or damaged, or was made to mislead its readers."


@contextmanager
def open_wheel(path: Union[str, os.PathLike[str]], limits: Limits = Limits()) -> Iterator[WheelFile]:
    """Open the wheel (or any zip archive) at *path* once everything about its index has been checked.

    Raises BrokenInputError BB430 (damaged), BB431 (too many), BB432 (too large), BB433 (bomb), BB434 (unsafe name),
    BB435 (duplicate), BB436 (link or device), BB437 (encrypted), BB438 (method), BB439 (overlap, two names).
    """
    place = Path(path)
    with _opened(place) as archive:
        infos = archive.infolist()
        if len(infos) > limits.members:
            raise _refuse("BB431", f"{len(infos)} files, more than {limits.members} are not read", place.name, _HOSTILE)
        members: List[Member] = []
        total = 0
        for info in infos:
            _check_entry(place, info, limits)
            total += info.file_size
            if total > limits.total_size:
                raise _refuse(
                    "BB432", f"the files are larger than {limits.total_size >> 30} GiB together", place.name, _HOSTILE
                )
            if not info.is_dir():
                mode = info.external_attr >> 16
                members.append(Member(info.filename, info.file_size, info.compress_size, bool(mode & stat.S_IXUSR)))
        _check_duplicates(place, members)
        _check_layout(place, infos)
        yield WheelFile(place, archive, tuple(members))


_HOSTILE = "No real wheel is like that; the archive was made to exhaust its readers."


@contextmanager
def _opened(place: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(place)
    except (zipfile.BadZipFile, struct.error, EOFError, ValueError, NotImplementedError) as error:
        raise _refuse("BB430", f"this is not a readable zip archive: {error}", place.name, _DAMAGE) from error
    with archive:
        yield archive


def _check_entry(place: Path, info: zipfile.ZipInfo, limits: Limits) -> None:
    where = f"{place.name}!{info.filename!r}"
    _check_name(info, where, limits)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise _refuse("BB436", "this is a link, a device or a pipe", where, "Wheels hold files only (PEP 427).")
    if info.flag_bits & 0x1 or info.flag_bits & 0x40:
        raise _refuse("BB437", "the file is encrypted", where, "No installer could read it either.")
    if info.compress_type not in _METHODS:
        raise _refuse(
            "BB438",
            f"the file is packed by method {info.compress_type}",
            where,
            "Installers read stored and deflated files; others cannot be checked everywhere.",
        )
    if info.file_size > limits.member_size:
        raise _refuse("BB432", f"the file claims {info.file_size} bytes", where, _HOSTILE)
    if info.file_size > limits.ratio_floor and info.file_size > limits.ratio * max(info.compress_size, 1):
        raise _refuse("BB433", f"{info.compress_size} bytes unpack to {info.file_size}", where, _HOSTILE)


def _check_name(info: zipfile.ZipInfo, where: str, limits: Limits) -> None:
    # zipfile cuts names at a NUL byte; the name as it stands in the archive is what counts.
    name = info.orig_filename
    bad: Optional[str] = None
    if not name or len(name) > limits.name_length:
        bad = f"the name has {len(name)} characters"
    elif any(ord(character) < 32 or ord(character) == 127 for character in name):
        bad = "the name has control characters"
    elif "\\" in name:
        bad = "the name has a backslash, which some readers take for a folder"
    elif name.startswith("/") or _DRIVE.match(name):
        bad = "the name is absolute"
    elif ".." in name.split("/"):
        bad = "the name leaves the folder"
    elif any(part in ("", ".") for part in name.rstrip("/").split("/")):
        bad = "the name has an empty or a dot part"
    if bad:
        raise _refuse("BB434", bad, where, "Unpacking could write outside of the folder, or two readers disagree.")


def _check_duplicates(place: Path, members: List[Member]) -> None:
    seen: Dict[str, str] = {}
    folded: Dict[str, str] = {}
    for member in members:
        if member.name in seen:
            raise _refuse(
                "BB435",
                "the name occurs twice",
                f"{place.name}!{member.name!r}",
                "Two readers may see two files.",
            )
        seen[member.name] = member.name
        # Elsewhere names that differ only by case are legal on Linux; metadata that some reader may take for another
        # is not.
        if ".dist-info/" in member.name.lower():
            other = folded.setdefault(member.name.casefold(), member.name)
            if other != member.name:
                raise _refuse(
                    "BB435",
                    f"the name differs from {other!r} only by case",
                    f"{place.name}!{member.name!r}",
                    "On some systems one would overwrite the other, and the metadata would change.",
                )
    for member in members:
        parts = member.name.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in seen:
                raise _refuse("BB435", "a part of the name is a file itself", f"{place.name}!{member.name!r}", _DAMAGE)


def _check_layout(place: Path, infos: List[zipfile.ZipInfo]) -> None:
    """Files must not share bytes (overlapping bombs), and both of a file's two headers must give it the same name."""
    end = 0
    with place.open("rb") as stream:
        for info in sorted(infos, key=lambda entry: entry.header_offset):
            where = f"{place.name}!{info.filename!r}"
            stream.seek(info.header_offset)
            raw = stream.read(_LOCAL.size)
            if len(raw) < _LOCAL.size or raw[:4] != b"PK\x03\x04":
                raise _refuse("BB430", "the file's own header is missing", where, _DAMAGE)
            name_size, extra_size = _LOCAL.unpack(raw)[9:11]
            name = stream.read(name_size)
            if info.header_offset < end:
                raise _refuse("BB439", "the file shares bytes with another", where, _HOSTILE)
            if name != _encoded(info):
                raise _refuse(
                    "BB439", f"the file's own header calls it {name!r}", where, "Readers would disagree on the name."
                )
            end = info.header_offset + _LOCAL.size + name_size + extra_size + info.compress_size


def _encoded(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")


def unpack(wheel: Union[str, os.PathLike[str]], folder: Union[str, os.PathLike[str]]) -> None:
    """Unpack the wheel into the empty or new *folder*; executable bits are kept. Raises what :func:`open_wheel` does.

    Names were checked when the wheel was opened, and no file is written through a link: the folder must be empty.
    """
    top = Path(folder)
    top.mkdir(parents=True, exist_ok=True)
    if any(top.iterdir()):
        raise FileExistsError(f"{top} is not empty")
    with open_wheel(wheel) as source:
        for member in source.members:
            place = top / member.name
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as stream:
                for piece in source.chunks(member.name):
                    stream.write(piece)
            place.chmod(0o755 if member.executable else 0o644)
