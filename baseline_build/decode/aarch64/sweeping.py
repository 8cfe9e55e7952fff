"""The portable engine: one pass over ARM64 code, and one instruction.

Most words of real code are plain: baseline, no branch, no address. Whether that can be said from the upper half of a
word alone is remembered for each of the 65,536 upper halves as they turn up, so the interpreter looks closely only at
the words that matter.
"""

from __future__ import annotations

import sys
from array import array
from itertools import chain, compress
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Sequence, Tuple, cast

from ...isa.model import Requirement
from ..engine import library
from ..model import Flow, Instruction, Sweep
from .compiled import run as run_compiled
from .notes import Bytes, Notes
from .table import Operand, Row, candidates, requirements, row_of

if TYPE_CHECKING:
    Pages = array[int]

_CHUNK = 1 << 16  # words a round: bounds the memory of the intermediate lists
_MEMORY = 1 << 18  # distinct words whose row is remembered
# What the upper half of a word says: nothing of note; look at the whole word; not known yet; a direct branch with an
# offset of 26 or 19 bits.
_PLAIN, _LOOK, _UNSEEN, _FAR, _NEAR = range(5)
_CLOSE = bytes(kind == _LOOK for kind in range(256))
_DIRECT = bytes(kind in {_FAR, _NEAR} for kind in range(256))
_ADDRESS = 0xFFFFFFFFFFFFFFFF
_PAIR_WINDOW = 4  # instructions after an adrp in which its low half is looked for
_DIRECT_KINDS = {Operand.IMM26: _FAR, Operand.IMM19: _NEAR}

_kinds = bytearray([_UNSEEN]) * 65536
_uniform: Dict[int, Row] = {}


class _Notable(Dict[int, Optional[Row]]):
    """Words seen so far -> their row, or ``None`` where a sweep has nothing to say about them."""

    def __missing__(self, word: int) -> Optional[Row]:
        row = row_of(word)
        noted = None if row.plain else row
        if len(self) < _MEMORY:
            self[word] = noted
        return noted


_notable = _Notable()


def _learn(half: int) -> None:
    """Find out what the upper half *half* says alone."""
    word = half << 16
    rows = [row for row in candidates(word) if not (word ^ row.value) & row.mask & 0xFFFF0000]
    last = next((number for number, row in enumerate(rows) if not row.mask & 0xFFFF), None)
    if last is not None and all(row.plain for row in rows[: last + 1]):
        _kinds[half] = _PLAIN
    elif last == 0 and not rows[0].requirement and rows[0].flow:
        _uniform[half] = rows[0]
        _kinds[half] = _DIRECT_KINDS.get(rows[0].operand, _LOOK)
    else:
        _kinds[half] = _LOOK


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def named_address(operand: Operand, word: int, address: int) -> int:
    """The address that *word* at *address* names with an operand of that kind (the page's start for ``adrp``)."""
    if operand is Operand.IMM26:
        offset = _signed(word & 0x3FFFFFF, 26) * 4
    elif operand in {Operand.IMM19, Operand.LITERAL}:
        offset = _signed(word >> 5 & 0x7FFFF, 19) * 4
    elif operand is Operand.IMM14:
        offset = _signed(word >> 5 & 0x3FFF, 14) * 4
    elif operand is Operand.IMM9:
        offset = _signed(word >> 5 & 0x1FF, 9) * 4
    else:
        offset = _signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
        if operand is Operand.ADRP:
            return ((address & ~0xFFF) + (offset << 12)) & _ADDRESS
    return (address + offset) & _ADDRESS


def low_half(word: int, register: int) -> int:
    """The low twelve bits that *word* adds to the page in *register*, or -1 where it does not use that register so.

    ``add x?, xN, #imm`` and loads and stores with an unsigned offset (Arm ARM, C4.1).
    """
    if word >> 5 & 31 != register:
        return -1
    if word & 0xFFC00000 == 0x91000000:
        return word >> 10 & 0xFFF
    if word & 0x3B000000 == 0x39000000:
        scale = word >> 30
        if word & 0x04800000 == 0x04800000:  # a 128-bit register: opc<1> with size 00
            scale = 4
        return (word >> 10 & 0xFFF) << scale
    return -1


def _classes(halves: List[int]) -> bytes:
    """What each of the upper halves says."""
    kinds = bytes(map(_kinds.__getitem__, halves))
    if _UNSEEN in kinds:
        for half in set(halves):
            if _kinds[half] == _UNSEEN:
                _learn(half)
        kinds = bytes(map(_kinds.__getitem__, halves))
    return kinds


