"""Takes the wanted files out of a source distribution, trusting nothing in it.

The rules are those of PEP 706's "data" filter, made stricter and independent of the Python version: names stay within
one top folder, only regular files are ever written, permissions are reduced to "executable or not", owners and times
are dropped, and sizes and counts are bounded before anything is allocated.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, Optional, Set, Tuple

from ..errors import SourceError
from .model import Pin, Selection

MAX_MEMBERS = 20_000
MAX_FILE_BYTES = 64 << 20
MAX_TOTAL_BYTES = 512 << 20
MAX_NAME_BYTES = 1_024
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Unpacked:
    """What one unpacking gave: files of the tree, executable ones among them, and the patches' contents by name."""

    files: FrozenSet[str]
    executables: FrozenSet[str]
    patches: Dict[str, bytes]


def unpack(archive: Path, pin: Pin, folder: Path) -> Unpacked:
    """Write the files *pin* wants from *archive* into the empty *folder*.

    Raises :class:`SourceError` BB306 for a damaged or hostile archive, BB307 when a wanted file is not in it.
    """
    work = _Unpacking(pin, folder)
    try:
        with (
            archive.open("rb") as raw,
            gzip.GzipFile(fileobj=raw) as plain,
            tarfile.open(fileobj=plain, mode="r|") as tar,
        ):
            for member in tar:
                work.take(tar, member)
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise _refused(pin, f"the archive cannot be read: {error}") from error
    work.check_complete()
    return Unpacked(frozenset(work.written), frozenset(work.executables), work.patches)


