"""Calls: followed where that may tell something, and what a call that is not followed leaves behind."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from .analysis import STACKED, Analysis, entry_state
from .cells import Store
from .fields import is_field
from .handover import LONG, Handover
from .operations import Abi, Operand, Operation
from .program import NEVER_RETURN
from .results import MAX_WRAPPER, Result
from .state import ANYTHING, STACK, STACK_HIGH, State, is_stack
from .values import PLAIN, UNDEFINED, Value, join, unstepped, without_plain

_MAX_DEPTH = 6
# Outcomes of one call that are told apart, and how often in one run.
_MAX_OUTCOMES = 3
_MAX_FORKS = 32
_WIDEN_AT = (8, 30, 40)
_WIDEN_LONG_AT = (2, 4, 6)


class Calls(Handover):
    """One function, from *entry*, in one context; the subclass supplies control flow."""

    def __init__(self, analysis: Analysis, entry: int, state: Optional[State], parents: Tuple[int, ...] = ()) -> None:
        super().__init__(analysis.program, analysis.cells, analysis.fields, Result(entry))
        self.analysis = analysis
        self.entry = entry
        self.parents = parents
        self.function = analysis.program.function_of(entry)
        self.ranges = [(self.function, analysis.program.end_of(self.function))]
        if parents:
            self.owner = analysis.program.function_of(parents[0])
        self.inner = bool(parents)
        self.walks = analysis.program.walks(self.function)
        self.abi = analysis.program.abi_of(self.function)
        self.first = state if state is not None else entry_state(analysis, entry)
        self.result.handed = self.first.memory
        self.states: Dict[int, State] = {}
        self.visits: Dict[int, int] = {}
        # Whether nothing was done since the last call returned, here and where each block was entered first.
        self.waiting = False
        self.idle: Dict[int, bool] = {}
        self.queue: List[Tuple[int, int]] = []
        self.order = analysis.order(entry)
        low, high = self.ranges[0]
        self.patience = _WIDEN_LONG_AT if high - low > LONG else _WIDEN_AT
        self.pending: List[Store] = []
        # States in which the call just made returned otherwise, to be gone on with one by one.
        self.apart: List[State] = []
        self.forks = 0

    def execute(self) -> Result:
        """Interpret until nothing changes."""
        raise TypeError(self.entry)

    def finish(self) -> Result:
        """Hand over the stores, now that it is known whether the function asks the CPU."""
        result = self.result
        for store in self.pending:
            if not (result.asks and store.value.plain and not store.lost) or is_field(store.address):
                result.stores.append(store)
            elif store.value is not PLAIN:
                # Who asks the CPU may also be told what to answer: a person's choice, see the module cells.
                result.stores.append(store._replace(value=without_plain(store.value)))
        return result

    def _load(self, address: int, size: int) -> Value:
        self.result.stacked = self.result.stacked or STACK <= address < STACK + STACKED
        return super()._load(address, size)

    def note_store(self, address: int, size: int, value: Value) -> None:
        """A store outside the stack."""
        value = unstepped(value)
        self.pending.append(Store(address, size, value, self.state.facts))
        told = value.informed or (self.result.asks and bool(self.state.facts) and value.exact)
        self.result.keeps = self.result.keeps or told

    def note_loss(self, address: int, *, kept: bool = False) -> None:
        """The address of a variable is in unknown hands."""
        self.pending.append(Store(address, 8, PLAIN, 0, lost=True, kept_at=self.at if kept else None))

    def _call_direct(self, operation: Operation) -> bool:
        target = operation[1]
        name = self.program.import_at(target)
        if name is not None:
            return self._call_import(name)
        resolved = self.program.resolved(target)
        if resolved is None:
            return self._call_unknown()
        if resolved == self.next:
            # "call next; pop": asks for the program counter.
            self._push_return()
            return True
        self.result.way(resolved, self.at, "call", self.state.facts)
        return self._call(resolved)

    def _call_indirect(self, operation: Operation) -> bool:
        source = operation[1]
        name = self.imported(source)
        if name is not None:
            return self._call_import(name)
        value = self.read(source)
        target = value.single
        if target is not None and self.program.image.is_code(target - self.program.base):
            address = target - self.program.base
            self.result.way(address, self.at, "call", self.state.facts | value.keys[target])
            return self._call(address)
        self.escape(value)
        if self.is_thread_descriptor(source):
            return True
        base, image = self.program.base, self.program.image
        chosen = tuple(key - base for key in value.keys if image.is_code(key - base)) if value.exact else ()
        return self._call_unknown(targets=chosen if len(chosen) == len(value.keys) else ())

    def imported(self, source: Operand) -> Optional[str]:
        """The import a call or jump through a fixed slot reaches."""
        if source[0] != "m" or source[1] is not None or source[2] is not None:
            return None
        return self.program.image.imports.get(source[4] - self.program.base)

    def _call_import(self, name: str) -> bool:
        if name in NEVER_RETURN:
            return False
        if name == "__tls_get_addr":
            return self.thread_address()
        return self._call_unknown(name)

    def _push_return(self) -> None:
        abi = self.abi
        stack = self.state.registers[abi.stack].single
        if abi.pushed and stack is not None:
            self.state.set_register(abi.stack, Value({stack - abi.pushed: 0}))
            self.state.store(stack - abi.pushed, abi.pushed, Value({self.next + self.program.base: 0}))

    def _call(self, target: int) -> bool:
        """Follow the call where that may tell something; false when it never returns."""
        self.result.callees.add(target)
        self._note_arguments(target)
        self._note_callee(target)
        if not self.analysis.returning.returns(target):
            self.result.opaque.add(target)
            self._call_unknown(targets=(target,))
            return False
        summary = self.analysis.followed.get(target)
        if summary is None or target in self.parents or target == self.entry or len(self.parents) >= _MAX_DEPTH:
            self.result.opaque.add(target)
            if summary is None and ((self.result.asks and self._tells(target)) or self._informs(target)):
                self.result.curious.add(target)
            return self._call_unknown(targets=(target,))
        if target in self.analysis.waiting:
            return False
        self.result.asks = self.result.asks or summary.asks
        if not summary.small:
            self.result.opaque.add(target)
            return self._call_summarised(target, summary)
        abi = self._convention((target,))
        own = self._private(abi)
        inner = self._followed(target, self._for_callee(abi, own=own, stacked=summary.stacked))
        if inner.exit is None:
            return bool(inner.unresolved) and self._call_unknown(targets=(target,))
        if inner.keeps and inner.small and self._is_small():
            self.result.keeps = True
        first, *others = self._outcomes(inner.exit, inner.exits) if not own else (inner.exit,)
        before = self.state
        for after in others:
            self.state = before.copy()
            self._come_back(abi, after, own=own)
            self.apart.append(self.state)
        self.state = before
        self._come_back(abi, first, own=own)
        return True

    def _outcomes(self, joined: State, exits: Mapping[Optional[int], State]) -> Sequence[State]:
        """The ways a call came back: one, or those that return different numbers and leave different answers on our
        stack (``if (ask(&answer))``)."""
        stack = self.state.registers[self.abi.stack].single
        if stack is None or not 1 < len(exits) <= _MAX_OUTCOMES or None in exits or self.forks >= _MAX_FORKS:
            return (joined,)
        if self.program.function_of(self.next) != self.program.function_of(self.at):
            return (joined,)
        for state in exits.values():
            for at, slot in state.memory.items():
                if is_stack(at) and at >= stack and slot[1].tainted and joined.memory.get(at) != slot:
                    self.forks += 1
                    return tuple(exits.values())
        return (joined,)

    def _note_callee(self, target: int) -> None:
        if target not in self.told.callees:
            self.told.callees[target] = self.analysis.recall.callee(target)

    def survive(self, address: int, size: int) -> Optional[Value]:
        """What code that is not followed may put there; ``None``: anything."""
        key = (address, size)
        told = self.told.kept
        self.cells.note_reader(address, size, self.owner)
        if key not in told:
            told[key] = self.cells.kept(address, size)
        return told[key]

    def _note_arguments(self, target: int) -> None:
        state = self.state
        passed = self._handed(target)
        known = self.result.arguments.get(target, (UNDEFINED,) * len(passed))
        self.result.arguments[target] = tuple(
            join(before, 0, value, state.facts) for before, value in zip(known, passed)
        )

    def _is_small(self) -> bool:
        return self.result.steps <= MAX_WRAPPER

    def _call_summarised(self, target: int, summary: Result) -> bool:
        """A long callee: what it tells whatever its arguments are."""
        if summary.exit is None:
            return bool(summary.unresolved) and self._call_unknown(targets=(target,))
        self._call_unknown(targets=(target,))
        abi = self._convention((target,))
        for register in (abi.result, *abi.more):
            self.state.registers[register] = summary.exit.registers[register]
        self.state.facts |= summary.exit.facts
        return True

    def _for_callee(self, abi: Abi, *, own: bool, stacked: bool) -> State:
        """The state a callee begins with.

        :param own: it cannot reach our stack, so it need not know of it,
        :param stacked: apart from arguments there.
        """
        state = self.state.copy()
        stack = state.registers[abi.stack].single
        if own:
            low = stack if stacked and stack is not None else STACK_HIGH
            state.memory = {
                at if not is_stack(at) else at - low + STACK: slot
                for at, slot in state.memory.items()
                if not is_stack(at) or low <= at < low + STACKED
            }
            stack = STACK
            state.havoc = STACK - abi.pushed
        if stack is not None and abi.pushed:
            state.registers[abi.stack] = Value({stack - abi.pushed: 0})
        for number in range(len(state.registers) - 4):
            if number not in abi.arguments and number != abi.stack:
                state.registers[number] = PLAIN
            else:
                state.registers[number] = unstepped(state.registers[number])
        state.flags = None
        state.origins = {}
        state.vectors = [()] * len(state.vectors)
        state.facts = 0
        return state

    def _followed(self, target: int, state: State) -> Result:
        abi = self._convention((target,))
        key = (
            target,
            tuple(state.registers[number] for number in (*abi.arguments, abi.stack)),
            tuple(sorted(state.memory.items(), key=lambda item: item[0])),
            state.havoc, state.escaped, state.opened, self.parents, self.entry,
        )  # fmt: skip
        recall = self.analysis.recall
        recalled = recall.find(key, self.owner)
        if recalled is None:
            run = type(self)(self.analysis, target, state, (*self.parents, self.entry))
            recalled = run.execute(), run.told
            recall.keep(key, *recalled)
        found = recalled[0]
        self.told.absorb(recalled[1])
        here = self.state.facts
        own = self.result
        for way, facts in found.ways.items():
            own.way(way.target, way.at, way.kind, facts | here)
        for address, facts in found.facts.items():
            own.facts[address] = own.facts.get(address, -1) & (facts | here)
        for address, told in found.tests.items():
            own.tests[address] = own.tests.get(address, 0) | told
        own.opaque |= found.opaque
        own.callees |= found.callees
        self.pending.extend(store._replace(facts=store.facts | here) for store in found.stores)
        self.result.reads |= found.reads
        for callee, passed in found.arguments.items():
            known = self.result.arguments.get(callee, (UNDEFINED,) * len(passed))
            self.result.arguments[callee] = tuple(
                join(before, 0, value, self.state.facts) for before, value in zip(known, passed)
            )
        return found

    def _come_back(self, abi: Abi, after: State, *, own: bool) -> None:
        """Go on behind a call that was followed, with what the callee left in *after*."""
        state = self.state
        kept = {number: state.registers[number] for number in (*abi.saved, abi.stack)}
        saved_origins = {
            number: origin for number, origin in state.origins.items() if number in kept and is_stack(origin[0])
        }
        facts = state.facts
        before = state
        self.state = state = after.copy()
        if own:
            state.memory = {at: slot for at, slot in state.memory.items() if not is_stack(at)}
            state.memory.update({at: slot for at, slot in before.memory.items() if is_stack(at)})
            state.havoc, state.escaped, state.opened = before.havoc, before.escaped, before.opened
        for number in range(len(state.registers) - 4):
            if number in kept:
                state.registers[number] = kept[number]
            elif number != abi.result and number not in abi.more:
                state.registers[number] = PLAIN
        state.facts |= facts
        state.flags = None
        state.origins = saved_origins
        state.vectors = [()] * len(state.vectors)
        stack = state.registers[abi.stack].single
        if stack is None:
            return
        if own:
            self._take_over(after, stack)
        for at in [at for at in state.memory if is_stack(at) and at < stack]:
            del state.memory[at]

    def _call_unknown(self, name: Optional[str] = None, targets: Sequence[int] = ()) -> bool:
        """A call that is not followed: everything others were told of may change.

        :param name: of the import it reaches, where that is known.
        :param targets: the functions in this file that it may reach, where that is known.
        """
        if name is not None and name in self.program.answers:
            return self._ask_library(name)
        state = self.state
        abi = self._convention(targets)
        tainted = False
        for number in abi.arguments:
            value = state.registers[number]
            if value is PLAIN or (
                value.keys and targets and not any(self.analysis.liveness.reads(target, number) for target in targets)
            ):
                continue
            tainted = tainted or value.tainted
            self.escape(value, kept=bool(targets))
        tainted = self._escape_stacked(targets) or tainted
        self._lose_stacked(targets)
        low = state.escaped
        if low < STACK_HIGH:
            for at, (_, value) in list(state.memory.items()):
                if at >= low and is_stack(at):
                    tainted = tainted or value.tainted
                    self.escape(value)
            state.forget_above(low)
        for at, (size, value) in [item for item in state.memory.items() if not is_stack(item[0])]:
            kept = self.survive(at, size)
            if kept is None:
                del state.memory[at]
            else:
                state.memory[at] = (size, join(value, 0, kept, 0))
        state.after_call(abi)
        if tainted:
            state.registers[abi.result] = ANYTHING
        return True

    def _ask_library(self, name: str) -> bool:
        """A call of getauxval, which looks a number up: it keeps no pointer and writes no variable."""
        abi = self.abi
        argument = self.state.registers[abi.arguments[0]]
        answer = self.answer_of(name, argument)
        self.state.after_call(abi)
        if answer is not None or argument.tainted:
            self.state.registers[abi.result] = ANYTHING if answer is None else answer
        return True
