"""What becomes of a pointer that is handed over in a call, see :mod:`.kept`."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterator, Optional, Set, Tuple

from .pointer_flow import PointerFlow
from .pointers import MADE, STACKED, STATIC, UNKNOWN, Access, Passed, Pointer, Uses
from .program import Program
from .returning import Returning

_MAX_DEPTH = 8
_MAX_LOADS = 3
_COPIES = frozenset(["memcpy", "memmove", "__memcpy_chk", "__memmove_chk", "realloc", "free"])
# How many steps from a pointer to a flag: the flag's own address, an entry of the list, a variable that holds the list.
FLAG, LIST, VARIABLE = 1, 2, 3


class Handing:
    """Answers for one file."""

    def __init__(self, program: Program, flow: PointerFlow, returning: Returning) -> None:
        self.program = program
        self.returning = returning
        self.flow = flow
        self._looked_at: Dict[Tuple[int, int], bool] = {}
        self._pairs: Dict[int, FrozenSet[Tuple[int, int]]] = {}
        self._harmless: Dict[Tuple[int, int, int], bool] = {}

    def harmless(self, function: int, place: int, level: int, depth: int = 0) -> bool:
        """Whether the function writes nothing through a pointer it is handed at *place*, or reads from there."""
        key = (function, place, level)
        known = self._harmless.get(key)
        if known is None:
            self._harmless[key] = True
            known = depth < _MAX_DEPTH and self._leaves_alone(function, place, level, depth)
            self._harmless[key] = known
        return known

    def _leaves_alone(self, function: int, root: int, level: int, depth: int) -> bool:
        uses = self.flow.of(function)
        if not uses.complete:
            return False
        if level == FLAG and any(access.store and access.pointer.root == root for access in uses.accesses):
            return False
        if level == FLAG and any(pointer.root == root for pointer in uses.returned):
            return False
        if level > FLAG and any(pointer.root == root for _, pointer in uses.kept):
            return False
        if level == FLAG and _kept_in_variable(uses, root):
            return False
        if level > FLAG:
            for access in read_through(uses, root):
                if not self._leaves_alone(function, MADE + access.at, level - 1, depth + 1):
                    return False
        return all(
            self.may_be_handed(one, level, depth)
            for one in handed(uses)
            if one.pointer.root == root and self.looks_at(one)
        )

    def may_be_handed(self, passed: Passed, level: int, depth: int = 0) -> bool:
        """Whether a call that hands a pointer over does no harm."""
        if passed.target is None:
            return (passed.name in _COPIES and level > FLAG) or self._never_happens(passed.at)
        if any(passed.place in pair for pair in self._assignments(passed.target)):
            return True
        if not self.returning.returns(passed.target):
            # The program ends there.
            return True
        return self.harmless(passed.target, passed.place, level, depth + 1)

    def _never_happens(self, at: int) -> bool:
        """Whether the indirect call at *at* goes through a variable that nothing ever writes and that is 0."""
        uses = self.flow.of(self.program.function_of(at))
        places = {pointer.root for pointer in uses.called.get(at, frozenset([Pointer(UNKNOWN, 0)]))}
        for _ in range(_MAX_LOADS):
            if not all(root >= MADE for root in places):
                return False
            loads = [one for one in uses.accesses if not one.store and MADE + one.at in places]
            if len({one.at for one in loads}) != len(places):
                return False
            if all(one.pointer.root == STATIC for one in loads):
                return all(self._stays_null(one.pointer.offset) for one in loads)
            places = {one.pointer.root for one in loads}
        return False

    def _stays_null(self, address: Optional[int]) -> bool:
        """Whether the pointer variable at *address* is 0 for ever: the file only reads it, and nobody else knows it."""
        program = self.program
        if address is None or program.contents.at(address, 8) or address in program.image.exports.values():
            return False
        low = program.referred_below(address)
        if low != address or next(program.data_pointers(address, address + 8), None) is not None:
            return False
        for target, at in program.references(address, address + 8):
            step = program.step(at)
            if step is None or not program.accesses_only(at, target, address + 8):
                return False
            if any(one[0] != "cmp" and one[1][0] == "m" for one in step.operations if one[0] in ("mov", "cmp")):
                return False
            if any(one[0] not in ("mov", "cmp", "test") for one in step.operations):
                return False
        return True

    def looks_at(self, passed: Passed, depth: int = 0) -> bool:
        """Whether a function does anything with what a call hands over in this place."""
        if passed.target is None:
            return True
        key = (passed.target, passed.place)
        known = self._looked_at.get(key)
        if known is None:
            self._looked_at[key] = False
            uses = self.flow.of(passed.target)
            met = {access.pointer.root for access in uses.accesses} | {pointer.root for _, pointer in uses.kept}
            known = passed.place in met or depth > _MAX_DEPTH
            # What a function saves for its caller it neither returns nor hands on, though it is still in its register.
            if not known and passed.place not in self.flow.keeps(passed.target):
                known = any(pointer.root == passed.place for pointer in uses.returned) or any(
                    one.pointer.root == passed.place and self.looks_at(one, depth + 1) for one in handed(uses)
                )
            self._looked_at[key] = known
        return known

    def assigned(self, passed: Passed) -> FrozenSet[int]:
        """The places of addresses handed along to which the function writes what it is handed."""
        pairs = self._assignments(passed.target) if passed.target is not None else frozenset()
        return frozenset(slot for place, slot in pairs if place == passed.place)

    def is_slot(self, passed: Passed) -> bool:
        """Whether the function writes what else it is handed to this address, which is all it does with it."""
        pairs = self._assignments(passed.target) if passed.target is not None else frozenset()
        return any(slot == passed.place for _, slot in pairs)

    def _assignments(self, function: int) -> FrozenSet[Tuple[int, int]]:
        """(what, where): the function is an assignment, it writes what it is handed to an address it is handed."""
        known = self._pairs.get(function)
        if known is None:
            uses = self.flow.of(function)
            known = self._pairs[function] = self._assigned_here(uses) or self._assigned_by_others(uses)
        return known

    @staticmethod
    def _assigned_here(uses: Uses) -> FrozenSet[Tuple[int, int]]:
        return frozenset(
            (pointer.root, access.pointer.root)
            for at, pointer in uses.kept
            if 0 <= pointer.root < MADE and pointer.offset == 0
            for access in uses.accesses
            if access.at == at and access.store and 0 <= access.pointer.root < MADE and access.pointer.offset == 0
        )

    def _assigned_by_others(self, uses: Uses) -> FrozenSet[Tuple[int, int]]:
        """The same for a function that hands both on to an assignment."""
        found: Set[Tuple[int, int]] = set()
        for one in handed(uses):
            if one.target is None or not 0 <= one.pointer.root < MADE or one.pointer.offset:
                continue
            for what, where in self._assigned_here(self.flow.of(one.target)):
                if one.place == what:
                    found.update(
                        (one.pointer.root, other.pointer.root)
                        for other in handed(uses)
                        if (other.at, other.place, other.pointer.offset) == (one.at, where, 0)
                        and 0 <= other.pointer.root < MADE
                    )
        return frozenset(found)


def _kept_in_variable(uses: Uses, root: int) -> bool:
    """Whether a pointer of *root* is written to a variable of the file."""
    places = {at for at, pointer in uses.kept if pointer.root == root}
    return any(one.at in places and one.store and one.pointer.root == STATIC for one in uses.accesses)


def handed(uses: Uses) -> Iterator[Passed]:
    """What calls hand over, without what lies in the caller's own arguments on the stack: those are its caller's."""
    return (
        one
        for one in uses.passed
        if one.place < STACKED or not STACKED <= one.pointer.root < MADE or one.place == one.pointer.root
    )


def read_through(uses: Uses, root: int) -> Iterator[Access]:
    """Pointers read from where a pointer of *root* leads to."""
    return (one for one in uses.accesses if not one.store and one.pointer.root == root and one.size == 8)
