"""What all runs over one file share, and the state in which a function begins."""

from __future__ import annotations

from typing import Dict, Sequence, Set

from .cells import Cells
from .fields import Fields
from .graph import Graph
from .kept import Kept
from .liveness import Liveness
from .program import Program
from .recall import Recall
from .results import Budget, Result
from .returning import Returning
from .state import STACK, State, is_stack
from .values import PLAIN, Value

# Bytes of arguments on the stack that are looked at, and how much of each.
STACKED = 96
SLOT = 4


class Analysis:
    """Shared by all runs over one file."""

    def __init__(self, program: Program, budget: Budget) -> None:
        self.program = program
        self.fields = Fields(program)
        self.returning = Returning(program)
        self.cells = Cells(program, Kept(program, self.fields.flow, self.returning))
        self.budget = budget
        self._orders: Dict[int, Dict[int, int]] = {}
        self.liveness = Liveness(program)
        # Functions worth following into from a caller.
        self.followed: Dict[int, Result] = {}
        # Those of them that have to be interpreted before anybody learns of their result.
        self.waiting: Set[int] = set()
        self.recall = Recall(self.cells, self.fields, program.abi_of, self.followed, self.waiting)

    def order(self, entry: int) -> Dict[int, int]:
        """The order in which the blocks of a function are best visited."""
        known = self._orders.get(entry)
        if known is None:
            graph = Graph(self.program, entry)
            known = self._orders[entry] = graph.ranks() if entry in graph.blocks else {}
        return known


def entry_state(analysis: Analysis, entry: int, arguments: Sequence[Value] = ()) -> State:
    """The state at the beginning of the function at *entry*; *arguments*: what is known of its argument registers."""
    state = State()
    abi = analysis.program.abi_of(entry)
    # On x86-64 the return address makes the stack pointer 8 less than a multiple of 16.
    stack = STACK - abi.pushed
    state.registers[abi.stack] = Value({stack: 0})
    state.havoc = stack
    for number, value in zip(abi.arguments, arguments):
        state.registers[number] = PLAIN if _is_elsewhere(analysis.program, value) else value
    for index, value in enumerate(arguments[len(abi.arguments) :]):
        if value is not PLAIN and not _is_elsewhere(analysis.program, value):
            state.memory[STACK + 8 * index] = (SLOT, value)
    return state


def _is_elsewhere(program: Program, value: Value) -> bool:
    """Whether an argument points to a caller's stack, which means nothing here, or to code or constants, of which the
    caller has told already that they leave it."""
    for key in value.keys:
        address = key - program.base
        if is_stack(key):
            return True
        if program.low <= key < program.high and (
            program.image.is_code(address) or program.contents.is_constant(address)
        ):
            return True
    return False
