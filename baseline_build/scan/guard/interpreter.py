"""Interprets one function over abstract values: which facts hold at each place, and what becomes of pointers.

Everything here only ever grows weaker while the worklist runs, so what is recorded along the way is weakened likewise
and is right at the end.
"""

from __future__ import annotations

import heapq
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from . import auxv
from .cells import Cells, Store
from .conditions import Flags, Outcome, decide
from .fields import Fields, is_field
from .graph import Graph
from .liveness import Liveness
from .operations import Abi, Operand, Operation
from .program import NEVER_RETURN, Program
from .state import ANYTHING, STACK, STACK_HIGH, State, is_stack, merge
from .transfer import Transfer
from .values import PLAIN, UNDEFINED, Value, constant, join, without_plain

MAX_DEPTH = 6
_MAX_VISITS = 80
_MAX_FOLLOWED = 300
_MAX_WRAPPER = 120
_WIDEN_AT = (8, 30, 40)
_WIDEN_LONG_AT = (2, 4, 6)
_LONG = 4096
# Bytes of arguments on the stack that are looked at, and how much of each.
_STACKED = 96
_SLOT = 4


class Way(NamedTuple):
    """Control, or a pointer through which it may come, goes to ``target`` from ``at`` where ``facts`` hold."""

    target: int
    at: int
    kind: str  # "call", "jump", "pointer", "span" (see Transfer.escape)


class Test(NamedTuple):
    """A branch or choice that tells something of the CPU: the facts on either outcome."""

    at: int
    facts: int


class Budget:
    """Steps of interpretation left; shared by all runs of a file."""

    def __init__(self, steps: int) -> None:
        self.left = steps


class ExhaustedError(Exception):
    """The budget is used up. Caught where the run was begun."""


class Result:
    """What one run over a function found; facts are relative to the function's entry."""

    def __init__(self, entry: int) -> None:
        self.entry = entry
        self.ways: Dict[Way, int] = {}
        self.tests: Dict[int, int] = {}
        # Facts at every instruction that was reached.
        self.facts: Dict[int, int] = {}
        self.exit: Optional[State] = None
        self.asks = False
        self.unresolved: Set[int] = set()
        self.callees: Set[int] = set()
        self.reads: Set[int] = set()
        # Instructions of its own, without those of the functions it follows calls to.
        self.steps = 0
        self.stores: List[Store] = []
        # Direct callee -> what its argument registers may hold, from all calls to it here.
        self.arguments: Dict[int, Tuple[Value, ...]] = {}
        # Direct callees that were not followed with what they are told here.
        self.opaque: Set[int] = set()
        # Those of them that are told something of the CPU.
        self.curious: Set[int] = set()
        # Reads arguments on the stack.
        self.stacked = False
        # Writes what the CPU said to a cell, or through a pointer nothing is known of.
        self.keeps = False

    def way(self, target: int, at: int, kind: str, facts: int) -> None:
        """Record a way; seen twice, only what holds both times holds."""
        key = Way(target, at, kind)
        self.ways[key] = self.ways.get(key, -1) & facts

    @property
    def returned(self) -> Value:
        """The result register at the return."""
        if self.exit is None:
            return UNDEFINED
        return self.exit.registers[0]

    @property
    def informative(self) -> bool:
        """Whether a caller learns something of the CPU from a call."""
        return self.keeps or (self.exit is not None and (bool(self.exit.facts) or self.returned.informed))

    @property
    def tiny(self) -> bool:
        """Whether it is cheap to interpret it for every call there is."""
        return self.steps <= _MAX_WRAPPER

    @property
    def small(self) -> bool:
        """Whether it is cheap to interpret it again for each of its callers."""
        return self.steps <= _MAX_FOLLOWED


class Analysis:
    """Shared by all runs over one file."""

    def __init__(self, program: Program, budget: Budget) -> None:
        self.program = program
        self.cells = Cells(program)
        self.fields = Fields(program)
        self.budget = budget
        self._orders: Dict[int, Dict[int, int]] = {}
        self.liveness = Liveness(program)
        # Functions worth following into from a caller.
        self.followed: Dict[int, Result] = {}
        # Those of them that have to be interpreted before anybody learns of their result.
        self.waiting: Set[int] = set()
        self.memo: Dict[object, Result] = {}

    def order(self, entry: int) -> Dict[int, int]:
        """The order in which the blocks of a function are best visited."""
        known = self._orders.get(entry)
        if known is None:
            graph = Graph(self.program, entry)
            known = self._orders[entry] = graph.ranks() if entry in graph.blocks else {}
        return known

    @property
    def abi(self) -> Abi:
        """The calling convention."""
        return self.program.lifter.abi


