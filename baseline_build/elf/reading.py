"""Reading numbers and strings out of bytes from strangers: every access is bounded, every failure is one sentence."""

from __future__ import annotations

import struct
import sys
from array import array
from typing import Any, Iterator, Tuple, Union

from ..errors import BrokenInputError

Buffer = Union[bytes, bytearray, memoryview]

MAX_RECORDS = 8_000_000  # symbols or relocations of one file; the largest known shared objects have below 2 million
MAX_NAME = 1 << 20  # bytes of one symbol name; C++ and Rust reach some ten thousand


def broken(code: str, what: str, where: str, why: str = "") -> BrokenInputError:
    """The error for a file that cannot be read; *why* defaults to the usual cause."""
    return BrokenInputError(
        code,
        what,
        where=where,
        why=why or "The file is truncated, damaged, or was made by hand to mislead its readers.",
        fix="Build or download the file again; if another tool wrote it, run that tool's newest version.",
    )


def words_of(data: Buffer, size: int, order: str = "<") -> array[int]:
    """The numbers of *size* (4 or 8) bytes that *data* holds side by side, a rest at its end left out.

    :param order: ``<`` or ``>``, that of the file; the order of this machine does not matter.
    """
    found = array({4: "I", 8: "Q"}[size])
    found.frombytes(memoryview(data)[: len(data) // size * size])
    if (order == ">") != (sys.byteorder == "big"):
        found.byteswap()
    return found


class Window:
    """A bounded view of a file.

    :param data: the whole file.
    :param name: what to call it in errors.
    :param order: ``<`` or ``>``.
    """

    def __init__(self, data: Buffer, name: str, order: str = "<") -> None:
        self.data = data if isinstance(data, memoryview) and data.format == "B" else memoryview(data).cast("B")
        self.name = name
        self.order = order
        self.size = len(self.data)

    def slice(self, offset: int, size: int, what: str) -> memoryview:
        """``size`` bytes at ``offset``. Raises BrokenInputError BB402 when the file is too short for *what*."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise broken(
                "BB402",
                f"{what} should lie at {offset:#x}…{offset + size:#x}, the file ends at {self.size:#x}",
                self.name,
            )
        return self.data[offset : offset + size]

    def unpack(self, layout: str, offset: int, what: str) -> Tuple[Any, ...]:
        """The numbers of *layout* at *offset*. Raises BrokenInputError BB402."""
        form = struct.Struct(self.order + layout)
        return form.unpack(self.slice(offset, form.size, what))

    def records(self, layout: str, offset: int, size: int, what: str) -> Iterator[Tuple[Any, ...]]:
        """All whole records in ``size`` bytes at *offset*. Raises BrokenInputError BB402, BB404 (too many)."""
        form = struct.Struct(self.order + layout)
        count = size // form.size
        if count > MAX_RECORDS:
            raise broken("BB404", f"{what} claims {count} entries, more than {MAX_RECORDS} are not read", self.name)
        # From a copy: an iterator over a view that ends in a reference cycle (an exception that is kept) can crash
        # CPython 3.11, whose collector clears the view while the iterator still holds it.
        return form.iter_unpack(bytes(self.slice(offset, count * form.size, what)))


class Strings:
    """A string table. Names are decoded once each; their total is bounded, since names may share their tails."""

    def __init__(self, data: Buffer, name: str, what: str) -> None:
        self._data = bytes(data)
        self._name = name
        self._what = what
        self._known: dict[int, str] = {}
        self._left = (64 << 20) + 8 * len(self._data)

    def at(self, offset: int) -> str:
        """The string at *offset*. Raises BrokenInputError BB402 (outside), BB403 (unterminated), BB404 (too much)."""
        known = self._known.get(offset)
        if known is not None:
            return known
        if not 0 <= offset < len(self._data):
            if offset == 0:
                return ""
            raise broken(
                "BB402", f"a name lies at {offset:#x} of {self._what}, which ends at {len(self._data):#x}", self._name
            )
        end = self._data.find(b"\0", offset, offset + MAX_NAME)
        if end < 0:
            raise broken("BB403", f"the name at {offset:#x} of {self._what} has no end", self._name)
        self._left -= end - offset
        if self._left < 0:
            raise broken(
                "BB404", f"the names in {self._what} overlap so much that they would fill the memory", self._name
            )
        text = self._data[offset:end].decode("utf-8", "backslashreplace")
        self._known[offset] = text
        return text
