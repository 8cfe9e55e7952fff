"""Interprets one function over abstract values: which facts hold at each place, and what becomes of pointers.

Everything here only ever grows weaker while the worklist runs, so what is recorded along the way is weakened likewise
and is right at the end.
"""

from __future__ import annotations

import heapq
from typing import Callable, Dict, Optional

from . import auxv
from .calls import Calls
from .conditions import Flags, Outcome, decide
from .operations import Operand, Operation, Step
from .results import ExhaustedError, Result
from .state import ANYTHING, State, merge
from .values import Value, constant

_MAX_VISITS = 80
_MERGE_STEPS = 3
_MERGED_IN_A_STEP = 4

_CALLS = ("call", "calli")


class Run(Calls):
    """One function, from *entry*, in one context."""

    def execute(self) -> Result:
        """Interpret until nothing changes. Raises :class:`ExhaustedError`."""
        self.flow(self.entry, self.first)
        while self.queue:
            first = heapq.heappop(self.queue)
            while self.queue and self.queue[0] == first:
                heapq.heappop(self.queue)
            self._block(first[1])
        return self.finish()

    # --- control flow ---

    def flow(self, address: int, state: State) -> None:
        """Control arrives at *address* with *state*."""
        if self.inner and self.states and not self.waiting and self.analysis.returning.only_returns(address):
            # Ways that meet only to return stay apart, see Result.exits.
            self._aside(address, state)
            return
        known = self.states.get(address)
        if known is None:
            self.states[address] = state.copy()
            self.idle[address] = self.waiting
            self._push(address)
            return
        if self._never_came(address, known, state):
            return
        visits = self.visits.get(address, 0)
        widen = sum(visits >= limit for limit in self.patience)
        before = known
        if self.walks:
            known, state = auxv.reconcile(known, state)
        # Joining what is known of memory costs more than an instruction does.
        self.analysis.budget.left -= _MERGE_STEPS + len(known.memory) // _MERGED_IN_A_STEP
        merged = merge(known, state, widen, self.escape)
        if merged is None:
            if known is before:
                return
            merged = known
        if visits > _MAX_VISITS:
            # Nothing should get here: every value was given up long ago. Stay safe all the same.
            merged.registers = [ANYTHING] * len(merged.registers)
        self.states[address] = merged
        self._push(address)

    def _never_came(self, address: int, known: State, state: State) -> bool:
        """Whether *state* only comes from a call that does not return; what came before is forgotten if it did.

        An instruction has one depth of the stack, or nothing could unwind from it. Where branches come with one depth
        and control would fall in behind a call with another, that call never returns: compilers leave nothing there.
        """
        number = self.abi.stack
        mine, other = known.registers[number].single, state.registers[number].single
        if mine is None or other is None or mine == other or self.waiting == self.idle.get(address):
            return False
        if self.waiting:
            return True
        self.idle[address] = False
        self.states[address] = state.copy()
        self._push(address)
        return True

    def _push(self, address: int) -> None:
        heapq.heappush(self.queue, (self.order.get(address, address), address))

    def _block(self, address: int) -> None:
        self.visits[address] = self.visits.get(address, 0) + 1
        self.state = self.states[address].copy()
        self.waiting = self.idle.get(address, False)
        self._walk(address)

    def _aside(self, address: int, state: State) -> None:
        """Go on at *address* with *state*, without joining it with what else comes there, and come back."""
        before = self.at, self.next, self.state, self.waiting
        self.state = state.copy()
        self._walk(address)
        self.at, self.next, self.state, self.waiting = before

    def _walk(self, address: int) -> None:
        """Straight on from *address* with the state there is, to the end of the block."""
        while True:
            step = self._enter(address)
            if step is None:
                return
            for operation in step.operations:
                handler = _CONTROL.get(operation[0])
                if handler is None:
                    self.apply(operation)
                elif not handler(self, operation):
                    return
            following = self.next
            if self.apart:
                others, self.apart = self.apart, []
                for state in others:
                    self._aside(following, state)
                address = following
                continue
            if following in self.states or following in self.order:
                self.flow(following, self.state)
                return
            if not self._inside(following):
                # Falls into the next function.
                self._leave(following, "jump")
                return
            address = following

    def _enter(self, address: int) -> Optional[Step]:
        """Take note of the instruction at *address*; ``None`` where there is none."""
        budget = self.analysis.budget
        budget.left -= 1
        if budget.left < 0:
            raise ExhaustedError
        step = self.program.step(address)
        if step is None:
            return None
        facts = self.result.facts
        before = facts.get(address)
        if before is None:
            self.result.steps += 1
            facts[address] = self.state.facts
        else:
            facts[address] = before & self.state.facts
        self.at = address
        self.next = address + step.length
        self.waiting = step.operations[-1][0] in _CALLS if step.operations else self.waiting
        return step

    def _inside(self, address: int) -> bool:
        return any(low <= address < high for low, high in self.ranges)

    def is_target(self, address: int) -> bool:
        """Whether a jump there stays in this function: in its own range, or in a part placed elsewhere."""
        if self._inside(address):
            return True
        program = self.program
        start = program.function_of(address)
        if not program.image.is_code(address) or not program.only_jumped(start):
            return False
        self.ranges.append((start, program.end_of(start)))
        return True

    def _goto(self, target: int, state: State) -> None:
        """A direct jump: inside the function an edge, outside a tail call or a part placed elsewhere."""
        if self.is_target(target):
            self.flow(target, state)
            return
        before, self.state = self.state, state.copy()
        self._leave(target, "jump")
        self.state = before

    def _leave(self, target: int, kind: str) -> None:
        """A jump to another function: it returns to our caller."""
        name = self.program.import_at(target)
        if name is not None:
            if self._call_import(name):
                self._return(None)
            return
        self.result.way(target, self.at, kind, self.state.facts)
        abi = self.abi
        stack = self.state.registers[abi.stack].single
        if stack is not None and abi.pushed:
            # What lies there is a return address already.
            self.state.set_register(abi.stack, constant(stack + abi.pushed))
        if self._call(target):
            others, self.apart = self.apart, []
            for state in (*others, self.state):
                self.state = state
                self._return(None)

    def _jump(self, operation: Operation) -> bool:
        self._goto(operation[1], self.state)
        return False

    def _branch(self, operation: Operation) -> bool:
        condition, target = operation[1], operation[2]
        flags = self.state.flags
        if condition is None:
            taken: Optional[Outcome] = Outcome(0, None)
            fallen: Optional[Outcome] = Outcome(0, None)
        else:
            taken, fallen = decide(flags, condition)
        return self._fork(flags, taken, fallen, target)

    def _fork(self, flags: Optional[Flags], taken: Optional[Outcome], fallen: Optional[Outcome], target: int) -> bool:
        told = (taken.facts if taken else 0) | (fallen.facts if fallen else 0)
        if taken is not None and fallen is not None and told & ~self.state.facts:
            known = self.result.tests.get(self.at, -1)
            self.result.tests[self.at] = known & told if known != -1 else told
        if taken is not None:
            self._goto(target, self._refined(flags, taken))
        if fallen is None:
            return False
        self.state = self._refined(flags, fallen)
        self.flow(self.next, self.state)
        return False

    def _refined(self, flags: Optional[Flags], outcome: Outcome) -> State:
        state = self.state.copy()
        state.facts |= outcome.facts
        if outcome.value is not None and flags is not None and flags.place is not None:
            state.refine(flags.place, outcome.value)
        return state

    def _zero(self, operation: Operation) -> bool:
        """Branch on a register being zero."""
        _, operand, target, sense = operation
        value = self.read(operand)
        flags = Flags("sub", value, Value({0: 0}), self.width(operand), self.place(operand, value))
        taken, fallen = decide(flags, "e" if sense else "ne")
        return self._fork(flags, taken, fallen, target)

    def _tested(self, operation: Operation) -> bool:
        """Branch on one bit of a register."""
        _, operand, number, target, sense = operation
        value = self.read(operand)
        flags = Flags("bit", value, Value({number: 0}), self.width(operand), self.place(operand, value))
        taken, fallen = decide(flags, "ae" if sense else "b")
        return self._fork(flags, taken, fallen, target)

    def _jump_indirect(self, operation: Operation) -> bool:
        source = operation[1]
        name = self.imported(source)
        if name is not None:
            if self._call_import(name):
                self._return(None)
            return False
        value = self.read(source)
        base = self.program.base
        targets = {key - base: facts for key, facts in value.keys.items() if self.program.image.is_code(key - base)}
        if not value.exact or len(targets) != len(value.keys):
            self.escape(value)
            if not self._is_tail_call(source):
                self.result.unresolved.add(self.at)
            if not value.exact:
                self._call_unknown()
                self._return(None)
        for target, facts in targets.items():
            state = self.state.copy()
            state.facts |= facts
            if facts & ~self.state.facts:
                self.result.tests[self.at] = self.result.tests.get(self.at, 0) | facts
            if self.is_target(target):
                self.flow(target, state)
            else:
                before, self.state = self.state, state
                self._leave(target, "jump")
                self.state = before
        return False

    def _is_tail_call(self, source: Operand) -> bool:
        """A jump through memory, or with the stack as it was at the entry, leaves the function."""
        if source[0] == "m" and source[2] is None:
            return True
        stack = self.state.registers[self.abi.stack].single
        return stack is not None and stack == self.first.registers[self.abi.stack].single

    def _stop(self, _: Operation) -> bool:
        return False

    def _return(self, _: Optional[Operation]) -> bool:
        state = self.state
        abi = self.abi
        if not self.inner and not self.program.only_loaded(self.entry):
            self.escape(state.registers[abi.result])
            for number in abi.more:
                self.escape(state.registers[number], kind="second")
        self.result.exit = self._either(self.result.exit, state)
        if self.inner:
            exits, key = self.result.exits, state.registers[abi.result].single
            exits[key] = self._either(exits.get(key), state)
        return False

    def _either(self, known: Optional[State], state: State) -> State:
        if known is None:
            return state.copy()
        merged = merge(known, state, 0, self.escape)
        return known if merged is None else merged


_CONTROL: Dict[str, Callable[[Run, Operation], bool]] = {
    "jump": Run._jump,
    "branch": Run._branch,
    "zero": Run._zero,
    "tbit": Run._tested,
    "jumpi": Run._jump_indirect,
    "call": Run._call_direct,
    "calli": Run._call_indirect,
    "ret": Run._return,
    "stop": Run._stop,
}
