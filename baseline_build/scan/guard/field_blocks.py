"""Blocks of memory written as a whole where a field may lie: filled, copied from a variable, or byte by byte.

See :mod:`.fields` for what is asked of a field.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Collection, Dict, FrozenSet, Iterable, Iterator, Mapping, Optional, Set, Tuple

from ...isa import Machine
from .displacements import Numbers, Span
from .pointer_flow import PointerFlow
from .pointers import FRAME, INDEXED, MADE, NUMBER, STATIC, Access, Filled, Passed, Pointer, Uses
from .program import Program

_OWN = (FRAME, STATIC, NUMBER)
_MAX_DEPTH = 4
# No structure is larger.
_MOST = 1 << 30
# Functions of the C library that copy or fill memory: destination, source (or value) and length.
_COPIES = frozenset(["memcpy", "memmove", "__memcpy_chk", "__memmove_chk", "mempcpy"])
_FILLS = frozenset(["memset", "__memset_chk"])
# rep movs and rep stos (Intel SDM vol. 2).
_REPEATED = re.compile(rb"[\xf2\xf3](?:[\x40-\x4f])?[\xa4\xa5\xaa\xab]", re.DOTALL)


class Blocks:
    """What of a whole file writes blocks of memory."""

    def __init__(self, program: Program, flow: PointerFlow, numbers: Numbers) -> None:
        self.program = program
        self.flow = flow
        self.numbers = numbers
        self._first, self._second, self._third = program.lifter.abi.arguments[:3]

    def spare(self, function: int, roots: Collection[int], span: Span) -> bool:
        """Whether *function* writes no block over the field, at *span*, through one of *roots*."""
        uses = self.flow.of(function)
        if roots and self.numbers.hides(function):
            return False
        if any(one.pointer.root in roots and self._reaches(one.pointer, one.size, span) for one in self._filled(uses)):
            return False
        stores = [access for access in uses.accesses if access.store and access.pointer.root in roots]
        if any(self._wanders(uses, access, span) for access in stores):
            return False
        own = (*roots, *self.numbers.lost)
        return self._copied(
            function, {one for one in uses.passed if one.place != self._first or one.pointer.root in own}, span
        )

    def spare_elsewhere(self, known: Mapping[int, Collection[int]], near: Collection[int], span: Span) -> bool:
        """Whether no function writes a block over the field through another pointer than the *known*.

        A structure may be met as a word of another object, where nothing tells what it is: the length of the block
        does, or the displacement in functions *near* the field.
        """
        for function in sorted((self._calling & self._holding(span.high).union(near)) | self._repeating):
            if self.program.unused(function):
                continue
            uses = self.flow.of(function)
            apart = (*_OWN, *known.get(function, ()))
            if any(
                one.pointer.root not in apart
                and self._overlaps(one.pointer, self._longest(function) if one.size is None else one.size, span)
                for one in self._filled(uses)
            ):
                return False
            if not self._copied(function, uses.passed, span, apart):
                return False
        return True

    # --- where to look ---

    def _holding(self, length: int) -> Set[int]:
        """Functions that hold a number of *length* or more."""
        return {self.program.function_of(at) for at in self.numbers.between(length, self.numbers.largest + 1)}

    def _longest(self, function: int) -> int:
        """The largest constant in *function*: of a block that is aligned first, the length is not held elsewhere."""
        longest = 0
        at, end = function, self.program.end_of(function)
        while at < end:
            step = self.program.step(at)
            for operation in step.operations if step is not None else ():
                longest = max(longest, *(_constant(operand) for operand in operation), 0)
            at += step.length if step is not None else 1
        return longest

    @cached_property
    def _calling(self) -> FrozenSet[int]:
        """Functions that call, or jump to, one that copies or fills."""
        program = self.program
        image = program.image
        wanted = _COPIES | _FILLS
        places = [
            at for stub, name in image.stubs.items() if name in wanted for _, at in program.transfers(stub, stub + 1)
        ]
        slots = [slot for slot, name in image.imports.items() if name in wanted]
        places.extend(at for slot in slots for _, at in program.references(slot, slot + 1))
        return frozenset(program.function_of(at) for at in places)

    @cached_property
    def _repeating(self) -> FrozenSet[int]:
        """Functions in which an instruction may fill or copy a block."""
        image = self.program.image
        if image.machine is Machine.AARCH64:
            return frozenset()
        return frozenset(
            self.program.function_of(region.address + match.start())
            for region in image.regions
            for match in _REPEATED.finditer(bytes(region.data))
        )

    # --- what is found ---

    def _reaches(self, pointer: Pointer, size: Optional[int], span: Span) -> bool:
        """Whether *size* bytes from *pointer* up may hold the field."""
        if pointer.root in _OWN:
            return False
        return pointer.offset is None or size is None or self._overlaps(pointer, size, span)

    def _overlaps(self, pointer: Pointer, size: int, span: Span) -> bool:
        """Whether *size* bytes from *pointer*, which may be one to the structure, hold some of the field."""
        begin = pointer.offset or 0
        return begin < span.high and span.low < begin + size

    def _wanders(self, uses: Uses, access: Access, span: Span) -> bool:
        """Whether the place of *access* is counted from the beginning of the structure: byte by byte to its end?"""
        if access.pointer.offset is not None:
            return False
        last = access.pointer.last
        if last is not None and last + access.size <= span.low:
            return False
        begins = {one.pointer.offset for one in uses.accesses if one.at == access.at and one.pointer.root == INDEXED}
        return not begins or 0 in begins

    def _copied(
        self, function: int, handed: Iterable[Passed], span: Span, apart: Optional[Collection[int]] = None
    ) -> bool:
        """Calls of the C library that fill or copy blocks: not over the field, unless with zeros or from its kind.

        :param apart: nothing is known of what they write to, unless it is one of these, which are seen to elsewhere:
            the field is met where a block is long enough for it.
        """
        calls: Dict[int, Dict[int, Set[Pointer]]] = {}
        names: Dict[int, str] = {}
        for passed in handed:
            if passed.name in _COPIES or passed.name in _FILLS:
                calls.setdefault(passed.at, {}).setdefault(passed.place, set()).add(passed.pointer)
                names[passed.at] = passed.name
        for at, given in calls.items():
            if not self._meets(given, span, apart):
                continue
            sources = given.get(self._second, set())
            if names[at] in _FILLS and any(source != Pointer(NUMBER, 0) for source in sources):
                return False
            targets = given.get(self._first, set())
            if names[at] in _COPIES and any(self._brings(function, source, targets) for source in sources):
                return False
        return True

    def _meets(self, given: Dict[int, Set[Pointer]], span: Span, apart: Optional[Collection[int]]) -> bool:
        """Whether a call that is *given* these arguments may write the field."""
        # What is filled or copied with a length that the compiler does not know is an array, unless it begins where
        # the structure does.
        lengths = [p.offset for p in given.get(self._third, set()) if p.root == NUMBER and p.offset is not None]
        targets = given.get(self._first, set())
        if apart is not None:
            return any(p.root not in apart and self._overlaps(p, max(lengths, default=0), span) for p in targets)
        if lengths:
            return any(self._reaches(p, max(lengths), span) for p in targets)
        return any(p.root not in _OWN and p.offset == 0 for p in targets)

    def _filled(self, uses: Uses) -> Iterator[Filled]:
        """Blocks that one instruction of a function fills with something else than zeros, or copies from a variable."""
        for one in uses.filled:
            if one.source is None or self._brings(uses.function, one.source, (one.pointer,)):
                yield one

    def _brings(self, function: int, source: Pointer, targets: Iterable[Pointer]) -> bool:
        """Whether what is copied from *source* to *targets* is a variable; a part of one object is copied within it."""
        within = any(source.root == target.root for target in targets) and source.root not in _OWN
        return not within and self._from_variable(function, source, 0, set())

    def _from_variable(self, function: int, source: Pointer, depth: int, seen: Set[Tuple[int, int]]) -> bool:
        """Whether *source* is a variable of the file or of a function, also one that a caller hands over."""
        if source.root in (FRAME, STATIC):
            return True
        if not 0 <= source.root < MADE or (function, source.root) in seen:
            return False
        if depth > _MAX_DEPTH:
            return True
        seen.add((function, source.root))
        return any(
            self._from_variable(caller, passed.pointer, depth + 1, seen)
            for caller in {self.program.function_of(at) for _, at in self.program.transfers(function, function + 1)}
            for passed in self.flow.of(caller).passed
            if passed.target == function and passed.place == source.root
        )


def _constant(operand: object) -> int:
    """The constant that *operand* of an operation is, or adds to an address; 0: none, or no length."""
    if not isinstance(operand, tuple) or not operand or operand[0] not in ("i", "m"):
        return 0
    number = int(operand[1] if operand[0] == "i" else operand[4])
    return number if number < _MOST else 0
