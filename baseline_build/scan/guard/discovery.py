"""Finds the functions that matter: those that ask the CPU, that keep or pass on the answer, and that read it.

Starting from the instructions that ask, every function that learns something is interpreted; its callers are when it
tells them something, and so is every function near a variable that keeps an answer. The rest of the file is never
interpreted: whatever happens there happens without a test.
"""

from __future__ import annotations

import heapq
from typing import Dict, FrozenSet, Iterator, List, Optional, Sequence, Set, Tuple

from .analysis import Analysis, entry_state
from .detection import informed_resolvers
from .fields import is_field
from .interpreter import Run
from .program import Program
from .resolvers import tell
from .results import Budget, ExhaustedError, Result
from .users import users
from .values import Value, join

# Steps of interpretation for one file.
TOTAL_STEPS = 3_000_000
_RUN_STEPS = 250_000
# What it costs to see that a result still holds.
_RECALLED = 50
_MAX_RUNS_PER_FUNCTION = 40
_MAX_REPEATS = 12
_MAX_HEIGHT = 6
_MAX_OWNERS = 8
_MAX_CALLS = 16
_MAX_OWNER_SIZE = 2048
_MAX_ROUNDS = 3
_MAX_USERS = 3000

# What callers learn from a function: what it returns, the facts that hold then, whether it keeps what the CPU said, and
# what it leaves on the stack.
_Told = Tuple[Value, int, bool, Tuple[Tuple[int, Value], ...]]


