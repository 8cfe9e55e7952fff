"""The pointers of all functions of a file that are asked for, see :mod:`.pointers`."""

from __future__ import annotations

from typing import Dict, FrozenSet, Tuple

from .pointer_walk import STACKED_ARGUMENTS, Walk
from .pointers import FRAME, Uses
from .program import Program

# Bytes of functions that are worth a look.
_SHORT = 512
_MAX_DEPTH = 3


class PointerFlow:
    """The uses of all functions asked for, each found once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: Dict[int, Uses] = {}
        self._keeps: Dict[int, FrozenSet[int]] = {}
        self._depth = 0
        # Instructions looked at so far: the cost.
        self.steps = 0

    def of(self, function: int) -> Uses:
        """The uses of the function that begins at *function*."""
        known = self._known.get(function)
        if known is None:
            walk = Walk(self.program, function, self.keeps)
            walk.run()
            self.steps += walk.steps
            known = self._known[function] = walk.uses
        return known

    def keeps(self, function: int) -> FrozenSet[int]:
        """Registers that the function keeps beyond what its calling convention asks.

        Go's compiler counts on some of its assembler's functions to keep all of them, and gcc knows what functions of
        the same file keep (-fipa-ra).
        """
        program = self.program
        if program.end_of(function) - function > _SHORT:
            return frozenset()
        known = self._keeps.get(function)
        if known is None:
            self._keeps[function] = frozenset()
            self._depth += 1
            walk = Walk(program, function, self.keeps if self._depth < _MAX_DEPTH else lambda _: frozenset())
            walk.run()
            self._depth -= 1
            self.steps += walk.steps
            known = self._keeps[function] = walk.uses.keeps or frozenset()
        return known

    def leaves_stacked(self, function: int) -> FrozenSet[Tuple[int, int]]:
        """(offset from the first argument on the stack, bytes) that the function writes there: its results, perhaps."""
        low = self.program.abi_of(function).pushed
        return frozenset(
            (access.pointer.offset - low, access.size)
            for access in self.of(function).accesses
            if access.store and access.pointer.root == FRAME and access.pointer.offset is not None
            if low <= access.pointer.offset
        )

    def takes_stacked(self, function: int) -> bool:
        """Whether the function reads arguments on the stack."""
        low = self.program.lifter.abi.pushed
        high = low + 8 * STACKED_ARGUMENTS
        return any(
            not access.store
            and access.pointer.root == FRAME
            and access.pointer.offset is not None
            and low <= access.pointer.offset < high
            for access in self.of(function).accesses
        )