class _Unpacking:
    """State of one pass over the members."""

    def __init__(self, pin: Pin, folder: Path) -> None:
        self.pin = pin
        self.folder = folder
        self.members = 0
        self.total = 0
        self.top = ""
        self.written: Set[str] = set()
        self.executables: Set[str] = set()
        self.patches: Dict[str, bytes] = {}
        self.wanted_patches = {patch.file for patch in pin.patches}
        self.choices = [(selection, _matcher(selection)) for selection in pin.selections]
        self.unmatched = {(i, p) for i, s in enumerate(pin.selections) for p in s.include}

    def take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Judge *member* and write it when it is wanted."""
        self.members += 1
        if self.members > MAX_MEMBERS:
            raise _refused(self.pin, f"more than {MAX_MEMBERS} members")
        # Unwanted members count too: skipping them costs their decompression.
        self.total += member.size
        if member.size > MAX_FILE_BYTES or self.total > MAX_TOTAL_BYTES:
            raise _refused(self.pin, f"the member {member.name[:80]!r} goes beyond the limits of size")
        path = self._inner_path(member)
        targets = [target for target in self._targets(path) if path]
        is_patch = path in self.wanted_patches
        if not targets and not is_patch:
            return
        if member.isdir():
            return
        if not member.isreg() or member.issparse():
            raise _refused(self.pin, f"the wanted member {member.name!r} is not a regular file")
        content = self._content(tar, member)
        if is_patch:
            self.patches[path] = content
        for target in targets:
            self._write(target, content, bool(member.mode & 0o100))

    def check_complete(self) -> None:
        """Raise BB307 unless every pattern, patch and licence file was found."""
        missing = [f"{self.pin.selections[index].source}/{pattern}" for index, pattern in sorted(self.unmatched)]
        missing += sorted(self.wanted_patches - set(self.patches))
        missing += [name for name in self.pin.licence_files if name not in self.written]
        if missing:
            raise SourceError(
                "BB307",
                f"the archive does not hold {', '.join(missing)}",
                where=f"{self.pin.tree}: {self.pin.archive.file}",
                why="source.toml names files that this version of the project does not ship",
                fix="correct the patterns in source.toml",
            )

    def _inner_path(self, member: tarfile.TarInfo) -> str:
        """The member's path below the top folder; ``""`` for that folder. Refuses names that lead elsewhere."""
        name = member.name
        if len(name.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES or "\0" in name or "\\" in name:
            raise _refused(self.pin, f"unusable member name {name[:80]!r}")
        parts = name.rstrip("/").split("/")
        if name.startswith("/") or ":" in parts[0] or any(part in ("", ".", "..") for part in parts):
            raise _refused(self.pin, f"the member {name!r} would leave its folder")
        if member.ischr() or member.isblk() or member.isfifo():
            raise _refused(self.pin, f"the member {name!r} is a device or a pipe")
        if not self.top:
            self.top = parts[0]
        if parts[0] != self.top:
            raise _refused(self.pin, f"the member {name!r} is outside the top folder {self.top!r}")
        return "/".join(parts[1:])

    def _targets(self, path: str) -> Iterator[str]:
        for index, (selection, matcher) in enumerate(self.choices):
            inner = _below(path, selection.source)
            if inner is None:
                continue
            patterns = matcher.included(inner)
            if patterns and not matcher.excluded(inner):
                self.unmatched -= {(index, pattern) for pattern in patterns}
                yield inner if selection.target == "." else f"{selection.target}/{inner}"

    def _content(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
        stream = tar.extractfile(member)
        if stream is None:
            raise _refused(self.pin, f"the member {member.name!r} has no content")
        chunks: List[bytes] = []
        remaining = member.size
        while remaining:
            chunk = stream.read(min(_CHUNK, remaining))
            if not chunk:
                raise _refused(self.pin, f"the member {member.name!r} is cut off")
            chunks.append(chunk)
            remaining -= len(chunk)
        return b"".join(chunks)

    def _write(self, target: str, content: bytes, executable: bool) -> None:
        if target in self.written:
            raise _refused(self.pin, f"two members want to be {target!r}")
        path = self.folder / target
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as stream:
                stream.write(content)
            path.chmod(0o755 if executable else 0o644)
        except (FileExistsError, NotADirectoryError) as error:
            raise _refused(self.pin, f"{target!r} is both a file and a folder") from error
        except OSError as error:
            raise SourceError(
                "BB311", f"cannot write {path}: {error}", where=self.pin.tree, fix="make room, or check the permissions"
            ) from error
        self.written.add(target)
        if executable:
            self.executables.add(target)


@dataclass(frozen=True)
class _Matcher:
    include: Tuple[Tuple[str, re.Pattern[str]], ...]
    exclude: Tuple[re.Pattern[str], ...]

    def included(self, path: str) -> Set[str]:
        return {pattern for pattern, regex in self.include if regex.match(path)}

    def excluded(self, path: str) -> bool:
        return any(regex.match(path) for regex in self.exclude)


def _matcher(selection: Selection) -> _Matcher:
    return _Matcher(
        tuple((pattern, compile_pattern(pattern)) for pattern in selection.include),
        tuple(compile_pattern(pattern) for pattern in selection.exclude),
    )


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression for a path pattern: ``*`` and ``?`` within one name, ``**/`` for any number of folders."""
    out = ""
    index = 0
    while index < len(pattern):
        if pattern.startswith("**/", index):
            out += "(?:[^/]+/)*"
            index += 3
        elif pattern[index:] == "**":
            out += ".+"
            index += 2
        else:
            letter = pattern[index]
            out += {"*": "[^/]*", "?": "[^/]"}.get(letter, re.escape(letter))
            index += 1
    return re.compile(out + r"\Z", re.DOTALL)


def _below(path: str, folder: str) -> Optional[str]:
    if folder == ".":
        return path
    return path[len(folder) + 1 :] if path.startswith(folder + "/") else None


def _refused(pin: Pin, what: str) -> SourceError:
    return SourceError(
        "BB306",
        what,
        where=f"{pin.tree}: {pin.archive.file}",
        why="the archive is damaged, or was made to write outside the folder it is unpacked into",
        fix="do not use it; check where the file and the hash in source.toml came from",
    )
