"""Finds the functions that matter: those that ask the CPU, that keep or pass on the answer, and that read it.

Starting from the instructions that ask, every function that learns something is interpreted; its callers are when it
tells them something, and so is every function near a variable that keeps an answer. The rest of the file is never
interpreted: whatever happens there happens without a test.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, Iterator, List, Optional, Set

from .interpreter import Analysis, Budget, Exhausted, Result, Run
from .program import Program
from .state import THREADS, is_thread
from .values import UNDEFINED, Value

_TOTAL_STEPS = 6_000_000
_RUN_STEPS = 250_000
_MAX_RUNS_PER_FUNCTION = 12
_NEAR = 256
_MAX_NEIGHBOURS = 3000


class Discovery:
    """Interprets what matters until nothing changes any more; ``results`` are by entry address."""

    def __init__(self, program: Program, steps: int = _TOTAL_STEPS) -> None:
        self.program = program
        self.steps = steps
        self.analysis = Analysis(program, Budget(0))
        self.results: Dict[int, Result] = {}
        # Functions that could not be interpreted within the budget, and all that were chosen.
        self.given_up: Set[int] = set()
        self._queue: Deque[int] = deque()
        self._queued: Set[int] = set()
        self._runs: Dict[int, int] = {}
        self._told: Dict[int, Value] = {}

    def discover(self) -> None:
        """Interpret until stable, or until the steps are used up."""
        for function in self._beginnings():
            self._enqueue(function)
        while self._queue:
            function = self._queue.popleft()
            self._queued.discard(function)
            self.interpret(function)
            self._follow_cells()

    def _beginnings(self) -> Iterator[int]:
        program = self.program
        for address in program.questions:
            yield program.function_of(address)
        answers = program.answers
        for stub, name in program.image.stubs.items():
            if name in answers:
                for _, place in program.transfers(stub, stub + 1):
                    yield program.function_of(place)
        for slot, name in program.image.imports.items():
            if name in answers:
                for _, place in program.references(slot, slot + 1):
                    yield program.function_of(place)

    def _enqueue(self, function: int) -> None:
        if function in self._queued or function in self.given_up:
            return
        self._queued.add(function)
        self._queue.append(function)

    def interpret(self, entry: int) -> Optional[Result]:
        """Interpret the function (or inner entry) at *entry*; ``None`` where that costs too much."""
        runs = self._runs[entry] = self._runs.get(entry, 0) + 1
        analysis = self.analysis
        function = self.program.function_of(entry)
        if runs > _MAX_RUNS_PER_FUNCTION or self.steps <= 0:
            self._give_up(entry)
            return None
        budget = analysis.budget
        budget.left = allowed = min(_RUN_STEPS, self.steps)
        try:
            result = Run(analysis, entry, None).execute()
        except Exhausted:
            self.steps -= allowed
            self._give_up(entry)
            return None
        self.steps -= allowed - budget.left
        self.results[entry] = result
        if function == entry:
            first = function not in analysis.followed
            analysis.followed.add(function)
            self._tell_callers(function, result, first=first)
        return result

    def _give_up(self, entry: int) -> None:
        """What is not interpreted may write anything to the variables it names."""
        self.given_up.add(entry)
        self.results.pop(entry, None)
        function = self.program.function_of(entry)
        self.analysis.followed.discard(function)
        self._tell_callers(function, None, first=True)
        cells = self.analysis.cells
        base = self.program.base
        for address in list(cells):
            if not is_thread(address) and function in set(self._neighbours(address - base)):
                cells.lose(address, function)

    def _tell_callers(self, function: int, result: Optional[Result], *, first: bool) -> None:
        """Callers learn of *function*: interpret them (again) when it tells more, or other things, than before."""
        informative = result is not None and result.informative
        told = result.returned if result is not None else UNDEFINED
        if not informative and not (first and any(True for _ in self._interpreted_callers(function))):
            if self._told.get(function, told) == told:
                return
        if self._told.get(function) == told and not first:
            return
        self._told[function] = told
        for _, place in self.program.transfers(function, function + 1):
            caller = self.program.function_of(place)
            if informative or caller in self.results:
                self._enqueue(caller)

    def _interpreted_callers(self, function: int) -> Iterator[int]:
        for _, place in self.program.transfers(function, function + 1):
            if self.program.function_of(place) in self.results:
                yield place

    def _follow_cells(self) -> None:
        cells = self.analysis.cells
        while cells.fresh:
            address = cells.fresh.pop()
            for function in self._near(address):
                if function not in self.results:
                    self._enqueue(function)
            if address - self.program.base in self.given_up:
                continue
            for function in self.given_up:
                if not is_thread(address) and function in set(self._neighbours(address - self.program.base)):
                    cells.lose(address, function)
        stale, cells.stale = cells.stale, set()
        for entry in stale:
            if entry in self.results or entry in self._runs:
                self._enqueue(entry)

    def _near(self, address: int) -> List[int]:
        if is_thread(address):
            found = list(self._thread_neighbours(address - THREADS))
        else:
            found = list(self._neighbours(address - self.program.base))
        unique = sorted(set(found))
        if len(unique) > _MAX_NEIGHBOURS:
            self.analysis.cells.lose(address, 0)
            return []
        return unique

    def _neighbours(self, address: int) -> Iterator[int]:
        """Functions that name *address*, or the object it lies in."""
        program = self.program
        low = program.referred_below(address)
        start = address if low is None or address - low > _NEAR else low
        for _, place in program.references(start, address + 8):
            yield program.function_of(place)

    def _thread_neighbours(self, offset: int) -> Iterator[int]:
        """Functions that name the thread-local variable at *offset*."""
        program = self.program
        slots = [slot for slot, found in program.image.tls_slots.items() if found == 0 or 0 <= offset - found < _NEAR]
        for slot in slots:
            for _, place in program.references(slot, slot + 1):
                yield program.function_of(place)
        raw = (offset & 0xFFFFFFFF).to_bytes(4, "little")
        for region in program.image.regions:
            data = bytes(region.data)
            at = data.find(raw)
            while at >= 0 and offset < 0:
                yield program.function_of(region.address + at)
                at = data.find(raw, at + 1)
