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
    """``offset`` bytes from the beginning ``root``; ``None``: somewhere inside, but not behind byte ``last``."""

    root: int
    offset: Optional[int]
    last: Optional[int] = None


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


class Filled(NamedTuple):
    """The instruction at ``at`` fills a block of ``size`` bytes, where that is known, at ``pointer``.

    ``source`` is where it copies from; ``None``: it fills the block with something else than zeros.
    """

    at: int
    pointer: Pointer
    size: Optional[int]
    source: Optional[Pointer]


class Uses:
    """What one function does with pointers."""

    def __init__(self, function: int) -> None:
        self.function = function
        self.accesses: Set[Access] = set()
        self.passed: Set[Passed] = set()
        # Pointers written to memory: (at, pointer).
        self.kept: Set[Tuple[int, Pointer]] = set()
        self.filled: Set[Filled] = set()
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


_MAX_CHOICES = 3
_WORD = (1 << 64) - 1


def signed(number: int) -> int:
    """*number* of 64 bits as a signed one."""
    number &= _WORD
    return number - (1 << 64) if number >> 63 else number


def either(first: Pointers, second: Pointers) -> Pointers:
    """What is one of *first* or of *second*."""
    both = first | second
    if len(both) > _MAX_CHOICES:
        both = frozenset(Pointer(pointer.root, None) for pointer in both)
    return both


def moved(pointers: Pointers, count: int) -> Pointers:
    """*pointers* *count* bytes further."""
    return frozenset(
        Pointer(root, None if offset is None else signed(offset + count), None if last is None else last + count)
        for root, offset, last in pointers
    )


def moved_somewhere(pointers: Pointers) -> Pointers:
    """*pointers*, nobody knows how much further."""
    return frozenset(Pointer(root, None) for root, _, _ in pointers)


def counted(pointers: Pointers, numbers: Pointers, scale: int, displacement: int) -> Pointers:
    """*pointers* moved by *displacement* and a number of *numbers*, times *scale*: not far where that was masked."""
    if scale == 1 and pointers and all(pointer.root >= MASKED for pointer in pointers):
        pointers, numbers = numbers, pointers
    masks = [number.root - MASKED for number in numbers if number.root >= MASKED]
    if not masks or len(masks) < len(numbers) or any(pointer.root >= MASKED for pointer in pointers):
        return moved_somewhere(pointers)
    count = displacement + max(masks) * scale

    def furthest(pointer: Pointer) -> Optional[int]:
        known = pointer.last if pointer.offset is None else pointer.offset
        return None if known is None else known + count

    return frozenset(Pointer(pointer.root, None, furthest(pointer)) for pointer in pointers)


class Held:
    """What registers and stack slots hold at one place."""

    __slots__ = ("registers", "slots")

    def __init__(self, registers: Dict[int, Pointers], slots: Dict[int, Pointers]) -> None:
        self.registers = registers
        self.slots = slots

    def copy(self) -> Held:
        """Another one that holds the same."""
        return Held(dict(self.registers), dict(self.slots))

    def join(self, other: Held) -> bool:
        """Take in what *other* holds; whether that is new."""
        changed = False
        for mine, theirs in ((self.registers, other.registers), (self.slots, other.slots)):
            for key, held in list(mine.items()):
                found = theirs.get(key)
                if found is held:
                    continue
                if found is None:
                    # What is not said may be anything.
                    del mine[key]
                    changed = True
                elif not found <= held:
                    mine[key] = either(held, found)
                    changed = changed or mine[key] != held
        return changed
