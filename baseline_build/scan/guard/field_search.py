"""Looks through a whole file for everything that may write one member of a structure, see :mod:`.fields`."""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from .displacements import SMALLEST, Numbers, Span
from .field_blocks import Blocks
from .field_variables import LARGEST_STORE, Variables
from .pointer_flow import PointerFlow
from .pointers import FRAME, INDEXED, MADE, NUMBER, STATIC, UNKNOWN, Access, Passed, Pointer
from .program import Program

_MAX_NAMES = 6
_MAX_DEPTH = 12
_MAX_STRUCTURES = 400
_MAX_STEPS = 1_500_000
_NEAR = 128
_OWN = (FRAME, STATIC, NUMBER)
# How far a function may move a pointer it was given before it hands it on.
_FURTHER = 1024


class Field(NamedTuple):
    """A member: ``size`` bytes at ``displacement``, standing at ``address`` for the analysis.

    ``writers`` and ``readers`` are instructions; a writer comes with the byte of the field it begins at.
    """

    address: int
    displacement: int
    size: int
    writers: Dict[int, Tuple[int, int]]
    readers: Dict[int, int]

    def functions(self, program: Program) -> Set[int]:
        """All functions that read or write it."""
        return {program.function_of(at) for at in (*self.writers, *self.readers)}


class Surroundings(NamedTuple):
    """What is looked up in the file around."""

    program: Program
    flow: PointerFlow
    numbers: Numbers
    blocks: Blocks
    variables: Variables


# A function, and the root of a pointer in it.
_Held = Tuple[int, int]


