"""Where code holds numbers that may be displacements of members in large structures.

On x86-64 four bytes of an instruction are such a number. On ARM64 a word holds it in parts of its own, or two words
make it: one moves the pointer by a multiple of a page, the next one tells the rest (Arm ARM, DDI 0487, C4.1).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cached_property
from typing import FrozenSet, Iterator, List, NamedTuple, Sequence, Tuple

from ...decode.aarch64.addresses import low_half
from ...elf.reading import words_of
from ...isa import Machine, baseline_of
from .aarch64_operands import bit_mask
from .pointers import UNKNOWN
from .program import Program

# Displacements of one byte reach to 127 on x86-64; above, four bytes of the instruction tell the displacement.
SMALLEST = 128
_SHIFT = 40
_MASK = (1 << _SHIFT) - 1
# Four bytes that hold a number from SMALLEST to 2**20 - 1.
_SMALL_NUMBER = re.compile(
    rb"(?=((?:[\x80-\xff]\x00|[\x00-\xff][\x01-\xff])\x00\x00|[\x00-\xff]{2}[\x01-\x0f]\x00))", re.DOTALL
)
# lea r64, [r64 + disp32] and add r64, imm32 (Intel SDM vol. 2): what makes pointers into large structures.
# Those of the stack pointer (SIB byte 24, register 4 without REX.B) make none.
_DERIVED = re.compile(
    rb"[\x48-\x4f]\x8d(?:[\x80-\xbf](?<![\x84\x8c\x94\x9c\xa4\xac\xb4\xbc])|[\x84\x8c\x94\x9c\xa4\xac\xb4\xbc][^\x24])"
    rb"|(?:\x48\x81[\xc0-\xc3\xc5-\xc7]|\x49\x81[\xc0-\xc7]|\x48\x05)",
    re.DOTALL,
)
# What an access reaches from a pointer that was moved by pages: below it, and above.
_BELOW, _ABOVE = 1024, 0xFFF << 4
_STACK = ZERO = 31


class Span(NamedTuple):
    """Bytes of a structure, counted from its beginning: from ``low`` to below ``high``."""

    low: int
    high: int


class Numbers:
    """The numbers in one file; subclasses read the instructions of a machine."""

    # The largest displacement that is found.
    largest: int
    # Roots of pointers that may be any: on ARM64 more of them get lost on the way.
    lost: Tuple[int, ...] = ()

    def between(self, low: int, high: int) -> Iterator[int]:
        """Addresses of numbers from *low* to below *high*."""
        raise TypeError(low, high)

    def derived(self, high: int) -> Iterator[int]:
        """Instructions that move a pointer by :data:`SMALLEST` or more, but less than *high*."""
        raise TypeError(high)

    def hides(self, function: int) -> bool:
        """Whether *function* writes memory in a way that is not read: as long as the vectors are, or as a block."""
        raise TypeError(function)


class X86Numbers(Numbers):
    """x86-64."""

    largest = (1 << 20) - 1

    def __init__(self, program: Program) -> None:
        self.program = program
        packed: List[int] = []
        for region in program.image.regions:
            base = region.address
            packed.extend(
                int.from_bytes(match.group(1), "little") << _SHIFT | base + match.start()
                for match in _SMALL_NUMBER.finditer(bytes(region.data))
            )
        self._packed = sorted(packed)

    def between(self, low: int, high: int) -> Iterator[int]:
        """See :meth:`Numbers.between`."""
        return _between(self._packed, low, high)

    def derived(self, high: int) -> Iterator[int]:
        """See :meth:`Numbers.derived`."""
        for region in self.program.image.regions:
            data = bytes(region.data)
            for match in _DERIVED.finditer(data):
                number = int.from_bytes(data[match.end() : match.end() + 4], "little", signed=True)
                if SMALLEST <= number < high:
                    yield region.address + match.start()

    def hides(self, function: int) -> bool:
        """See :meth:`Numbers.hides`: string instructions are read."""
        del function
        return False


class Arm64Numbers(Numbers):
    """ARM64. Numbers of 64 KiB and more take two instructions to make, and are not looked for."""

    largest = (1 << 16) - 1
    lost = (UNKNOWN,)

    def __init__(self, program: Program) -> None:
        self.program = program
        held: List[int] = []
        moving: List[int] = []
        # Constants in registers, and where two registers are added: that moves a pointer, too.
        constants: List[int] = []
        sums: List[int] = []
        # What completes the address of a variable is no displacement.
        static = {at for _, sweep in program.code.sweeps for at in sweep.reference_addresses}
        for region in program.image.regions:
            for index, word in enumerate(words_of(region.data, 4)):
                at = region.address + 4 * index
                if word & 0xFF800000 == 0x91000000:
                    number = (word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)
                    if number >= SMALLEST and word >> 5 & 31 != _STACK and at not in static:
                        moving.append(number << _SHIFT | at)
                elif (word & 0x0A000000 == 0x08000000 or word & 0x1F000000 == 0x12000000) and at not in static:
                    found = [number << _SHIFT | at for number in _numbers(word) if number >= SMALLEST]
                    held.extend(found)
                    if word >> 25 & 7 == 1:
                        constants.extend(found)
                elif word & 0xFFE0FC00 == 0x8B000000:
                    sums.append(at)
        adding = {program.function_of(at) for at in sums}
        moving.extend(packed for packed in constants if program.function_of(packed & _MASK) in adding)
        self._moving = sorted(moving)
        self._held = sorted(held + moving)
        self._pages = [packed for packed in self._moving if not packed >> _SHIFT & 0xFFF]

    def between(self, low: int, high: int) -> Iterator[int]:
        """See :meth:`Numbers.between`; with pages from where the rest of an access may reach there."""
        yield from _between(self._held, low, high)
        yield from _between(self._pages, low - _ABOVE, high + _BELOW)

    def derived(self, high: int) -> Iterator[int]:
        """See :meth:`Numbers.derived`."""
        return _between(self._moving, SMALLEST, high)

    @cached_property
    def _hiding(self) -> FrozenSet[int]:
        program = self.program
        level = baseline_of(Machine.AARCH64)
        return frozenset(
            program.function_of(mark.address)
            for mark in (program.code.marks_above(level) if level is not None else ())
            if any(name == "mops" or name.startswith(("sve", "sme")) for name in mark.features)
        )

    def hides(self, function: int) -> bool:
        """See :meth:`Numbers.hides`: SVE, SME, and the instructions that copy and fill (FEAT_MOPS)."""
        return function in self._hiding


def numbers_of(program: Program) -> Numbers:
    """The numbers in the code of *program*."""
    return Arm64Numbers(program) if program.image.machine is Machine.AARCH64 else X86Numbers(program)


def _between(packed: Sequence[int], low: int, high: int) -> Iterator[int]:
    for index in range(bisect_left(packed, max(low, 0) << _SHIFT), bisect_left(packed, max(high, 0) << _SHIFT)):
        yield packed[index] & _MASK


def _numbers(word: int) -> Iterator[int]:
    """Numbers an ARM64 load, store or move tells: displacements, and constants that may become one."""
    source = word >> 5 & 31
    if word & 0x1F800000 == 0x12800000:
        if word >> 29 & 3 == 2 and not word >> 21 & 3:  # movz
            yield word >> 5 & 0xFFFF
    elif word & 0x7F800000 == 0x32000000:  # orr with a constant
        number = bit_mask(word >> 22 & 1, word >> 10 & 63, word >> 16 & 63, 64 if word >> 31 else 32)
        if source == ZERO and number is not None and number < 1 << 16:
            yield number
    elif source == _STACK:
        return
    elif word & 0x3B000000 == 0x39000000:
        yield low_half(word)
    elif word & 0x3B200000 == 0x38000000 or word & 0x3F200C00 == 0x19000000:
        yield (word >> 12 & 0x1FF ^ 0x100) - 0x100
    elif word & 0x3A000000 == 0x28000000:
        size = 2 + (word >> 30) if word >> 26 & 1 else 3 if word >> 31 else 2
        offset = (word >> 15 & 0x7F ^ 0x40) - 0x40 << size
        yield from (offset, offset + (1 << size))
