"""One pass over ARM64 code by the engine in use, and one instruction."""

from __future__ import annotations

from typing import Iterator, Sequence, Tuple

from ...isa.model import Requirement
from ..engine import library
from ..model import Flow, Instruction, Sweep
from .addresses import named_address
from .compiled import run as run_compiled
from .notes import Bytes, Notes
from .portable import run as run_portable
from .table import requirements, row_of


def _code_ranges(start: int, end: int, data: Sequence[Tuple[int, int]]) -> Iterator[Tuple[int, int]]:
    """What of [start, end) is not covered by the sorted ranges *data*."""
    for low, high in data:
        if high > start and low < end:
            if low > start:
                yield start, low
            start = max(start, high)
    if start < end:
        yield start, end


def sweep(code: Bytes, address: int, entries: Sequence[int] = (), data: Sequence[Tuple[int, int]] = ()) -> Sweep:
    """One linear pass over *code*, which stands at *address*.

    :param entries: known instruction starts; without use here, as every ARM64 instruction is an aligned word.
    :param data: sorted (start, end) addresses of data between the code (mapping symbols ``$d``), passed over.
    """
    del entries
    view = memoryview(code)
    if view.format != "B":  # PyPy copies bytes out of a view that was cast one by one
        view = view.cast("B")
    notes = Notes()
    compiled = library()
    for start, end in _code_ranges(address, address + len(view), data):
        first, last = -(-start // 4) * 4, end // 4 * 4
        if first >= last:
            notes.skip(start, end - start)
            continue
        if first > start:
            notes.skip(start, first - start)
        part = view[first - address : last - address]
        if compiled is None:
            run_portable(notes, part, first)
        else:
            run_compiled(compiled, notes, part, first)
        if end > last:
            notes.skip(last, end - last)
    return notes.sweep()


def instruction(code: Bytes, address: int, offset: int = 0) -> Instruction:
    """The instruction at ``code[offset:]``, *address* being that of ``code[0]``.

    Not valid where fewer than four bytes remain or the place is not aligned.
    """
    place = address + offset
    if not 0 <= offset <= len(code) - 4 or place % 4:
        return Instruction(place, 4, "-", frozenset(), Flow.NEXT, None, None, False)
    word = int.from_bytes(code[offset : offset + 4], "little")
    row = row_of(word)
    named = named_address(row.operand, word, place) if row.operand else None
    return Instruction(
        place, 4, row.mnemonic, row.features, row.flow,
        named if row.flow else None, None if row.flow else named, row.valid,
    )  # fmt: skip


def requirement(number: int) -> Requirement:
    """The features behind *number* of ``Sweep.mark_requirements``."""
    return requirements()[number]
