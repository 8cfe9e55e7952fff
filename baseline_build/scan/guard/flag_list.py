"""Follows one list of the addresses of flags to all that reaches it, see :mod:`.kept`."""

from __future__ import annotations

from math import gcd
from typing import FrozenSet, List, Optional, Set, Tuple

from .handing import FLAG, LIST, VARIABLE, Handing, handed, read_through
from .pointers import FRAME, INDEXED, MADE, NUMBER, STATIC, UNKNOWN, Access, Passed, Pointer, Uses
from .program import Program
from .weakening import weakens

_MAX_ITEMS = 200
# A pointer: the function it is met in, and its root there; ``None``: the variable at the second number.
Item = Tuple[Optional[int], int]


def item_of(function: int, root: int, offset: Optional[int]) -> Optional[Item]:
    """A pointer as an item; ``None`` for numbers."""
    if root == STATIC and offset is not None:
        return None, offset
    return None if root == NUMBER else (function, root)


class FlagList:
    """Follows one list to all that reaches it."""

    def __init__(self, handing: Handing, beginnings: FrozenSet[Item]) -> None:
        self.handing = handing
        self.program = handing.program
        self.flow = handing.flow
        self.items: Set[Item] = set()
        self.waiting: List[Item] = []
        for item in beginnings:
            self._add(item)
        self._members = self._displacements({function for function, _ in beginnings if function is not None})
        self._stride = gcd(*(one - other for one in self._members for other in self._members), 0)

    def _add(self, item: Item) -> None:
        if item not in self.items:
            self.items.add(item)
            self.waiting.append(item)

    def _displacements(self, functions: Set[int]) -> FrozenSet[int]:
        """Where in its records the list has addresses of variables, as the instructions that put them there say."""
        found: Set[int] = set()
        for function in functions:
            uses = self.flow.of(function)
            variables = {
                at
                for at, pointer in uses.kept
                if pointer.root == STATIC and pointer.offset is not None and self._is_variable(pointer.offset)
            }
            for access in uses.accesses:
                if access.at in variables and access.store and access.pointer.root not in (STATIC, FRAME, NUMBER):
                    found.update(_displacements(self.program, access.at))
        return frozenset(found)

    def _is_variable(self, address: int) -> bool:
        contents = self.program.contents
        return contents.is_mapped(address) and not contents.is_constant(address)

    def _may_be_flag(self, uses: Uses, access: Access) -> bool:
        """Whether a pointer that is read from the list may be the address of a flag: it is told by its displacement."""
        if not self._members or not self._stride:
            return True
        roots = {root for function, root in self.items if function == uses.function}
        if any(root in roots and by % self._stride for root, by in uses.moved):
            return True
        places = (
            [access.pointer.offset] if access.pointer.offset is not None else _displacements(self.program, access.at)
        )
        return any((place - one) % self._stride == 0 for place in places for one in self._members)

    def holds(self) -> bool:
        """Whether everything that is written through the list is weakened."""
        while self.waiting:
            function, root = self.waiting.pop()
            if len(self.items) > _MAX_ITEMS:
                return False
            if not (self._variable(root) if function is None else self._pointer(function, root)):
                return False
        return True

    def _variable(self, address: int) -> bool:
        """A variable that holds the list."""
        program = self.program
        if program.contents.is_constant(address):
            # What is only read holds no list that code put there.
            return True
        if not program.contents.is_mapped(address) or address in program.image.exports.values():
            return False
        if next(program.data_pointers(address, address + 8), None) is not None:
            return False
        for function in {program.function_of(at) for _, at in program.references(address, address + 8)}:
            uses = self.flow.of(function)
            if not uses.complete or any(pointer == Pointer(STATIC, address) for _, pointer in uses.kept):
                return False
            for access in uses.accesses:
                if not access.store and access.pointer == Pointer(STATIC, address) and access.size == 8:
                    self._add((function, MADE + access.at))
            for one in handed(uses):
                if (
                    one.pointer == Pointer(STATIC, address)
                    and self.handing.looks_at(one)
                    and not self.handing.may_be_handed(one, VARIABLE)
                ):
                    return False
        return True

    def _pointer(self, function: int, root: int) -> bool:
        """A pointer into the list, met in *function*."""
        uses = self.flow.of(function)
        if root in (FRAME, UNKNOWN) or not uses.complete or not self._comes_from(uses, root):
            return False
        for at, pointer in uses.kept:
            if pointer.root == root and not self._put_away(uses, function, at):
                return False
        for one in handed(uses):
            if one.pointer.root == root and self.handing.looks_at(one) and not self._handed(uses, function, one):
                return False
        if any(pointer.root == root for pointer in uses.returned) and not self._returned(function):
            return False
        return all(
            self._entry(uses, function, MADE + access.at)
            # What is read through a pointer nothing is known of may come from the list, too.
            for access in (*read_through(uses, root), *read_through(uses, UNKNOWN))
            if self._may_be_flag(uses, access)
        )

    def _comes_from(self, uses: Uses, root: int) -> bool:
        """What made the pointer: a call, or a variable it was read from."""
        if root < MADE:
            return False
        step = self.program.step(root - MADE)
        if step is None or step.operations[-1][0] in ("call", "calli"):
            return step is not None
        for access in uses.accesses:
            if access.at != root - MADE or access.store:
                continue
            if access.pointer.root != STATIC or access.pointer.offset is None:
                return False
            self._add((None, access.pointer.offset))
        return True

    def _put_away(self, uses: Uses, function: int, at: int) -> bool:
        """The list is stored by the instruction at *at*: to a variable, or in itself."""
        for access in uses.accesses:
            if access.at != at or not access.store:
                continue
            item = item_of(function, access.pointer.root, access.pointer.offset)
            if access.pointer.root == INDEXED:
                continue
            if item is not None and item[0] is None:
                self._add(item)
            elif item not in self.items:
                return False
        return True

    def _handed(self, uses: Uses, function: int, passed: Passed) -> bool:
        """The list is handed over: what comes back, and what else is handed over with it, may be the list too."""
        if not self.handing.may_be_handed(passed, LIST):
            return False
        if self.handing.is_slot(passed):
            return True
        places = self.handing.assigned(passed)
        if not places:
            self._add((function, MADE + passed.at))
        for one in handed(uses):
            if one.at != passed.at or one.pointer.root in (UNKNOWN, NUMBER) or one.pointer == passed.pointer:
                continue
            if one.place not in places if places else not self.handing.looks_at(one):
                continue
            if one.pointer.root == FRAME:
                return False
            if one.pointer.root == STATIC and one.pointer.offset is not None:
                self._add((None, one.pointer.offset))
        return True

    def _returned(self, function: int) -> bool:
        program = self.program
        if function in program.entrances or next(program.pointers(function, function + 1), None) is not None:
            return False
        if next(program.code_references(function, function + 1), None) is not None:
            return False
        for _, at in program.transfers(function, function + 1):
            self._add((program.function_of(at), MADE + at))
        return True

    def _entry(self, uses: Uses, function: int, root: int) -> bool:
        """What was read from the list, perhaps the address of a flag."""
        for access in uses.accesses:
            if not access.store or access.pointer.root != root:
                continue
            if access.pointer.offset != 0 or not weakens(self.program, function, access.at):
                return False
        if any(pointer.root == root for pointer in uses.returned):
            return False
        for at, pointer in uses.kept:
            if pointer.root == root and not any(
                access.at == at and access.store and (function, access.pointer.root) in self.items
                for access in uses.accesses
            ):
                return False
        return all(
            self.handing.may_be_handed(one, FLAG)
            for one in handed(uses)
            if one.pointer.root == root and self.handing.looks_at(one)
        )


def _displacements(program: Program, at: int) -> List[int]:
    """The displacements of the memory operands of the instruction at *at*."""
    step = program.step(at)
    operands = [item for one in step.operations for item in one[1:] if isinstance(item, tuple)] if step else []
    return [operand[4] for operand in operands if operand and operand[0] == "m"]
