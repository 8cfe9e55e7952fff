"""What surely runs when a file is loaded because nothing was set up before: the first call of "initialise once".

Code that sets something up once tests a variable first (``if (state == ready) return;``). The test leaves a way around
the code behind it, yet at the first time that way is closed: the variable still holds what the file says. So the ways
that such a first value closes are left aside here.

When the root runs, other code may have run before it: earlier initialisers, other threads. That is no gap where every
store to the variable comes together with the instruction in question, before it or after it, on every path: whoever
changed the variable has then run the instruction already. So an instruction *surely runs* when it is on every path
from a root, ways aside that are closed by the first values of variables,

* each of which is an object of its own (a symbol tells its bounds) whose address nobody takes, and
* of each of which every store stands in a function that runs the instruction on every path whatever variables hold, or
  behind a block (on every path to the store that first values leave open) that surely runs it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import (
    Container,
    Deque,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from .analysis import Analysis
from .cells import Cells
from .graph import EXIT, Graph
from .interpreter import Run
from .kept import Kept
from .loading import Loaded, roots, surely_run
from .operations import Operation
from .program import Program
from .results import Budget, ExhaustedError
from .state import State
from .values import Value
from .variables import Variable, Variables

_STEPS = 200_000
_RUN_STEPS = 20_000
_MAX_FUNCTIONS = 1000
_MAX_PROOFS = 16
_MAX_REFUSED = 8


class _FirstCells(Cells):
    """Variables hold what the file says; ``used`` are those that were asked for."""

    def __init__(self, program: Program, kept: Kept, variables: Variables, refused: FrozenSet[int]) -> None:
        super().__init__(program, kept)
        self.variables = variables
        self.refused = refused
        self.used: Set[Variable] = set()

    def load(self, address: int, size: int, function: int) -> Value:
        variable = self.variables.at(address - self.program.base, size)
        if variable is None or variable.low in self.refused:
            return super().load(address, size, function)
        self.used.add(variable)
        return self.initial(address, size)


class FirstLoaded(NamedTuple):
    """An instruction that surely runs on load as long as ``variables`` hold their first values."""

    loaded: Loaded
    variables: FrozenSet[Variable]


class _Walk(Run):
    """Remembers which ways were taken: (last instruction before, where it leads)."""

    def __init__(self, analysis: Analysis, entry: int) -> None:
        super().__init__(analysis, entry, None)
        self.at = entry
        self.taken: Set[Tuple[int, int]] = set()

    def flow(self, address: int, state: State) -> None:
        """Control arrives at *address* with *state*."""
        self.taken.add((self.at, address))
        super().flow(address, state)


class FirstLoad:
    """The paths of functions that are open as long as variables, but for *refused*, hold their first values."""

    def __init__(self, program: Program, variables: Variables, refused: FrozenSet[int]) -> None:
        self.program = program
        self.analysis = Analysis(program, Budget(0))
        self.cells = self.analysis.cells = _FirstCells(program, self.analysis.cells.lists, variables, refused)
        self.steps = _STEPS
        self._opened: Dict[int, _Opened] = {}

    def opened(self, entry: int) -> _Opened:
        """The function at *entry* without the ways that first values close."""
        known = self._opened.get(entry)
        if known is None:
            known = self._opened[entry] = self._open(entry)
        return known

    def _open(self, entry: int) -> _Opened:
        graph = Graph(self.program, entry)
        if self.steps <= 0 or not self._asks(graph):
            return _Opened(graph, frozenset())
        budget = self.analysis.budget
        budget.left = allowed = min(_RUN_STEPS, self.steps)
        self.cells.used = set()
        walk = _Walk(self.analysis, entry)
        try:
            reached = walk.execute().facts
        except ExhaustedError:
            return _Opened(graph, frozenset())
        finally:
            self.steps -= allowed - max(budget.left, 0)
        ways: Dict[int, Set[int]] = {}
        for at, target in walk.taken:
            around = graph.block_of(at)
            if around is not None:
                ways.setdefault(around.start, set()).add(target)
        closed = False
        for start, block in list(graph.blocks.items()):
            open_ways = tuple(target for target in block.next if target == EXIT or target in ways.get(start, ()))
            closed = closed or open_ways != block.next
            graph.blocks[start] = block._replace(next=open_ways)
        for start in graph.blocks.keys() - reached.keys():
            del graph.blocks[start]
        return _Opened(graph, frozenset(self.cells.used) if closed else frozenset())

    def _asks(self, graph: Graph) -> bool:
        """Whether a block with two ways out reads a variable."""
        for block in graph.blocks.values():
            if len(block.next) < 2:
                continue
            at = block.start
            while at < block.end:
                step = self.program.step(at)
                if step is None:
                    break
                if any(self._reads(operation) for operation in step.operations):
                    return True
                at += step.length
        return False

    def _reads(self, operation: Operation) -> bool:
        for item in operation[1:]:
            if isinstance(item, tuple) and item and item[0] == "m" and item[1] is None and item[2] is None:
                address, size = item[4] - self.program.base, max(item[5] // 8, 1)
                variable = self.cells.variables.at(address, size)
                if variable is not None and variable.low not in self.cells.refused:
                    return True
        return False

    def found(self, marks: Sequence[int], begin: Iterable[Tuple[int, str]]) -> Iterator[FirstLoaded]:
        """Those of *marks* (ascending addresses) that surely run from *begin* on while first values stand."""
        seen: Set[int] = set()
        waiting: Deque[Tuple[int, Tuple[str, ...], FrozenSet[Variable]]] = deque(
            (address, (f"{what} {self.program.label(address)}",), frozenset()) for address, what in begin
        )
        while waiting and len(seen) < _MAX_FUNCTIONS:
            function, path, before = waiting.popleft()
            if function in seen:
                continue
            seen.add(function)
            graph, used = self.opened(function)
            variables = before | used
            for block in graph.always():
                for index in range(bisect_left(marks, block.start), bisect_left(marks, block.end)):
                    yield FirstLoaded(Loaded(marks[index], path), variables)
                waiting.extend((callee, (*path, self.program.label(callee)), variables) for callee in block.calls)


class _Opened(NamedTuple):
    """A function without some of its blocks: those that the first values of ``variables`` close."""

    graph: Graph
    variables: FrozenSet[Variable]


def run_at_first(program: Program, marks: Sequence[int], known: Container[int]) -> List[FirstLoaded]:
    """Those of *marks* (ascending addresses) that surely run on load, given the first values of variables.

    :param known: marks that need no such proof.
    """
    variables = Variables(program)
    begin = list(roots(program))
    first = FirstLoad(program, variables, frozenset())
    proven: List[FirstLoaded] = []
    for function in _functions(program, first.found(marks, begin), known):
        proven.extend(_proven(program, variables, marks, begin, function))
    return proven


def _functions(program: Program, found: Iterable[FirstLoaded], known: Container[int]) -> List[int]:
    """Functions with marks that only first values show to run."""
    functions: Dict[int, None] = {}
    for mark in found:
        if mark.variables and mark.loaded.address not in known:
            functions[program.function_of(mark.loaded.address)] = None
    return list(functions)[:_MAX_PROOFS]


def _proven(
    program: Program, variables: Variables, marks: Sequence[int], begin: Sequence[Tuple[int, str]], function: int
) -> List[FirstLoaded]:
    """The marks in *function* that surely run on load: without the variables that others may have changed."""
    refused: FrozenSet[int] = frozenset()
    end = program.end_of(function)
    inside = marks[bisect_left(marks, function) : bisect_left(marks, end)]
    for _ in range(_MAX_REFUSED):
        first = FirstLoad(program, variables, refused)
        found = list(first.found(inside, begin))
        wrong: Set[int] = set()
        proven: List[FirstLoaded] = []
        for mark in found:
            changed = _changed_before(first, mark)
            wrong |= changed
            if not changed:
                proven.append(mark)
        if proven or not wrong:
            return proven
        refused |= wrong
    return []


def _changed_before(first: FirstLoad, mark: FirstLoaded) -> Set[int]:
    """Variables that somebody may change without running *mark*, before or after."""
    wrong: Set[int] = set()
    asked: Set[Variable] = set()
    waiting = list(mark.variables)
    while waiting:
        variable = waiting.pop()
        if variable in asked:
            continue
        asked.add(variable)
        for store in variable.stores:
            needed = _together(first, store, mark.loaded.address)
            if needed is None:
                wrong.add(variable.low)
            else:
                waiting.extend(needed)
    return wrong


def _together(first: FirstLoad, store: int, mark: int) -> Optional[FrozenSet[Variable]]:
    """The variables on whose first values it rests that the instruction at *store* comes together with *mark*.

    ``None`` where it may run without.
    """
    program = first.program
    function = program.function_of(store)
    if _entered_inside(program, function):
        return None
    if surely_run(program, [mark], [(function, "")], lambda entry: Graph(program, entry).always(), _MAX_FUNCTIONS):
        return frozenset()
    graph, used = first.opened(function)
    around = graph.block_of(store)
    if around is None:
        # No way leads there that first values leave open.
        return used if graph.complete else None
    tree = graph.before()
    node: Optional[int] = around.start if around.start == function else tree.get(around.start)
    while node is not None:
        block = graph.blocks[node]
        if block.start <= mark < block.end and node != around.start:
            return used
        begin = [(callee, "") for callee in block.calls] if node != around.start else []
        for found in first.found([mark], begin):
            return used | found.variables
        node = tree.get(node) if node != function else None
    return None


def _entered_inside(program: Program, function: int) -> bool:
    """Whether others than parts of it jump into the middle of *function*."""
    for _, at in program.transfers(function + 1, program.end_of(function)):
        part = program.function_of(at)
        above = {program.function_of(place) for _, place in program.transfers(part, program.end_of(part))}
        if not program.only_jumped(part) or above - {function, part}:
            return True
    return False
