"""The portable x86 engine: one pass over code in pure Python, and one instruction.

The pass walks the automaton of :mod:`.states` in a tight loop; most instructions are plain and cost one lookup a byte
up to ModRM. The compiled engine walks the same entries.
"""

from __future__ import annotations

import struct
from array import array
from typing import FrozenSet, Iterable, List, Optional, Sequence, Tuple

from .. import notes
from ..model import Flow, Instruction, Sweep
from ..notes import ADDRESSES, Bytes
from .automaton import states
from .entries import (
    FLOW_MASK,
    FLOW_SHIFT,
    INVALID,
    LONG_BIT,
    REFERENCE_ABSOLUTE_64,
    REFERENCE_MASK,
    REFERENCE_RELATIVE,
    REFERENCE_RELATIVE_32,
    REFERENCE_SHIFT,
    REQUIREMENT_SHIFT,
    REQUIREMENTS,
    SUFFIX_BIT,
    TARGET_MASK,
    TARGET_SHIFT,
)
from .prefixes import LONGEST, TARGET_16, TARGET_ABSOLUTE
from .states import States

_PADDING = bytes(32)
_INT32 = struct.Struct("<i")


def requirement(number: int) -> FrozenSet[str]:
    """The feature set that ``Sweep.mark_requirements`` calls *number*."""
    return REQUIREMENTS.sets[number]


class Notes(notes.Notes):
    """What a pass has found so far; both engines fill one."""

    def __init__(self) -> None:
        super().__init__()
        self.mark_lengths = array("B")
        self.branch_lengths = array("B")

    def sweep(self) -> Sweep:
        """The result as the room's model."""
        return self.told(self.mark_lengths, self.branch_lengths)

    def note(self, machine: States, code: bytes, base: int, start: int, last: int, entry: int, limit: int) -> int:
        """Takes in the instruction at ``code[start:]`` whose last looked-at byte is ``code[last]``.

        Returns its length, 0 where it is none or would run over *limit*. *base* is the address of ``code[0]``.
        """
        length = last - start + (entry & 15)
        end = start + length
        number = entry >> REQUIREMENT_SHIFT
        if end > limit or (entry & LONG_BIT and length > LONGEST):
            return 0
        if entry & SUFFIX_BIT:
            number = machine.suffixes[code[end - 1]]
            if number < 0:
                return 0
        address = base + start
        if number:
            self.mark_addresses.append(address & ADDRESSES)
            self.mark_lengths.append(length)
            self.mark_requirements.append(number)
        flow = entry >> FLOW_SHIFT & FLOW_MASK
        if flow:
            self.branch_addresses.append(address & ADDRESSES)
            self.branch_lengths.append(length)
            self.branch_flows.append(flow)
            kind = entry >> TARGET_SHIFT & TARGET_MASK
            if kind == 1 and machine.mode == 64:  # most branches are short, and most calls are near
                self.branch_targets.append(base + end + (code[last + 1] ^ 128) - 128 & ADDRESSES)
            elif kind:
                self.branch_targets.append(target_of(machine.mode, code, base, last, end, entry) or 0)
            else:
                self.branch_targets.append(0)
        if entry >> REFERENCE_SHIFT & REFERENCE_MASK:
            self.reference_addresses.append(address & ADDRESSES)
            self.reference_targets.append(reference_of(code, base, last, end, entry) or 0)
        return length


def _signed(code: bytes, at: int) -> int:
    """The signed number of four bytes at ``code[at:]``."""
    value: int
    (value,) = _INT32.unpack_from(code, at)
    return value


def target_of(mode: int, code: bytes, base: int, last: int, end: int, entry: int) -> Optional[int]:
    """Where a direct jump, branch or call goes, ``None`` where the instruction does not say."""
    kind = entry >> TARGET_SHIFT & TARGET_MASK
    if not kind:
        return None
    if kind == TARGET_ABSOLUTE:
        return int.from_bytes(code[last + 1 : last + 9], "little")
    if kind == 4:
        return base + end + _signed(code, last + 1) & (ADDRESSES if mode == 64 else 0xFFFFFFFF)
    size = 2 if kind == TARGET_16 else kind
    target = base + end + int.from_bytes(code[last + 1 : last + 1 + size], "little", signed=True)
    if kind == TARGET_16:
        return target & 0xFFFF
    return target & (ADDRESSES if mode == 64 else 0xFFFFFFFF)


def reference_of(code: bytes, base: int, last: int, end: int, entry: int) -> Optional[int]:
    """The address that an operand without base register names, else ``None``."""
    kind = entry >> REFERENCE_SHIFT & REFERENCE_MASK
    if not kind:
        return None
    if kind == REFERENCE_ABSOLUTE_64:
        return int.from_bytes(code[last + 1 : last + 9], "little")
    if kind == REFERENCE_RELATIVE:
        return base + end + _signed(code, last + 1) & ADDRESSES
    if kind == REFERENCE_RELATIVE_32:
        return base + end + _signed(code, last + 1) & 0xFFFFFFFF
    return int.from_bytes(code[last + 1 : last + 5], "little")


