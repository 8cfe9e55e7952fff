"""Applies unified diffs, strictly.

A pinned patch belongs to a pinned file, so it fits to the letter or something is wrong: every hunk must match at its
stated line, there is no fuzz and no search. What it does not know (renames, binary patches, new or deleted files) it
refuses. The format is the one of POSIX ``diff -u`` (IEEE Std 1003.1, "Diff -u Output Format"), with the headers git
puts around it. Where it succeeds the bytes equal those of ``patch -p``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Dict, Iterator, List, Optional, Tuple

from ..errors import SourceError

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_REFUSED = (
    (b"rename from ", "renames a file"),
    (b"copy from ", "copies a file"),
    (b"new file mode ", "creates a file"),
    (b"deleted file mode ", "deletes a file"),
    (b"old mode ", "changes permissions"),
    (b"GIT binary patch", "is binary"),
    (b"Binary files ", "is binary"),
)
_NO_NEWLINE = b"\\ No newline at end of file"


@dataclass(frozen=True)
class Hunk:
    """Lines (with their ends) that stand at *old_start* (1-based) and the lines that replace them."""

    old_start: int
    old: Tuple[bytes, ...]
    new: Tuple[bytes, ...]
    line: int


@dataclass(frozen=True)
class FileDiff:
    """The hunks for one file; *path* is the name in the ``+++`` line after stripping."""

    path: str
    hunks: Tuple[Hunk, ...]


def parse_diff(data: bytes, strip: int, name: str) -> Tuple[FileDiff, ...]:
    """The changes in the patch *data*, names shortened by *strip* folders.

    :param name: what messages call the patch.
    Raises :class:`SourceError` BB308 for anything but plain changes of existing files.
    """
    lines = _split_newlines(data)
    diffs: List[FileDiff] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        for start, does in _REFUSED:
            if line.startswith(start):
                raise _failed(f"the patch {does}, which is not supported", name, index + 1)
        if line.startswith(b"--- ") and index + 1 < len(lines) and lines[index + 1].startswith(b"+++ "):
            path = _target(line, lines[index + 1], strip, name, index + 1)
            hunks, index = _hunks(lines, index + 2, name)
            diffs.append(FileDiff(path, hunks))
        elif line.startswith(b"@@ "):
            raise _failed("a hunk stands before any file name", name, index + 1)
        else:
            index += 1
    if not diffs:
        raise _failed("the patch holds no change", name, 1)
    return tuple(diffs)


def apply_diff(diff: FileDiff, original: bytes, name: str) -> bytes:
    """The content after *diff*. Raises :class:`SourceError` BB308 when a hunk does not fit exactly."""
    lines = _split_newlines(original)
    result: List[bytes] = []
    position = 0
    for hunk in diff.hunks:
        # A hunk without old lines names the line *before* the insertion (POSIX).
        start = hunk.old_start - 1 if hunk.old else hunk.old_start
        found = tuple(lines[start : start + len(hunk.old)])
        if start < position or found != hunk.old:
            at = _first_difference(hunk.old, found)
            raise _failed(f"{diff.path}:{start + 1 + at} is not what the hunk expects", name, hunk.line)
        result.extend(lines[position:start])
        result.extend(hunk.new)
        position = start + len(hunk.old)
    result.extend(lines[position:])
    return b"".join(result)


def apply_patch(data: bytes, strip: int, folder: Path, name: str) -> Tuple[str, ...]:
    """Apply the patch *data* to the files below *folder*; all of it or nothing of it.

    Returns the changed paths. Raises :class:`SourceError` BB308.
    """
    changed: Dict[str, bytes] = {}
    for diff in parse_diff(data, strip, name):
        file = folder / diff.path
        if file.is_symlink() or not file.is_file():
            raise _failed(f"the tree has no file {diff.path}", name, None)
        before = changed[diff.path] if diff.path in changed else file.read_bytes()
        changed[diff.path] = apply_diff(diff, before, name)
    for path, content in changed.items():
        (folder / path).write_bytes(content)
    return tuple(changed)


def _split_newlines(data: bytes) -> List[bytes]:
    """Split after LF only: a CR is content."""
    lines = data.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def _target(old: bytes, new: bytes, strip: int, name: str, line: int) -> str:
    paths = []
    for header in (old, new):
        text = header[4:].rstrip(b"\r\n").split(b"\t", 1)[0].decode("utf-8", "surrogateescape")
        if text == "/dev/null":
            raise _failed("the patch creates or deletes a file, which is not supported", name, line)
        path = PurePosixPath(text)
        parts = path.parts
        if path.is_absolute() or ".." in parts or "\\" in text or len(parts) <= strip:
            raise _failed(f"the file name {text!r} cannot be used with strip = {strip}", name, line)
        paths.append("/".join(parts[strip:]))
    if paths[0] != paths[1]:
        raise _failed("the patch renames a file, which is not supported", name, line)
    return paths[1]


def _hunks(lines: List[bytes], index: int, name: str) -> Tuple[Tuple[Hunk, ...], int]:
    hunks: List[Hunk] = []
    while index < len(lines):
        header = _HUNK.match(lines[index])
        if not header:
            break
        old_count = int(header.group(2) or b"1")
        new_count = int(header.group(4) or b"1")
        old, new, after = _hunk_body(lines, index + 1, old_count, new_count, name)
        hunks.append(Hunk(int(header.group(1)), old, new, index + 1))
        index = after
    if not hunks:
        raise _failed("a file name without hunks", name, index)
    return tuple(hunks), index


def _hunk_body(
    lines: List[bytes], index: int, old_count: int, new_count: int, name: str
) -> Tuple[Tuple[bytes, ...], Tuple[bytes, ...], int]:
    old: List[bytes] = []
    new: List[bytes] = []
    start = index
    while len(old) < old_count or len(new) < new_count or _is_no_newline(lines, index):
        if index >= len(lines):
            raise _failed("the patch ends within a hunk", name, start)
        mark, text = lines[index][:1], lines[index][1:]
        if mark == b"\\":
            _drop_newline(lines[index - 1][:1], old, new)
        elif mark == b" " or lines[index] == b"\n":
            # Some mailers and editors strip the blank that marks an empty context line.
            kept = text if mark == b" " else b"\n"
            old.append(kept)
            new.append(kept)
        elif mark == b"-":
            old.append(text)
        elif mark == b"+":
            new.append(text)
        else:
            raise _failed("a line of a hunk has no mark", name, index + 1)
        index += 1
    if len(old) != old_count or len(new) != new_count:
        raise _failed("a hunk's lines and its header disagree", name, start)
    return tuple(old), tuple(new), index


def _is_no_newline(lines: List[bytes], index: int) -> bool:
    return index < len(lines) and lines[index].startswith(_NO_NEWLINE[:2])


def _drop_newline(mark: bytes, old: List[bytes], new: List[bytes]) -> None:
    """The remark belongs to the line before it: take the newline off wherever that line went."""
    for kept in _touched(mark, old, new):
        if kept and kept[-1].endswith(b"\n"):
            kept[-1] = kept[-1][:-1]


def _touched(mark: bytes, old: List[bytes], new: List[bytes]) -> Iterator[List[bytes]]:
    if mark in (b"-", b" "):
        yield old
    if mark in (b"+", b" "):
        yield new


def _first_difference(expected: Tuple[bytes, ...], found: Tuple[bytes, ...]) -> int:
    for number, (left, right) in enumerate(zip(expected, found)):
        if left != right:
            return number
    return min(len(expected), len(found))


def _failed(what: str, name: str, line: Optional[int]) -> SourceError:
    return SourceError(
        "BB308",
        what,
        where=name if line is None else f"{name}:{line}",
        why="the patch was made for other content than the pinned archive holds, or the order of the patches is wrong",
        fix="compare the order and versions in source.toml with those of the project the patches come from",
    )