class Search:
    """Looks for everything that may write one field."""

    def __init__(self, around: Surroundings, field: Field) -> None:
        self.program, self.flow, self.numbers, self._blocks, self._variables = around
        self.field = field
        # Displacements the field has, seen from the structures it lies in.
        self.names: List[int] = [field.displacement]
        self._leading: Dict[int, Set[int]] = {}
        self._after: Set[Tuple[int, int, int]] = set()
        self._before: Set[Tuple[int, int, int]] = set()

    def holds(self) -> bool:
        """Whether all that is asked of a field can be shown, apart from the values stored."""
        for name in self.names:
            if len(self.names) > _MAX_NAMES or name > self.numbers.largest or not self._follow(name):
                return False
        return bool(self.field.readers)

    def _follow(self, name: int) -> bool:
        functions = self._functions(name)
        for function in sorted(functions):
            uses = self.flow.of(function)
            unread = not uses.complete or self.numbers.hides(function)
            if self.flow.steps > _MAX_STEPS or (unread and function in self._naming(name)):
                return False
            if not all(self._accessed(access, name) for access in uses.accesses):
                return False
            if any(self._covers(pointer, name) for _, pointer in uses.kept):
                return False
            if not all(self._handed(passed, name) for passed in uses.passed):
                return False
        structures = self._structures(name)
        if len(structures) > _MAX_STRUCTURES:
            return False
        span = self._span(name)
        if not all(self._blocks.spare(function, roots, span) for function, roots in structures.items()):
            return False
        if not self._blocks.spare_elsewhere(structures, functions, span) or not self._variables.spare(span):
            return False
        return self._from_callers(name, functions)

    def _span(self, name: int) -> Span:
        """The bytes of the field, where it lies at *name*."""
        return Span(name, name + self.field.size)

    # --- where to look ---

    def _naming(self, name: int) -> Set[int]:
        """Functions that hold a displacement at which an access would meet the field."""
        return self._holding(name - LARGEST_STORE + 1, name + self.field.size)

    def _functions(self, name: int) -> Set[int]:
        """Functions in which the field may be met: by its displacement, or by one nearby and a pointer moved a bit;
        and those that make pointers into large structures."""
        found = self._holding(name - _NEAR - LARGEST_STORE, name + _NEAR)
        found.update(self.program.function_of(at) for at in self.numbers.derived(name + self.field.size))
        return found

    def _holding(self, low: int, high: int) -> Set[int]:
        """Functions in whose bytes a number from *low* to below *high* stands as four bytes."""
        return {self.program.function_of(at) for at in self.numbers.between(low, high)}

    def _leading_to(self, displacement: int) -> Optional[Set[int]]:
        """Functions from which calls lead to one that holds a number at or a bit below *displacement*; ``None``: that
        is not known, as it is for displacements that do not stand in four bytes."""
        if displacement - _FURTHER < SMALLEST:
            return None
        known = self._leading.get(displacement)
        if known is None:
            waiting = list(self._holding(displacement - _FURTHER, displacement + self.field.size))
            known = self._leading[displacement] = set()
            while waiting:
                function = waiting.pop()
                if function not in known:
                    known.add(function)
                    waiting.extend(self._callers(function))
        return known

    # --- what is found ---

    def _covers(self, pointer: Pointer, name: int) -> bool:
        """Whether *pointer* points at the field itself."""
        if pointer.root in _OWN or pointer.offset is None:
            return False
        return name <= pointer.offset < name + self.field.size

    def _accessed(self, access: Access, name: int) -> bool:
        """Take note of an access that meets the field; false where that ends the proof."""
        root, offset, _ = access.pointer
        size = self.field.size
        if root in _OWN or offset is None or not offset - size < name < offset + access.size:
            return True
        if access.store:
            return self._stored(access, name)
        if offset == name and access.size <= size and self._reads_alone(access):
            known = self.field.readers.get(access.at)
            self.field.readers[access.at] = access.size
            return (known is None or known == access.size) and self._read_through(access, name)
        # A part of it, or more than it, is read: as something unknown.
        return True

    def _reads_alone(self, access: Access) -> bool:
        """Whether the instruction reads nothing else, on no way and in no other half."""
        uses = self.flow.of(self.program.function_of(access.at))
        return all(
            one.pointer.offset == access.pointer.offset and one.pointer.root not in _OWN
            for one in uses.accesses
            if one.at == access.at and not one.store
        )

    def _stored(self, access: Access, name: int) -> bool:
        offset = access.pointer.offset
        if offset is None or offset > name or offset + access.size < name + self.field.size:
            return False
        begin = name - offset
        known = self.field.writers.get(access.at)
        self.field.writers[access.at] = (begin, access.size)
        return known is None or known == (begin, access.size)

    def _read_through(self, access: Access, name: int) -> bool:
        """A function reads the field through a pointer it was given: what do its callers give it?"""
        function = self.program.function_of(access.at)
        return self._given(function, access.pointer.root, name, 0)

    def _given(self, function: int, place: int, name: int, depth: int) -> bool:
        """Whether all that callers hand *function* at *place*, a structure with the field at *name*, is followed."""
        if place < 0 or (function, place, name) in self._before:
            return True
        if depth > _MAX_DEPTH:
            return False
        self._before.add((function, place, name))
        for caller in self._callers(function):
            for passed in self.flow.of(caller).passed:
                if passed.target != function or passed.place != place:
                    continue
                root, offset, _ = passed.pointer
                if root in (FRAME, STATIC):
                    if not self._variables.spares(caller, passed.pointer, self._span(name)):
                        return False
                elif root != NUMBER and offset:
                    if offset + name not in self.names:
                        self.names.append(offset + name)
                elif root != NUMBER and not self._given(caller, root, name, depth + 1):
                    return False
        return True

    def _callers(self, function: int) -> Set[int]:
        return {self.program.function_of(at) for _, at in self.program.transfers(function, function + 1)}

    def _handed(self, passed: Passed, name: int) -> bool:
        """A pointer leaves a function: not to the field itself, and not to where it is written as something else."""
        root, offset, _ = passed.pointer
        if root in _OWN or not offset:
            return True
        if self._covers(passed.pointer, name):
            return False
        if passed.target is None:
            return True
        return self._writes(passed.target, passed.place, name - offset, 0)

    def _writes(self, function: int, place: int, displacement: int, depth: int) -> bool:
        """Take note of the stores of *function* through its argument at *place* that meet the field there."""
        key = (function, place, displacement)
        if key in self._after:
            return True
        self._after.add(key)
        leading = self._leading_to(displacement)
        if leading is not None and function not in leading:
            return True
        if depth > _MAX_DEPTH or self.flow.steps > _MAX_STEPS:
            return False
        uses = self.flow.of(function)
        for access in uses.accesses:
            root, offset, _ = access.pointer
            if root != place or offset is None or not access.store:
                continue
            if offset - self.field.size < displacement < offset + access.size and not self._stored(
                access, displacement
            ):
                return False
        for passed in uses.passed:
            root, offset, _ = passed.pointer
            if root != place or offset is None or passed.target is None:
                continue
            if not self._writes(passed.target, passed.place, displacement - offset, depth + 1):
                return False
        return True

    def _from_callers(self, name: int, functions: Set[int]) -> bool:
        """Stores near the field through an argument that callers may have moved: do they meet it?"""
        for function in functions:
            for access in self.flow.of(function).accesses:
                root, offset, _ = access.pointer
                if not access.store or root < 0 or offset is None or abs(offset - name) > _NEAR + LARGEST_STORE:
                    continue
                if not self._moved_by(function, root, access, name - offset, 0):
                    return False
        return True

    def _moved_by(self, function: int, place: int, access: Access, distance: int, depth: int) -> bool:
        """Whether no caller hands over a pointer so far into a structure that *access* meets the field."""
        if depth > 2:
            return True
        for caller in self._callers(function):
            for passed in self.flow.of(caller).passed:
                root, offset, _ = passed.pointer
                if passed.target != function or passed.place != place or root in _OWN or offset is None:
                    continue
                if offset and distance - offset < access.size and offset - distance < self.field.size:
                    if not self._stored(access._replace(pointer=Pointer(UNKNOWN, offset - distance)), 0):
                        return False
                elif root >= 0 and not self._moved_by(caller, root, access, distance - offset, depth + 1):
                    return False
        return True

    def _structures(self, name: int) -> Dict[int, Set[int]]:
        """Functions -> pointers that they use as the structure: for what lies near the field, or for a call of one that
        does."""
        found: Dict[int, Set[int]] = {}
        waiting = [
            (function, access.pointer.root)
            for function in self._holding(name - _NEAR, name + _NEAR)
            for access in self.flow.of(function).accesses
            if access.pointer.offset is not None and abs(access.pointer.offset - name) <= _NEAR
        ]
        self._spread(found, waiting, self._above)
        waiting = [step for function, roots in found.items() for root in roots for step in self._below(function, root)]
        self._spread(found, waiting, self._below)
        return found

    def _spread(
        self, found: Dict[int, Set[int]], waiting: List[_Held], further: Callable[[int, int], Iterator[_Held]]
    ) -> None:
        while waiting and len(found) <= _MAX_STRUCTURES:
            function, root = waiting.pop()
            if root not in (*_OWN, UNKNOWN, INDEXED) and root not in found.setdefault(function, set()):
                found[function].add(root)
                waiting.extend(further(function, root))

    def _above(self, function: int, root: int) -> Iterator[_Held]:
        """What callers know the same pointer as: what they hand over, or what the function returns to them."""
        returned = Pointer(root, 0) in self.flow.of(function).returned
        for _, at in self.program.transfers(function, function + 1):
            caller = self.program.function_of(at)
            if returned:
                yield caller, MADE + at
            for passed in self.flow.of(caller).passed if root < MADE else ():
                if passed.at == at and passed.place == root and passed.pointer.offset == 0:
                    yield caller, passed.pointer.root

    def _below(self, function: int, root: int) -> Iterator[_Held]:
        """What callees know the same pointer as."""
        for passed in self.flow.of(function).passed:
            if passed.target is not None and passed.pointer == Pointer(root, 0):
                yield passed.target, passed.place
