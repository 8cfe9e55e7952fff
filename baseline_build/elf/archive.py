"""Static archives (``ar``): their members, by name and offset.

The common format of System V and GNU (long names in a ``//`` member) and of BSD (``#1/LENGTH`` names).
"""

from __future__ import annotations

from typing import Iterator, NamedTuple

from .reading import Buffer, broken

MAGIC = b"!<arch>\n"
THIN = b"!<thin>\n"
_HEADER = 60
_SYMBOL_TABLES = frozenset(("/", "/SYM64/", "__.SYMDEF", "__.SYMDEF SORTED", "__.SYMDEF_64", "__.SYMDEF_64 SORTED"))


class Member(NamedTuple):
    """A file in an archive; ``offset`` is where its bytes begin."""

    name: str
    offset: int
    data: memoryview


def is_archive(data: Buffer) -> bool:
    """Whether *data* begins as a static archive, thin or not."""
    return bytes(data[:8]) in (MAGIC, THIN)


def members(data: Buffer, name: str) -> Iterator[Member]:
    """The members of the archive *data* in order, without the linker's symbol tables.

    Raises BrokenInputError BB407 for a damaged archive, BB408 for a thin one.
    """
    view = memoryview(data)
    if bytes(view[:8]) == THIN:
        raise broken(
            "BB408", "this is a thin archive: it only names object files", name, "It was made by ar with the letter T."
        )
    if bytes(view[:8]) != MAGIC:
        raise broken("BB407", "this does not begin as an archive", name)
    long_names = b""
    at = 8
    while at < len(view):
        field, size = _header(view, at, name)
        start = at + _HEADER
        if start + size > len(view):
            raise broken("BB407", f"the member at {at:#x} claims {size} bytes, the archive ends before", name)
        body = view[start : start + size]
        at = start + size + (size & 1)
        if field == "//":
            long_names = bytes(body)
            continue
        if field.startswith("#1/"):
            length = _number(field[3:], start, name)
            title = bytes(body[:length]).rstrip(b"\0").decode("utf-8", "backslashreplace")
            body, start = body[length:], start + length
        else:
            title = _title(field, long_names, name)
        if title not in _SYMBOL_TABLES:
            yield Member(title, start, body)


def _header(view: memoryview, at: int, name: str) -> tuple[str, int]:
    raw = bytes(view[at : at + _HEADER])
    if len(raw) < _HEADER or raw[58:60] != b"`\n":
        raise broken("BB407", f"there is no member header at {at:#x}", name)
    return raw[:16].decode("ascii", "backslashreplace").rstrip(), _number(
        raw[48:58].decode("ascii", "replace"), at, name
    )


def _number(text: str, at: int, name: str) -> int:
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit()):
        raise broken("BB407", f"the member at {at:#x} has the size {stripped!r}", name)
    return int(stripped)


def _title(field: str, long_names: bytes, name: str) -> str:
    if field in _SYMBOL_TABLES:
        return field
    if field.startswith("/") and field[1:].isdigit():
        start = int(field[1:])
        end = long_names.find(b"\n", start)
        if start >= len(long_names) or end < 0:
            raise broken("BB407", f"a member's name should lie at {start:#x} of the long names", name)
        return long_names[start:end].rstrip(b"/").decode("utf-8", "backslashreplace")
    return field.removesuffix("/")
