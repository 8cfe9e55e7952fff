"""How the automaton's entries are packed into integers, and what a finished instruction is called and needs.

An entry of the table that both engines walk is

* negative: go on with the next byte in the 256 entries from ``-entry`` on;
* :data:`INVALID`: no encoding matches;
* low four bits zero: not built yet; ``entry >> 4`` is the number to hand to ``States.grow``, then walk again;
* else a leaf, packed as the ``*_SHIFT`` constants say: bytes that remain including this one (low four bits), flow,
  size of the relative target or kind of address that follows the current byte, requirement. A leaf below 16 is an
  instruction with nothing to note.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, List, NamedTuple

from .prefixes import Prefixes, immediate_of
from .rows import Row

INVALID = 0x7FFFFFF0
FLOW_SHIFT, FLOW_MASK = 4, 7
TARGET_SHIFT, TARGET_MASK = 7, 15
REFERENCE_SHIFT, REFERENCE_MASK = 11, 7
SUFFIX_BIT = 1 << 14
LONG_BIT = 1 << 15
REQUIREMENT_SHIFT = 16

#: Values of the reference field: how the four (or eight) bytes after the current one name an address.
REFERENCE_RELATIVE, REFERENCE_RELATIVE_32, REFERENCE_ABSOLUTE, REFERENCE_ABSOLUTE_64 = range(1, 5)

#: From so many prefixes on, lengths are checked against :data:`.prefixes.LONGEST`.
MANY = 4
#: Address size of a leaf whose ModRM byte names registers only, whatever mod says.
NO_OPERAND = 0


class Requirements:
    """Interns sets of features as small integers; 0 is the empty set. One table for both modes."""

    def __init__(self) -> None:
        self.sets: List[FrozenSet[str]] = [frozenset()]
        self.numbers: Dict[FrozenSet[str], int] = {frozenset(): 0}

    def number(self, features: FrozenSet[str]) -> int:
        """The number of *features*, new if need be."""
        found = self.numbers.get(features)
        if found is None:
            found = self.numbers[features] = len(self.sets)
            self.sets.append(features)
        return found


REQUIREMENTS = Requirements()


class Identity(NamedTuple):
    """What an instruction is called and needs."""

    mnemonic: str
    features: FrozenSet[str]


def identity_of(row: Row, *, apx: bool = False) -> Identity:
    """Name and features of *row*; *apx*: with a prefix or register that only APX has."""
    features = frozenset(row.features)
    return Identity(row.mnemonic, features | {"apxf"} if apx and row.mnemonic != "unknown" else features)


class Leaf(NamedTuple):
    """An instruction whose operand bytes are still to be counted."""

    bits: int
    immediate: int
    address_size: int
    mode: int
    segment: bool

    def value(self, length: int, *, addressed: bool = False, relative: bool = False) -> int:
        """The packed entry: *length* bytes up to the displacement's end, the immediate follows.

        *addressed*: the displacement is a disp32 without base register, *relative* to the instruction pointer or not.
        """
        bits = self.bits
        if relative:
            kind = REFERENCE_RELATIVE if self.address_size == 64 else REFERENCE_RELATIVE_32
            bits |= kind << REFERENCE_SHIFT
        elif addressed and not self.segment:
            bits |= REFERENCE_ABSOLUTE << REFERENCE_SHIFT
        return bits | length + self.immediate


def leaf_of(row: Row, prefixes: Prefixes, lowest: FrozenSet[str], *, apx: bool = False) -> Leaf:
    """What *row* means after *prefixes*; features within *lowest* are no requirement."""
    features = identity_of(row, apx=apx).features
    number = 0 if features <= lowest else REQUIREMENTS.number(features)
    size, target = immediate_of(row.immediate, prefixes)
    bits = row.flow << FLOW_SHIFT | target << TARGET_SHIFT | number << REQUIREMENT_SHIFT
    if row.immediate == "moffs" and not prefixes.segment:
        bits |= (REFERENCE_ABSOLUTE_64 if size == 8 else REFERENCE_ABSOLUTE) << REFERENCE_SHIFT
    if prefixes.depth >= MANY:
        bits |= LONG_BIT
    address_size = NO_OPERAND if row.place == "i" else prefixes.address_size
    return Leaf(bits, size, address_size, prefixes.mode, prefixes.segment)
