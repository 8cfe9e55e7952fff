"""What a call hands over and takes back: registers and the stack, as the callee's calling convention says."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from .analysis import SLOT, STACKED, Analysis
from .operations import Abi
from .state import STACK, STACK_HIGH, State, is_stack
from .transfer import Transfer
from .values import PLAIN, Value, unstepped

# Bytes of functions too long to be looked through for what they do with their arguments on the stack.
LONG = 4096


class Handover(Transfer):
    """Hands over and takes back; the subclass supplies calls.

    ``abi`` is the convention of the function that is interpreted.
    """

    analysis: Analysis
    abi: Abi

    def _convention(self, targets: Sequence[int]) -> Abi:
        """How the functions at *targets* are called (none: it is not known which)."""
        found = {self.program.abi_of(target) for target in targets}
        abi = found.pop() if len(found) == 1 else self.abi
        if len(targets) != 1 or abi is self.program.lifter.abi:
            return abi
        return abi._replace(saved=tuple(sorted({*abi.saved, *self.fields.flow.keeps(targets[0])})))

    def _tells(self, target: int) -> bool:
        """Whether a callee is told something of the CPU: by what it is given, or by being called at all."""
        registers = self.state.registers
        arguments = self._convention((target,)).arguments
        return bool(self.state.facts) or any(registers[number].tainted for number in arguments)

    def _informs(self, target: int) -> bool:
        """Whether *target* is given what the CPU said, and looks at it."""
        arguments = self._convention((target,)).arguments
        count = len(arguments)
        handed = self._handed(target)
        reads = self.analysis.liveness.reads
        for number, value in zip(arguments, handed):
            if self._is_answer(value) and reads(target, number):
                return True
        return any(self._is_answer(value) for value in handed[count:]) and self.fields.flow.takes_stacked(target)

    def _is_answer(self, value: Value) -> bool:
        """Whether *value* tells of the CPU, and is not one of the pointers chosen by that: who calls those is found
        where they are chosen."""
        low = self.program.low
        told = any(facts and key < low for key, facts in value.keys.items())
        return told or (value.bits is not None and value.bits.informed)

    def _handed(self, target: int) -> Tuple[Value, ...]:
        """What a call of *target* hands over: argument registers, and the lower half of each argument on the stack."""
        state = self.state
        stack = state.registers[self.abi.stack].single
        stacked: List[Value] = [PLAIN] * (STACKED // 8)
        if stack is not None:
            known = [state.known(stack + at, SLOT) for at in range(0, STACKED, 8)]
            stacked = [PLAIN if value is None or value.undefined else value for value in known]
        arguments = (state.registers[number] for number in self._convention((target,)).arguments)
        return tuple(unstepped(value) for value in (*arguments, *stacked))

    def _private(self, abi: Abi) -> bool:
        """Whether a callee cannot reach our stack."""
        state = self.state
        if state.escaped < STACK_HIGH:
            return False
        return not any(is_stack(key) for number in abi.arguments for key in state.registers[number].keys)

    def _take_over(self, after: State, stack: int) -> None:
        """The callee may have written the arguments at *stack*, which are its own, and its results there."""
        if after.opened:
            self.state.forget_above(stack)
        for at, (size, value) in after.memory.items():
            if STACK <= at < STACK_HIGH:
                self.state.store(at - STACK + stack, size, value)

    def _escape_stacked(self, targets: Sequence[int]) -> bool:
        """Arguments beyond those in registers lie at the stack pointer; whether any comes from what the CPU said."""
        state = self.state
        stack = state.registers[self.abi.stack].single
        tainted = False
        for at in range(stack, stack + STACKED, 8) if stack is not None else ():
            slot = state.memory.get(at)
            if slot is None or (self._points(slot[1]) and not self._takes_stacked(targets)):
                continue
            tainted = tainted or slot[1].tainted
            if slot[1].keys:
                self.escape(slot[1])
        return tainted

    def _lose_stacked(self, targets: Sequence[int]) -> None:
        """What a callee that is not followed writes to its arguments on the stack is not known."""
        state = self.state
        stack = state.registers[self.abi.stack].single
        if stack is None or not any(stack + at in state.memory for at in range(STACKED)):
            return
        for target in targets:
            if self.program.end_of(target) - target <= LONG:
                for at, size in self.fields.flow.leaves_stacked(target):
                    state.store(stack + at, size, PLAIN)

    def _takes_stacked(self, targets: Sequence[int]) -> bool:
        """Whether one of *targets* (none: it is not known which) may read arguments on the stack."""
        program = self.program
        return not targets or any(
            program.end_of(target) - target > LONG or self.fields.flow.takes_stacked(target) for target in targets
        )