class Discovery:
    """Interprets what matters until nothing changes any more; ``results`` are by entry address."""

    def __init__(self, program: Program, steps: int = TOTAL_STEPS) -> None:
        self.program = program
        self.steps = self.budget = steps
        self.analysis = Analysis(program, Budget(0))
        self.results: Dict[int, Result] = {}
        self._resolvers = informed_resolvers(program.image)
        # Functions that could not be interpreted within the budget, and all that were chosen.
        self.given_up: Set[int] = set()
        self._queue: List[Tuple[int, int]] = []
        self._queued: Set[int] = set()
        # Functions that need no interpretation of their own, see _settle.
        self.covered: Set[int] = set()
        self._runs: Dict[int, int] = {}
        # The last result of each function, also of earlier rounds.
        self._last: Dict[int, Result] = {}
        # Functions that code which asks the CPU tells something of it.
        self._curious: Set[int] = set()
        self._called_only: Dict[int, bool] = {}
        self._passed: Dict[int, Tuple[Value, ...]] = {}
        self._told: Dict[int, Optional[_Told]] = {}

    def discover(self) -> None:
        """Interpret until stable, or until the steps are used up.

        The first round finds what matters, and on the way believes less than is true (a variable is not known to be a
        cell before the store that makes it one). The next ones begin again with nothing stored anywhere, so that no
        such belief keeps itself alive.
        """
        for function in self._beginnings():
            self._enqueue(function)
        self._drain()
        for _ in range(_MAX_ROUNDS):
            before = self._found()
            if self.steps < self.budget // 3:
                break
            self._begin_again()
            self._drain()
            if self._found() == before:
                break

    @property
    def exhausted(self) -> bool:
        """Whether the steps for the whole file are used up, so that some functions were never looked at."""
        return self.steps <= 0

    def _found(self) -> Tuple[FrozenSet[int], FrozenSet[int]]:
        return frozenset(self.analysis.cells), frozenset(self.analysis.followed)

    def _begin_again(self) -> None:
        analysis = self.analysis
        analysis.cells.reset()
        self._lose_cells(list(analysis.cells))
        analysis.waiting.clear()
        analysis.waiting.update(function for function, result in analysis.followed.items() if not result.small)
        for entry in list(self.results):
            self._enqueue(entry)
        self.results.clear()
        self._runs.clear()
        self._told.clear()

    def _drain(self) -> None:
        for _ in range(_MAX_ROUNDS):
            while self._queue:
                function = heapq.heappop(self._queue)[1]
                self._queued.discard(function)
                if function not in self.covered:
                    self.interpret(function)
                    self._follow_cells()
            if not self._settle():
                return

    def _settle(self) -> bool:
        """Retire functions that are followed from all their callers: what they do is told there, and more exactly."""
        before = self.covered
        # Who is called only by those that are covered is covered, too.
        for _ in range(_MAX_HEIGHT):
            covered = {function for function in self.analysis.followed if self._is_covered(function)}
            for function in covered - self.covered:
                if self.results.pop(function, None) is not None:
                    self.analysis.cells.forget(function)
            if covered == self.covered:
                break
            self.covered = covered
        lost = before - self.covered
        for function in lost:
            self._enqueue(function)
        self._follow_cells()
        return bool(self._queue)

    def _is_covered(self, function: int) -> bool:
        program = self.program
        end = program.end_of(function)
        if any(function <= root < end for root in program.entrances):
            return False
        if next(program.pointers(function, end), None) or next(program.code_references(function, end), None):
            return False
        callers = set()
        for target, at in program.transfers(function, end):
            if target != function:
                return False
            callers.add(program.function_of(at))
        return bool(callers) and all(self._follows(caller, function, set()) for caller in callers)

    def _follows(self, caller: int, function: int, seen: Set[int]) -> bool:
        """Whether every call from *caller* to *function* is followed, there or wherever *caller* itself is."""
        result = self.results.get(caller)
        if result is not None:
            return function not in result.opaque and function in result.callees
        if caller in seen or caller not in self.covered:
            return False
        seen.add(caller)
        above = {self.program.function_of(at) for _, at in self.program.transfers(caller, caller + 1)}
        return all(self._follows(upper, function, seen) for upper in above)

    def _beginnings(self) -> Iterator[int]:
        program = self.program
        for address in (*program.questions, *self._resolvers):
            yield program.function_of(address)
        answers = program.answers
        for stub, name in program.image.stubs.items():
            if name in answers:
                for _, place in program.transfers(stub, stub + 1):
                    yield program.function_of(place)
        slots = [(slot, slot + 1) for slot, name in program.image.imports.items() if name in answers]
        for low, high in (*slots, *self.analysis.cells.foreign.places):
            for _, place in program.references(low, high):
                yield program.function_of(place)

    def _enqueue(self, function: int) -> None:
        for whole in self._wholes(function):
            if whole not in self._queued and whole not in self.given_up:
                self._queued.add(whole)
                heapq.heappush(self._queue, (self._height(whole), whole))

    def _height(self, function: int) -> int:
        """Callees before callers: how many calls lie below at most, as far as was seen."""
        level, height = {function}, 0
        while level and height <= _MAX_HEIGHT:
            below = {callee for caller in level & self._last.keys() for callee in self._last[caller].callees}
            level = below & self._last.keys()
            height += bool(level)
        return height

    def _wholes(self, function: int) -> Set[int]:
        """*function*, or those it is a part of: a part is interpreted where control comes from."""
        wholes: Set[int] = set()
        seen: Set[int] = set()
        waiting = [function]
        while waiting:
            part = waiting.pop()
            if part in seen:
                continue
            seen.add(part)
            if not self.program.only_jumped(part):
                wholes.add(part)
                continue
            above = {self.program.function_of(at) for _, at in self.program.transfers(part, part + 1)} - {part}
            long = any(self.program.end_of(owner) - owner > _MAX_OWNER_SIZE for owner in above)
            if long or not 0 < len(above) <= _MAX_OWNERS or above & self.given_up:
                wholes.add(part)
            else:
                waiting.extend(above)
        return wholes or {function}

    def interpret(self, entry: int) -> Optional[Result]:
        """Interpret the function (or inner entry) at *entry*; ``None`` where that costs too much."""
        runs = self._runs[entry] = self._runs.get(entry, 0) + 1
        cells = self.analysis.cells
        before = cells.begin(entry)
        result = None
        if runs <= _MAX_RUNS_PER_FUNCTION:
            for repeats in range(_MAX_REPEATS):
                result = self._run(entry)
                # What it stores may change what it reads: begin again with that, until nothing is new.
                if result is None or not cells.add(entry, result.stores, repeats, result.reads if result.asks else ()):
                    break
            else:
                result = None
        if result is None:
            cells.forget(entry)
            self._give_up(entry)
            return None
        cells.settle(entry, before)
        self._keep(entry, result)
        return result

    def _run(self, entry: int) -> Optional[Result]:
        budget, recall = self.analysis.budget, self.analysis.recall
        if self.steps <= 0:
            return None
        passed = self._arguments(entry)
        self._passed[entry] = passed
        known = recall.find((entry, passed), self.program.function_of(entry))
        if known is not None:
            self.steps -= _RECALLED
            return known[0]
        budget.left = allowed = min(_RUN_STEPS, self.steps)
        run = Run(self.analysis, entry, entry_state(self.analysis, entry, passed))
        if entry in self._resolvers:
            tell(self.program, run.first)
            run.result.asks = True
        try:
            result = run.execute()
        except ExhaustedError:
            return None
        finally:
            self.steps -= allowed - max(budget.left, 0)
        recall.keep((entry, passed), result, run.told)
        return result

    def _keep(self, entry: int, result: Result) -> None:
        analysis = self.analysis
        function = self.program.function_of(entry)
        # What was worth following stays so: nothing may waver between two answers for ever.
        last = self._last.get(entry)
        result.keeps = result.keeps or (last is not None and last.keeps)
        self.results[entry] = result
        self._last[entry] = result
        for callee in result.curious - self._curious:
            self._curious.add(callee)
            self._enqueue(callee)
            self._ask_callers(callee)
        for callee in result.arguments:
            if callee in self.results and callee != entry and self._arguments(callee) != self._passed.get(callee):
                self._enqueue(callee)
        if function != entry:
            return
        analysis.waiting.discard(function)
        if function in analysis.followed or result.informative or (result.small and self._touches(result)):
            if function not in analysis.followed:
                for at in self.program.callers(function):
                    if self.program.function_of(at) in self.results:
                        self._enqueue(self.program.function_of(at))
            analysis.followed[function] = result
        self._tell_callers(function, result)

    def _ask_callers(self, function: int) -> None:
        """What the arguments of *function* hold is known when all calls to it were interpreted."""
        if not self._is_called_only(function):
            return
        for caller in {self.program.function_of(at) for _, at in self.program.transfers(function, function + 1)}:
            if caller not in self._last and not self.program.unused(caller):
                self._enqueue(caller)

    def _is_called_only(self, entry: int) -> bool:
        """Whether control comes to *entry* by a few direct calls and jumps and in no other way."""
        known = self._called_only.get(entry)
        if known is None:
            known = self._called_only[entry] = self._seems_called_only(entry)
        return known

    def _seems_called_only(self, entry: int) -> bool:
        program = self.program
        if entry in program.entrances or program.function_of(entry) != entry:
            return False
        if next(program.pointers(entry, entry + 1), None) or next(program.code_references(entry, entry + 1), None):
            return False
        return len(list(program.transfers(entry, entry + 1))) <= _MAX_CALLS

    def _touches(self, result: Result) -> bool:
        """Whether it writes a cell, is small and reads one, or is told something of the CPU by code that asks it."""
        cells = self.analysis.cells
        if result.entry in self._curious and result.tiny:
            return True
        if result.tiny and any(address in cells for address in result.reads):
            return True
        return any(store.address in cells for store in result.stores)

    def _arguments(self, entry: int) -> Tuple[Value, ...]:
        """What the argument registers of a function hold, where all calls to it were interpreted; else nothing."""
        program = self.program
        if not self._is_called_only(entry):
            return ()
        passed: Optional[List[Value]] = None
        places = [at for _, at in program.transfers(entry, entry + 1)]
        for caller in {program.function_of(at) for at in places}:
            if program.unused(caller):
                continue
            result = self.results.get(caller) or self._last.get(caller)
            values = result.arguments.get(entry) if result is not None else None
            if values is None or self._jumped_into(caller):
                return ()
            passed = list(values) if passed is None else [join(a, 0, b, 0) for a, b in zip(passed, values)]
        return tuple(passed or ())

    def _jumped_into(self, function: int) -> bool:
        """Whether others jump into the middle of *function*, so that what it passes on there is not known."""
        return next(self.program.transfers(function + 1, self.program.end_of(function)), None) is not None

    def _give_up(self, entry: int) -> None:
        """What is not interpreted may write anything to the variables it names."""
        self.given_up.add(entry)
        self.analysis.waiting.discard(entry)
        self.results.pop(entry, None)
        function = self.program.function_of(entry)
        self.analysis.followed.pop(function, None)
        self._tell_callers(function, None)
        self._lose_cells(list(self.analysis.cells))

    def _lose_cells(self, addresses: Sequence[int]) -> None:
        """Functions that were given up may write the cells they name."""
        if not self.given_up:
            return
        functions = {self.program.function_of(entry) for entry in self.given_up}
        for address in addresses:
            for function in functions & set(self._near(address)):
                self.analysis.cells.lose(address, function)

    def _tell_callers(self, function: int, result: Optional[Result]) -> None:
        """Callers learn of *function*: interpret them (again) when it tells other things than before."""
        told = None
        if function in self.analysis.waiting:
            return
        if result is not None and result.informative:
            facts = result.exit.facts if result.exit is not None else 0
            told = (result.returned, facts, result.keeps, result.left_behind)
        if self._told.get(function) == told:
            return
        self._told[function] = told
        quiet = told is not None and not any(told[1:])
        for place in self.program.callers(function):
            if not quiet or self._looks_at_result(place):
                self._enqueue(self.program.function_of(place))

    def _looks_at_result(self, place: int) -> bool:
        """Whether the function that makes the call at *place* may use what it returns."""
        step = self.program.step(place)
        if step is None or step.operations[-1][0] != "call":
            return True
        return self.analysis.liveness.uses(place + step.length, self.program.lifter.abi.result)

    def _follow_cells(self) -> None:
        cells = self.analysis.cells
        while cells.fresh:
            address = cells.fresh.pop()
            for function in self._near(address):
                if function not in self.results:
                    self._enqueue(function)
            self._lose_cells([address])
        stale, cells.stale = cells.stale, set()
        for entry in stale:
            if entry in self.results or entry in self._runs:
                self._enqueue(entry)

    def _near(self, address: int) -> List[int]:
        if is_field(address):
            field = self.analysis.fields.at(address)
            return sorted(field.functions(self.program)) if field is not None else []
        found = users(self.program, address)
        if len(found) > _MAX_USERS:
            self.analysis.cells.lose(address, 0)
            return []
        return found
