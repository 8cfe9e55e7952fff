"""Variables of a file, or of a function's stack, that may be the structure a field lies in.

See :mod:`.fields` for what is asked of a field.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import Iterator, Sequence, Set, Tuple

from .displacements import Span
from .pointer_flow import PointerFlow
from .pointer_parts import memory_of
from .pointers import FRAME, STATIC, Pointer
from .program import Program

LARGEST_STORE = 64
_MAX_DEPTH = 6


class Variables:
    """The variables of one file."""

    def __init__(self, program: Program, flow: PointerFlow) -> None:
        self.program = program
        self.flow = flow

    def spares(self, function: int, pointer: Pointer, span: Span) -> bool:
        """The structure is the variable *function* has at *pointer*: does nothing else write where the field, at
        *span*, lies in it?"""
        if pointer.offset is None:
            return False
        low, high = pointer.offset + span.low, pointer.offset + span.high
        if pointer.root == STATIC:
            return next(self.program.references(low - LARGEST_STORE, high), None) is None
        return not any(
            access.store
            and access.pointer.root == FRAME
            and (access.pointer.offset is None or access.pointer.offset < high)
            and (access.pointer.offset is None or access.pointer.offset + access.size > low)
            for access in self.flow.of(function).accesses
        )

    def spare(self, span: Span) -> bool:
        """Whether no variable whose address is kept somewhere has, or is given, something at *span*."""
        program = self.program
        for address in self._large(span):
            if self._stands_in_data(address):
                return False
            for function in {program.function_of(at) for _, at in program.references(address, address + 1)}:
                if not program.unused(function) and self._escapes(function, Pointer(STATIC, address), set()):
                    return False
        return True

    def _stands_in_data(self, address: int) -> bool:
        """Whether a word of data holds *address*; files at a fixed address need no relocation for that."""
        if next(self.program.data_pointers(address, address + 1), None) is not None:
            return True
        word = address.to_bytes(8, "little")
        return self.program.absolute and any(word in block for block in self._memory)

    @cached_property
    def _memory(self) -> Sequence[bytes]:
        """What the loader maps of the file."""
        return [bytes(block.data) for block in self.program.image.memory]

    def _large(self, span: Span) -> Iterator[int]:
        """Variables that are large enough to hold the field, with something else than zeros there or code that writes
        it."""
        program = self.program
        ends = self._ends
        for address in self._begins:
            low, high = address + span.low, address + span.high
            index = bisect_right(ends, address)
            if index < len(ends) and high > ends[index]:
                continue
            held = program.contents.at(low, high - low)
            if held is None:
                continue
            if held or next(program.references(low - LARGEST_STORE + 1, high), None) is not None:
                yield address

    @cached_property
    def _begins(self) -> Sequence[int]:
        """Where variables begin: what symbols and words of data name, and addresses that instructions make."""
        program = self.program
        made = {target for target, at in program.all_references() if self._makes_address(at)}
        return sorted(made.union(program.named_data))

    @cached_property
    def _ends(self) -> Sequence[int]:
        """Where they end at the latest: at the next one, or with a segment, of which one holds the unwind tables."""
        bounds = {at for one in self.program.image.segments for at in (one.address, one.address + one.memory_size)}
        return sorted(bounds.union(self._begins))

    def _makes_address(self, at: int) -> bool:
        """Whether the instruction at *at* accesses no memory."""
        step = self.program.step(at)
        return step is None or not any(
            operation[0] != "lea" and any(memory_of(operation)) for operation in step.operations
        )

    def _escapes(self, function: int, pointer: Pointer, seen: Set[Tuple[int, int]]) -> bool:
        """Whether *function* keeps *pointer* in memory, returns it or hands it to a function that does."""
        if (function, pointer.root) in seen:
            return False
        seen.add((function, pointer.root))
        uses = self.flow.of(function)
        if pointer in uses.returned or any(held == pointer for _, held in uses.kept):
            return True
        for passed in uses.passed:
            if passed.pointer != pointer or passed.name is not None:
                continue
            if passed.target is None or len(seen) > _MAX_DEPTH:
                return True
            if self._escapes(passed.target, Pointer(passed.place, 0), seen):
                return True
        return False