def stretches(
    size: int, address: int, entries: Sequence[int], data: Iterable[Tuple[int, int]]
) -> List[Tuple[int, int]]:
    """Offsets (start, end) of the runs to decode: *size* bytes cut at *entries*, without the ranges of *data*."""
    inside = {entry - address for entry in entries}
    inside.add(0)
    cuts = [cut for cut in sorted(inside) if 0 <= cut < size]
    gaps = sorted((max(start - address, 0), min(end - address, size)) for start, end in data)
    if not gaps:
        return list(zip(cuts, [*cuts[1:], size]))
    runs: List[Tuple[int, int]] = []
    gap = 0
    for number, cut in enumerate(cuts):
        start, end = cut, cuts[number + 1] if number + 1 < len(cuts) else size
        while gap < len(gaps) and gaps[gap][1] <= start:
            gap += 1
        look = gap
        while look < len(gaps) and gaps[look][0] < end:
            if gaps[look][0] > start:
                runs.append((start, gaps[look][0]))
            start = max(start, gaps[look][1])
            look += 1
        if start < end:
            runs.append((start, end))
    return runs


def sweep(
    mode: int, code: Bytes, address: int, entries: Sequence[int] = (), data: Sequence[Tuple[int, int]] = ()
) -> Sweep:
    """One linear pass over *code*, whose first byte lies at *address*, in *mode* 64 or 32.

    *entries*: addresses where an instruction is known to start; *data*: (start, end) addresses to pass over; sorted.
    """
    notes = Notes()
    machine = states(mode)
    text = bytes(code) + _PADDING
    for start, limit in stretches(len(code), address, entries, data):
        _pass(notes, machine, text, address, start, limit)
    return notes.sweep()


def _pass(notes: Notes, machine: States, code: bytes, base: int, start: int, limit: int) -> None:
    table = machine.entries
    note = notes.note
    count = 0
    here = start
    while here < limit:
        place = start = here
        entry = table[code[place]]
        while entry < 0:
            place += 1
            entry = table[code[place] - entry]
        if entry < 16:
            here = place + entry
            count += 1
        elif entry & 15:
            length = note(machine, code, base, start, place, entry, limit)
            if length:
                here = start + length
                count += 1
            else:
                here = _stumble(notes, base, start, limit, place + (entry & 15))
        elif entry == INVALID:
            notes.skip(base + start, 1)
            here = start + 1
        else:
            machine.grow(entry >> 4)
    if here > limit:
        # A plain instruction that would run over the end: its bytes are not code.
        count -= 1
        notes.skip(base + start, limit - start)
    notes.instructions += count


def _stumble(notes: Notes, base: int, start: int, limit: int, end: int) -> int:
    """Passes over an instruction that is none: up to *limit* where it would run over it, else one byte."""
    length = limit - start if end > limit else 1
    notes.skip(base + start, length)
    return start + length


def instruction(mode: int, code: Bytes, address: int, offset: int = 0) -> Instruction:
    """The instruction at ``code[offset:]``; *address* is that of ``code[0]``. See the room's text."""
    available = len(code) - offset
    window = bytes(code[offset : offset + LONGEST]) + _PADDING
    place = address + offset
    machine = states(mode)
    entry, steps = walk(machine, window)
    last = len(steps) - 1
    length = last + (entry & 15)
    if entry == INVALID or length > min(LONGEST, available) or _no_suffix(machine, window, length, entry):
        return Instruction(place, 1, "(bad)", frozenset(), Flow.NEXT, None, None, False)
    suffixed = entry & SUFFIX_BIT
    mnemonic, features = machine.suffix_identity(window[length - 1]) if suffixed else machine.identity(steps)
    return Instruction(
        place,
        length,
        mnemonic,
        features,
        Flow(entry >> FLOW_SHIFT & FLOW_MASK),
        target_of(mode, window, place, last, length, entry),
        reference_of(window, place, last, length, entry),
        True,
    )


def walk(machine: States, window: bytes) -> Tuple[int, List[Tuple[int, int]]]:
    """The leaf (or :data:`~.states.INVALID`) that the bytes lead to, and the way there: (state, byte) each."""
    table = machine.entries
    while True:
        steps = [(0, window[0])]
        entry = table[window[0]]
        while entry < 0:
            byte = window[len(steps)]
            steps.append((-entry, byte))
            entry = table[byte - entry]
        if entry & 15 or entry == INVALID:
            return entry, steps
        machine.grow(entry >> 4)


def _no_suffix(machine: States, window: bytes, length: int, entry: int) -> bool:
    return bool(entry & SUFFIX_BIT) and machine.suffixes[window[length - 1]] < 0