class Run(Transfer):
    """One function, from *entry*, in one context."""

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
        self.first = state if state is not None else entry_state(analysis)
        self.states: Dict[int, State] = {}
        self.visits: Dict[int, int] = {}
        self.queue: List[Tuple[int, int]] = []
        self.order = analysis.order(entry)
        low, high = self.ranges[0]
        self.patience = _WIDEN_LONG_AT if high - low > _LONG else _WIDEN_AT
        self.pending: List[Store] = []

    def execute(self) -> Result:
        """Interpret until nothing changes. Raises :class:`ExhaustedError`."""
        self.flow(self.entry, self.first)
        while self.queue:
            first = heapq.heappop(self.queue)
            while self.queue and self.queue[0] == first:
                heapq.heappop(self.queue)
            self._block(first[1])
        return self.finish()

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
        self.result.stacked = self.result.stacked or STACK <= address < STACK + _STACKED
        return super()._load(address, size)

    def note_store(self, address: int, size: int, value: Value) -> None:
        """A store outside the stack."""
        self.pending.append(Store(address, size, value, self.state.facts))
        told = value.informed or (self.result.asks and bool(self.state.facts) and value.exact)
        self.result.keeps = self.result.keeps or told

    def note_loss(self, address: int) -> None:
        """The address of a variable is in unknown hands."""
        self.pending.append(Store(address, 8, PLAIN, 0, lost=True))

    # --- control flow ---

    def flow(self, address: int, state: State) -> None:
        """Control arrives at *address* with *state*."""
        known = self.states.get(address)
        if known is None:
            self.states[address] = state.copy()
            self._push(address)
            return
        visits = self.visits.get(address, 0)
        widen = sum(visits >= limit for limit in self.patience)
        before = known
        if self.walks:
            known, state = auxv.reconcile(known, state)
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

    def _push(self, address: int) -> None:
        heapq.heappush(self.queue, (self.order.get(address, address), address))

    def _block(self, address: int) -> None:
        self.visits[address] = self.visits.get(address, 0) + 1
        self.state = self.states[address].copy()
        budget = self.analysis.budget
        while True:
            budget.left -= 1
            if budget.left < 0:
                raise ExhaustedError
            step = self.program.step(address)
            if step is None:
                return
            facts = self.result.facts
            before = facts.get(address)
            if before is None:
                self.result.steps += 1
                facts[address] = self.state.facts
            else:
                facts[address] = before & self.state.facts
            following = address + step.length
            self.at = address
            self.next = following
            for operation in step.operations:
                handler = _CONTROL.get(operation[0])
                if handler is None:
                    self.apply(operation)
                elif not handler(self, operation):
                    return
            if following in self.states or following in self.order:
                self.flow(following, self.state)
                return
            if not self._inside(following):
                # Falls into the next function.
                self._leave(following, "jump")
                return
            address = following

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
        self.result.way(target, self.at, kind, self.state.facts)
        abi = self.analysis.abi
        stack = self.state.registers[abi.stack].single
        if stack is not None and abi.pushed:
            # What lies there is a return address already.
            self.state.set_register(abi.stack, constant(stack + abi.pushed))
        if self._call(target):
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
        stack = self.state.registers[self.analysis.abi.stack].single
        return stack is not None and stack == self.first.registers[self.analysis.abi.stack].single

    def _stop(self, _: Operation) -> bool:
        return False

    def _return(self, _: Optional[Operation]) -> bool:
        state = self.state
        abi = self.analysis.abi
        if not self.inner:
            self.escape(state.registers[abi.result])
            self.escape(state.registers[abi.second], kind="second")
        if self.result.exit is None:
            self.result.exit = state.copy()
        else:
            merged = merge(self.result.exit, state, 0, self.escape)
            if merged is not None:
                self.result.exit = merged
        return False

    # --- calls ---

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
        abi = self.analysis.abi
        stack = self.state.registers[abi.stack].single
        if abi.pushed and stack is not None:
            self.state.set_register(abi.stack, Value({stack - abi.pushed: 0}))
            self.state.store(stack - abi.pushed, abi.pushed, Value({self.next + self.program.base: 0}))

    def _call(self, target: int) -> bool:
        """Follow the call where that may tell something; false when it never returns."""
        self.result.callees.add(target)
        self._note_arguments(target)
        summary = self.analysis.followed.get(target)
        if summary is None or target in self.parents or target == self.entry or len(self.parents) >= MAX_DEPTH:
            self.result.opaque.add(target)
            if summary is None and ((self.result.asks and self._tells()) or self._informs(target)):
                self.result.curious.add(target)
            return self._call_unknown(targets=(target,))
        if target in self.analysis.waiting:
            return False
        self.result.asks = self.result.asks or summary.asks
        if not summary.small:
            self.result.opaque.add(target)
            return self._call_summarised(target, summary)
        own = self._private()
        inner = self._followed(target, self._for_callee(own=own, stacked=summary.stacked))
        if inner.exit is None:
            return bool(inner.unresolved) and self._call_unknown(targets=(target,))
        if inner.keeps and inner.small and self._is_small():
            self.result.keeps = True
        self._come_back(inner, own=own)
        return True

    def _tells(self) -> bool:
        """Whether a callee is told something of the CPU: by what it is given, or by being called at all."""
        registers = self.state.registers
        return bool(self.state.facts) or any(registers[number].tainted for number in self.analysis.abi.arguments)

    def _informs(self, target: int) -> bool:
        """Whether *target* is given what the CPU said, and looks at it."""
        count = len(self.analysis.abi.arguments)
        handed = self._handed()
        reads = self.analysis.liveness.reads
        for number, value in zip(self.analysis.abi.arguments, handed):
            if self._is_answer(value) and reads(target, number):
                return True
        return any(self._is_answer(value) for value in handed[count:]) and self.fields.flow.takes_stacked(target)

    def _is_answer(self, value: Value) -> bool:
        """Whether *value* tells of the CPU, and is not one of the pointers chosen by that: who calls those is found
        where they are chosen."""
        low = self.program.low
        told = any(facts and key < low for key, facts in value.keys.items())
        return told or (value.bits is not None and value.bits.informed)

    def _handed(self) -> Tuple[Value, ...]:
        """What a call here hands over: argument registers, and the lower half of each argument on the stack."""
        state = self.state
        stack = state.registers[self.analysis.abi.stack].single
        stacked: List[Value] = [PLAIN] * (_STACKED // 8)
        if stack is not None:
            known = [state.known(stack + at, _SLOT) for at in range(0, _STACKED, 8)]
            stacked = [PLAIN if value is None or value.undefined else value for value in known]
        return (*(state.registers[number] for number in self.analysis.abi.arguments), *stacked)

    def _note_arguments(self, target: int) -> None:
        state = self.state
        passed = self._handed()
        known = self.result.arguments.get(target, (UNDEFINED,) * len(passed))
        self.result.arguments[target] = tuple(
            join(before, 0, value, state.facts) for before, value in zip(known, passed)
        )

    def _is_small(self) -> bool:
        return self.result.steps <= _MAX_WRAPPER

    def _call_summarised(self, target: int, summary: Result) -> bool:
        """A long callee: what it tells whatever its arguments are."""
        if summary.exit is None:
            return bool(summary.unresolved) and self._call_unknown(targets=(target,))
        self._call_unknown(targets=(target,))
        abi = self.analysis.abi
        for register in (abi.result, abi.second):
            self.state.registers[register] = summary.exit.registers[register]
        self.state.facts |= summary.exit.facts
        return True

    def _private(self) -> bool:
        """Whether a callee cannot reach our stack."""
        state = self.state
        if state.escaped < STACK_HIGH:
            return False
        return not any(is_stack(key) for number in self.analysis.abi.arguments for key in state.registers[number].keys)

    def _for_callee(self, *, own: bool, stacked: bool) -> State:
        """The state a callee begins with.

        :param own: it cannot reach our stack, so it need not know of it,
        :param stacked: apart from arguments there.
        """
        abi = self.analysis.abi
        state = self.state.copy()
        stack = state.registers[abi.stack].single
        if own:
            low = stack if stacked and stack is not None else STACK_HIGH
            state.memory = {
                at if not is_stack(at) else at - low + STACK: slot
                for at, slot in state.memory.items()
                if not is_stack(at) or low <= at < low + _STACKED
            }
            stack = STACK
            state.havoc = STACK - abi.pushed
        if stack is not None and abi.pushed:
            state.registers[abi.stack] = Value({stack - abi.pushed: 0})
        for number in range(len(state.registers) - 4):
            if number not in abi.arguments and number != abi.stack:
                state.registers[number] = PLAIN
        state.flags = None
        state.origins = {}
        state.vectors = [()] * len(state.vectors)
        state.facts = 0
        return state

    def _followed(self, target: int, state: State) -> Result:
        key = (
            target,
            tuple(state.registers[number] for number in (*self.analysis.abi.arguments, self.analysis.abi.stack)),
            tuple(sorted(state.memory.items(), key=lambda item: item[0])),
            state.havoc, state.escaped, state.opened, self.parents, self.entry, self.cells.version,
        )  # fmt: skip
        analysis = self.analysis
        found = analysis.memo.get(key)
        if found is None:
            run = Run(analysis, target, state, (*self.parents, self.entry))
            found = run.execute()
            analysis.memo[key] = found
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

    def _come_back(self, inner: Result, *, own: bool) -> None:
        abi = self.analysis.abi
        after = inner.exit
        if after is None:
            return
        state = self.state
        kept = {number: state.registers[number] for number in (*abi.saved, abi.stack)}
        saved_origins = {number: at for number, at in state.origins.items() if number in kept and is_stack(at)}
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
            elif number not in (abi.result, abi.second):
                state.registers[number] = PLAIN
        state.facts |= facts
        state.flags = None
        state.origins = saved_origins
        state.vectors = [()] * len(state.vectors)
        stack = state.registers[abi.stack].single
        if stack is not None:
            for at in [at for at in state.memory if is_stack(at) and at < stack]:
                del state.memory[at]

    def _escape_stacked(self, targets: Sequence[int]) -> bool:
        """Arguments beyond those in registers lie at the stack pointer; whether any comes from what the CPU said."""
        state = self.state
        stack = state.registers[self.analysis.abi.stack].single
        tainted = False
        for at in range(stack, stack + _STACKED, 8) if stack is not None else ():
            slot = state.memory.get(at)
            if slot is None or (self._points(slot[1]) and not self._takes_stacked(targets)):
                continue
            tainted = tainted or slot[1].tainted
            if slot[1].keys:
                self.escape(slot[1])
        return tainted

    def _takes_stacked(self, targets: Sequence[int]) -> bool:
        """Whether one of *targets* (none: it is not known which) may read arguments on the stack."""
        program = self.program
        return not targets or any(
            program.end_of(target) - target > _LONG or self.fields.flow.takes_stacked(target) for target in targets
        )

    def _call_unknown(self, name: Optional[str] = None, targets: Sequence[int] = ()) -> bool:
        """A call that is not followed: everything others were told of may change.

        :param name: of the import it reaches, where that is known.
        :param targets: the functions in this file that it may reach, where that is known.
        """
        if name is not None and name in self.program.answers:
            return self._ask_library(name)
        state = self.state
        abi = self.analysis.abi
        tainted = False
        for number in abi.arguments:
            value = state.registers[number]
            if value is PLAIN or (
                value.keys and targets and not any(self.analysis.liveness.reads(target, number) for target in targets)
            ):
                continue
            tainted = tainted or value.tainted
            self.escape(value)
        tainted = self._escape_stacked(targets) or tainted
        low = state.escaped
        if low < STACK_HIGH:
            for at, (_, value) in list(state.memory.items()):
                if at >= low and is_stack(at):
                    tainted = tainted or value.tainted
                    self.escape(value)
            state.forget_above(low)
        for at, (size, value) in [item for item in state.memory.items() if not is_stack(item[0])]:
            survivor = self.cells.survive(at, size, value)
            if survivor is None:
                del state.memory[at]
            else:
                state.memory[at] = (size, survivor)
        state.after_call(abi)
        if tainted:
            state.registers[abi.result] = ANYTHING
        return True

    def _ask_library(self, name: str) -> bool:
        """A call of getauxval, which looks a number up: it keeps no pointer and writes no variable."""
        abi = self.analysis.abi
        argument = self.state.registers[abi.arguments[0]]
        answer = self.answer_of(name, argument)
        self.state.after_call(abi)
        if answer is not None or argument.tainted:
            self.state.registers[abi.result] = ANYTHING if answer is None else answer
        return True


def entry_state(analysis: Analysis, arguments: Sequence[Value] = ()) -> State:
    """The state at the entry of a function; *arguments*: what is known of its argument registers."""
    state = State()
    abi = analysis.abi
    # On x86-64 the return address makes the stack pointer 8 less than a multiple of 16.
    stack = STACK - abi.pushed
    state.registers[abi.stack] = Value({stack: 0})
    state.havoc = stack
    for number, value in zip(abi.arguments, arguments):
        state.registers[number] = PLAIN if _is_elsewhere(analysis.program, value) else value
    for index, value in enumerate(arguments[len(abi.arguments) :]):
        if value is not PLAIN and not _is_elsewhere(analysis.program, value):
            state.memory[STACK + 8 * index] = (_SLOT, value)
    return state


def _is_elsewhere(program: Program, value: Value) -> bool:
    """Whether an argument points to a caller's stack, which means nothing here, or to code or constants, of which the
    caller has told already that they leave it."""
    for key in value.keys:
        address = key - program.base
        if is_stack(key):
            return True
        if program.low <= key < program.high and (program.image.is_code(address) or program.is_constant(address)):
            return True
    return False


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
