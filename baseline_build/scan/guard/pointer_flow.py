"""The pointers of all functions of a file that are asked for, see :mod:`.pointers`."""

from __future__ import annotations

from typing import Dict

from .pointer_walk import STACKED_ARGUMENTS, Walk
from .pointers import FRAME, Uses
from .program import Program


class PointerFlow:
    """The uses of all functions asked for, each found once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: Dict[int, Uses] = {}
        # Instructions looked at so far: the cost.
        self.steps = 0

    def of(self, function: int) -> Uses:
        """The uses of the function that begins at *function*."""
        known = self._known.get(function)
        if known is None:
            walk = Walk(self.program, function)
            walk.run()
            self.steps += walk.steps
            known = self._known[function] = walk.uses
        return known

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