def _look(notes: Notes, words: Sequence[int], halves: List[int], address: int, pages: Pages) -> None:
    """Note what a round of words says, the first being at *address*; *halves* are their upper halves."""
    kinds = _classes(halves)
    notes.instructions += len(words)
    close = list(compress(range(len(words)), kinds.translate(_CLOSE)))
    rows = list(map(_notable.__getitem__, map(words.__getitem__, close)))
    rest = compress(rows, rows)
    at, flows, targets = notes.branch_addresses.append, notes.branch_flows.append, notes.branch_targets.append
    # Everything of note in order; sorting two ascending runs is one merge.
    for index in sorted(chain(compress(range(len(words)), kinds.translate(_DIRECT)), compress(close, rows))):
        kind, word, place = kinds[index], words[index], address + 4 * index
        if kind == _FAR:  # direct branches are near a quarter of all words: no call for each
            offset = ((word & 0x3FFFFFF) << 2) - ((word & 0x2000000) << 3)
        elif kind == _NEAR:
            offset = (word >> 3 & 0x1FFFFC) - ((word & 0x800000) >> 2)
        else:
            row = cast(Row, next(rest))
            _note(notes, row, word, place)
            if row.operand is Operand.ADRP:
                pages.append(place)
            continue
        at(place)
        flows(_uniform[halves[index]].flow)
        targets(place + offset & _ADDRESS)


def _note(notes: Notes, row: Row, word: int, address: int) -> None:
    """Note what *word* of *row* at *address* says."""
    if not row.valid:
        notes.instructions -= 1
        notes.skip(address, 4)
        return
    if row.requirement:
        notes.mark_addresses.append(address)
        notes.mark_requirements.append(row.requirement)
    named = named_address(row.operand, word, address) if row.operand else 0
    if row.flow:
        notes.branch_addresses.append(address)
        notes.branch_flows.append(row.flow)
        notes.branch_targets.append(named)
    elif row.operand:
        notes.reference_addresses.append(address)
        notes.reference_targets.append(named)


def _pairs(words: Sequence[int], index: int, address: int) -> Iterator[Tuple[int, int]]:
    """Where the page of the ``adrp`` at *index* is made a full address within the next few instructions."""
    register = words[index] & 31
    page = named_address(Operand.ADRP, words[index], address + 4 * index)
    for later in range(index + 1, min(index + 1 + _PAIR_WINDOW, len(words))):
        low = low_half(words[later], register)
        row = _notable[words[later]] if low >= 0 else None
        if low >= 0 and (row is None or row.valid):
            yield address + 4 * later, (page + low) & _ADDRESS
        if words[later] & 31 == register:
            return


def _add_pairs(notes: Notes, view: memoryview, address: int, pages: Pages) -> None:
    """Put the full addresses made of *pages* (where the ``adrp`` stand) between the other references."""
    found = list(zip(notes.reference_addresses, notes.reference_targets))
    for page in pages:
        offset = page - address
        words, _ = _host_words(view[offset : offset + 4 * (1 + _PAIR_WINDOW)])
        found += _pairs(words, 0, page)
    found.sort()
    notes.reference_addresses = array("Q", [place for place, _ in found])
    notes.reference_targets = array("Q", [target for _, target in found])


def _run(notes: Notes, view: memoryview, address: int) -> None:
    """Add to *notes* what the words of *view* say, the first being at *address*."""
    pages: Pages = array("Q")
    for start in range(0, len(view), 4 * _CHUNK):
        words, halves = _host_words(view[start : start + 4 * _CHUNK])
        _look(notes, words, halves, address + start, pages)
    if pages:
        _add_pairs(notes, view, address, pages)


def _code_ranges(start: int, end: int, data: Sequence[Tuple[int, int]]) -> Iterator[Tuple[int, int]]:
    """What of [start, end) is not covered by the sorted ranges *data*."""
    for low, high in data:
        if high > start and low < end:
            if low > start:
                yield start, low
            start = max(start, high)
    if start < end:
        yield start, end


def _host_words(code: memoryview) -> Tuple[Sequence[int], List[int]]:
    """The little-endian words of *code*, and their upper halves."""
    if sys.byteorder == "little":
        return code.cast("I"), code.cast("H")[1::2].tolist()
    words = array("I", code.tobytes())
    words.byteswap()
    return words, [word >> 16 for word in words]


def sweep(code: Bytes, address: int, entries: Sequence[int] = (), data: Sequence[Tuple[int, int]] = ()) -> Sweep:
    """One linear pass over *code*, which stands at *address*.

    :param entries: known instruction starts; without use here, as every ARM64 instruction is an aligned word.
    :param data: sorted (start, end) addresses of data between the code (mapping symbols ``$d``), passed over.
    """
    del entries
    view = memoryview(code).cast("B")
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
            _run(notes, part, first)
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
