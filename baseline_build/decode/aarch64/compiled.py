"""The compiled ARM64 engine's Python side: the table as arrays, and collecting what was found."""

from __future__ import annotations

from array import array
from functools import cache
from typing import Any, Dict, List

from ..engine import Library
from .notes import Bytes, Notes
from .table import KEYS, candidates_by_key, rows

_ROOM = 1 << 15  # items per array between two calls
_INVALID = 255
_ARRAYS = (
    ("mark_addresses", "Q", "marks"),
    ("mark_requirements", "H", "marks"),
    ("branch_addresses", "Q", "branches"),
    ("branch_flows", "B", "branches"),
    ("branch_targets", "Q", "branches"),
    ("reference_addresses", "Q", "references"),
    ("reference_targets", "Q", "references"),
    ("gap_addresses", "Q", "gaps"),
)
_TYPES = {"B": "uint8_t[]", "H": "uint16_t[]", "I": "uint32_t[]", "Q": "uint64_t[]"}


class Table:
    """The rows of ``encodings.txt`` as C reads them."""

    def __init__(self, library: Library) -> None:
        self._kept: List[Any] = []
        self.library = library
        self.c = library.ffi.new("struct bb_aarch64_table *")
        table = rows()
        numbers = {id(row): number for number, row in enumerate(table)}
        starts, flat = array("I", [0]), array("H")
        for bucket in candidates_by_key():
            flat.extend(numbers[id(row)] for row in bucket)
            starts.append(len(flat))
        assert len(starts) == KEYS + 1
        self.c.rows = len(table)
        self.c.masks = self._buffer(array("I", (row.mask for row in table)))
        self.c.values = self._buffer(array("I", (row.value for row in table)))
        self.c.requirements = self._buffer(array("H", (row.requirement for row in table)))
        self.c.flows = self._buffer(array("B", (row.flow for row in table)))
        self.c.operands = self._buffer(array("B", (row.operand if row.valid else _INVALID for row in table)))
        self.c.starts = self._buffer(starts)
        self.c.candidates = self._buffer(flat)
        self.c.plain = self._buffer(array("B", bytes(65536)))

    def _buffer(self, items: array[int]) -> Any:
        pointer = self.library.ffi.from_buffer(_TYPES[items.typecode], items)
        self._kept.append(pointer)
        return pointer

    def numbers(self, code: Bytes) -> array[int]:
        """The number of the row of each word of *code*, the count of rows where a word has none."""
        found = array("H", bytes(len(code) // 4 * 2))
        ffi = self.library.ffi
        self.library.lib.bb_aarch64_rows(
            self.c, ffi.from_buffer("uint8_t[]", code), len(found), ffi.from_buffer("uint16_t[]", found)
        )
        return found


@cache
def table_of(library: Library) -> Table:
    """The table for *library*, made once."""
    return Table(library)


def run(library: Library, notes: Notes, code: memoryview, address: int) -> None:
    """Add to *notes* what the words of *code* say, the first being at *address* (a multiple of four)."""
    ffi = library.ffi
    c = ffi.new("struct bb_aarch64_pass *")
    kept = [ffi.from_buffer("uint8_t[]", code)]
    c.code, c.words, c.base, c.room = kept[0], len(code) // 4, address, _ROOM
    arrays: Dict[str, array[int]] = {}
    for name, kind, _ in _ARRAYS:
        items = arrays[name] = array(kind, bytes(_ROOM * array(kind).itemsize))
        kept.append(ffi.from_buffer(_TYPES[kind], items))
        setattr(c, name, kept[-1])
    done = False
    while not done:
        done = bool(library.lib.bb_aarch64_sweep(table_of(library).c, c))
        for name, _, count in _ARRAYS[:-1]:
            column: array[int] = getattr(notes, name)
            column.extend(arrays[name][: getattr(c, count)])
        for gap in arrays["gap_addresses"][: c.gaps]:
            notes.skip(gap, 4)
        c.marks = c.branches = c.references = c.gaps = 0
    notes.instructions += c.instructions
