"""Where the pointers of one function come from, and at which displacement from there memory is read and written.

A light pass over every instruction of a function, reached or not: registers and stack slots hold a pointer that came in
as an argument, was read from memory or returned by a call, plus a constant. No values, no facts, no calls followed.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, NamedTuple, Optional, Set, Tuple

# Beginnings of pointers: an argument in register n (n), an argument on the stack (STACKED + n), what the instruction at
# n read or the call there returned (MADE + n), or one of the negative ones.
STACKED = 32
MADE = 1 << 10
# Not a pointer but a number from 0 to n (MASKED + n), of which an AND left no more.
MASKED = 1 << 52
MASKED_MOST = 1 << 12
UNKNOWN = -1
FRAME = -2
STATIC = -3
NUMBER = -4
# What an index adds to: the other register may be the pointer.
INDEXED = -5


class Pointer(NamedTuple):
    """``offset`` bytes from the beginning ``root``; ``None``: somewhere inside."""

    root: int
    offset: Optional[int]


Pointers = FrozenSet[Pointer]
ANY: Pointers = frozenset([Pointer(UNKNOWN, 0)])


class Access(NamedTuple):
    """The instruction at ``at`` reads or writes ``size`` bytes at ``pointer``."""

    at: int
    store: bool
    pointer: Pointer
    size: int


class Passed(NamedTuple):
    """A call or a jump out of the function at ``at`` hands ``pointer`` over, where the callee finds it at ``place``.

    ``place`` is the root the pointer has there; ``target`` is the function in this file, ``None`` where it is
    elsewhere; ``name`` that of an import.
    """

    at: int
    target: Optional[int]
    name: Optional[str]
    place: int
    pointer: Pointer


class Uses:
    """What one function does with pointers."""

    def __init__(self, function: int) -> None:
        self.function = function
        self.accesses: Set[Access] = set()
        self.passed: Set[Passed] = set()
        # Pointers written to memory, and blocks of memory that one instruction fills with something else than zeros or
        # copies from a variable: (at, pointer), (at, pointer, bytes where that is known).
        self.kept: Set[Tuple[int, Pointer]] = set()
        self.filled: Set[Tuple[int, Pointer, Optional[int]]] = set()
        # The last byte, from the beginning of what the base points to, at which an instruction with an index that was
        # masked accesses memory; ``None`` where the index is not always masked.
        self.bounds: Dict[int, Optional[int]] = {}
        # By how much pointers are moved: (root, bytes).
        self.moved: Set[Tuple[int, int]] = set()
        # What indirect calls jump to.
        self.called: Dict[int, Pointers] = {}
        # What the function returns.
        self.returned: Set[Pointer] = set()
        # Registers that hold at every return what they held at the beginning; ``None``: none was seen yet.
        self.keeps: Optional[FrozenSet[int]] = None
        # Whether every byte of it could be read as instructions.
        self.complete = True

    def reaches(self, at: int, last: Optional[int]) -> None:
        """Take note of how far the instruction at *at* reaches, see ``bounds``; ``None``: nobody knows."""
        known = self.bounds.get(at, last)
        self.bounds[at] = None if known is None or last is None else max(known, last)


def last_byte(pointers: Pointers, numbers: Pointers, scale: int, displacement: int) -> Optional[int]:
    """The last byte that *pointers* and an index of *numbers* lead to, where the index was masked."""
    if scale == 1 and all(pointer.root >= MASKED for pointer in pointers):
        pointers, numbers = numbers, pointers
    begins = [pointer.offset for pointer in pointers if pointer.root < MASKED and pointer.offset is not None]
    masks = [number.root - MASKED for number in numbers if number.root >= MASKED]
    if len(begins) < len(pointers) or len(masks) < len(numbers):
        return None
    return max(begins) + max(masks) * scale + displacement
