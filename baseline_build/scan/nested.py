"""Native code in archives that an input carries: found by the archives' bytes, unpacked within limits.

A package may bring an archive and unpack it where it is installed; what lies in it runs there like everything else.
Read are zip archives (also those called like one that begin with something else, as zipapps do), tar archives, files
packed by gzip, bzip2 or xz, and these in each other. What cannot be read to its end is reported, never passed over.
Formats: APPNOTE.TXT of zip; POSIX "pax" (ustar: magic at 257); RFC 1952 (gzip); the headers of bzip2, xz, zstd.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Callable, Dict, Iterator, Optional, Tuple

from .. import elf
from ..elf import archive

HEAD = 512  # bytes that tell what a file is: a tar archive by its first header
DEPTH = 4  # archives in archives
TOTAL = 4 << 30  # bytes unpacked of one input
MEMBERS = 200_000  # looked at in one input
_ENDINGS = (".whl", ".egg", ".zip", ".pyz", ".pyzw", ".pex")  # zip archives whose end counts, whatever the beginning
_STREAMS: Dict[str, Callable[[Path], IO[bytes]]] = {
    "gzip": gzip.open,  # type: ignore[dict-item]  # the first of its overloads is meant
    "bzip2": bz2.open,
    "xz": lzma.open,
}
_UNREADABLE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)


@dataclass(frozen=True)
class Inner:
    """A file within an archive.

    :param name: its name in the report, ``data.zip!lib/x.so``.
    :param place: where its bytes lie as long as the :class:`Search` does; ``None`` where they could not be had.
    :param note: why not.
    """

    name: str
    place: Optional[Path]
    note: str = ""


class Search:
    """Looks for native code in the archives of one input; its copies go away with :meth:`close`."""

    def __init__(self) -> None:
        self._folder: Optional[tempfile.TemporaryDirectory[str]] = None
        self._copies = 0
        self._bytes = TOTAL
        self._members = MEMBERS

    def close(self) -> None:
        """Remove the copies."""
        if self._folder is not None:
            self._folder.cleanup()

    def copy(self, write: Callable[[IO[bytes]], None]) -> Path:
        """A temporary file with what *write* puts into it."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="baseline-build-scan-")
        self._copies += 1
        place = Path(self._folder.name, str(self._copies))
        with place.open("wb") as stream:
            write(stream)
        return place

    def look(self, name: str, place: Path, depth: int = 0) -> Iterator[Inner]:
        """The native files in *place*, an archive that is called *name* in the report."""
        kind = packed(name, _start(place))
        try:
            for inner, opened in _contents(kind, name, place):
                with opened as stream:
                    yield from self._take(inner, stream, depth)
        except _LimitError as stopped:
            yield Inner(name, None, str(stopped))
        except _UNREADABLE as error:
            yield Inner(name, None, f"BB444: not all of this archive can be unpacked: {error}")

    def _take(self, name: str, stream: IO[bytes], depth: int) -> Iterator[Inner]:
        self._members -= 1
        if self._members < 0:
            raise _LimitError(f"BB444: there are more than {MEMBERS} files in archives; not all were looked at")
        head = stream.read(HEAD)
        native = native_head(head)
        if not native and packed(name, head) is None:
            return
        if depth >= DEPTH:
            raise _LimitError(f"BB444: more than {DEPTH} archives lie in each other; the innermost was not looked at")
        place = self.copy(lambda target: self._pour(head, stream, target))
        if native:
            yield Inner(name, place)
        else:
            yield from self.look(name, place, depth + 1)
            place.unlink()

    def _pour(self, head: bytes, source: IO[bytes], target: IO[bytes]) -> None:
        piece = head
        while piece:
            self._bytes -= len(piece)
            if self._bytes < 0:
                raise _LimitError(f"BB444: the archives unpack to more than {TOTAL >> 30} GiB; not all was looked at")
            target.write(piece)
            piece = source.read(1 << 20)


class _LimitError(Exception):
    """A limit was met; the text is the note."""


def native_head(head: bytes) -> bool:
    """Whether a file that begins with *head* is an ELF file or a static archive."""
    return elf.is_elf(head) or archive.is_archive(head)


def packed(name: str, head: bytes) -> Optional[str]:
    """What kind of archive or packed file the file *name* with the beginning *head* is, ``None`` for no such thing."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or name.endswith(_ENDINGS):
        return "zip"
    if head[257:262] == b"ustar":
        return "tar"
    for kind, magic in (("gzip", b"\x1f\x8b\x08"), ("bzip2", b"BZh"), ("xz", b"\xfd7zXZ\x00")):
        if head.startswith(magic):
            return kind
    return "zstd" if head.startswith(b"\x28\xb5\x2f\xfd") else None


def _start(place: Path) -> bytes:
    with place.open("rb") as stream:
        return stream.read(HEAD)


def _contents(kind: Optional[str], name: str, place: Path) -> Iterator[Tuple[str, IO[bytes]]]:
    """Name and opened content of every file in *place*. What is called an archive and is none has no contents."""
    if kind == "zip":
        yield from _zipped(name, place)
    elif kind == "tar":
        with tarfile.open(place, "r:") as bundle:
            for entry in bundle:
                stream = bundle.extractfile(entry) if entry.isfile() else None
                if stream is not None:
                    yield f"{name}!{entry.name}", stream
    elif kind in _STREAMS:
        with _STREAMS[kind](place) as packing:
            try:
                packing.read(1)
            except (EOFError, OSError, zlib.error, lzma.LZMAError):
                return  # only its beginning looks packed: nobody can unpack it
        yield f"{name}!{_unpacked_name(name)}", _STREAMS[kind](place)


def _zipped(name: str, place: Path) -> Iterator[Tuple[str, IO[bytes]]]:
    try:
        bundle = zipfile.ZipFile(place)
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return
    with bundle:
        for info in bundle.infolist():
            if not info.is_dir():
                yield f"{name}!{info.filename}", bundle.open(info)


def _unpacked_name(name: str) -> str:
    base = name.rsplit("/", 1)[-1].rsplit("!", 1)[-1]
    stem, dot, ending = base.rpartition(".")
    return {"tgz": f"{stem}.tar", "tbz2": f"{stem}.tar", "txz": f"{stem}.tar"}.get(ending, stem if dot else base)
