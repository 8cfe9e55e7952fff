"""What one run over a function found, and how much a run may cost."""

from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple, Optional, Set, Tuple

from .cells import Store
from .operations import Abi
from .state import STACK, STACK_HIGH, Slot, State
from .values import UNDEFINED, Value, join

MAX_FOLLOWED = 300
MAX_WRAPPER = 120


class Way(NamedTuple):
    """Control, or a pointer through which it may come, goes to ``target`` from ``at`` where ``facts`` hold."""

    target: int
    at: int
    kind: str  # "call", "jump", "pointer", "span" (see Transfer.escape)


class Test(NamedTuple):
    """A branch or choice that tells something of the CPU: the facts on either outcome."""

    at: int
    facts: int


# What a caller uses of a function without interpreting it itself: see Result.essence.
Essence = Tuple[object, ...]


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
        # The same, apart by what is returned where that is one number (``None``: it is not): "1, and the answer stands
        # at the pointer you gave" is another outcome than "0, and nothing stands there".
        self.exits: Dict[Optional[int], State] = {}
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
        # What stands in memory at the entry.
        self.handed: Mapping[int, Slot] = {}
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
    def left_behind(self) -> Tuple[Tuple[int, Value], ...]:
        """Results on the stack that come from what the CPU said: (place above the return address, value), ascending.

        An argument that stands there as it came is none.
        """
        memory = self.exit.memory if self.exit is not None else {}
        places = [at for at in sorted(memory) if STACK <= at < STACK_HIGH and memory[at][1].tainted]
        return tuple((at, memory[at][1]) for at in places if not self._came(at, memory[at]))

    def _came(self, at: int, slot: Slot) -> bool:
        """Whether *slot* holds nothing but what it may have held at the entry."""
        size, value = self.handed.get(at, (0, UNDEFINED))
        return size == slot[0] and join(value, 0, slot[1], 0) == value

    @property
    def informative(self) -> bool:
        """Whether a caller learns something of the CPU from a call."""
        if self.keeps or self.left_behind or self.selects:
            return True
        return self.exit is not None and (bool(self.exit.facts) or self.returned.informed)

    @property
    def selects(self) -> bool:
        """Whether it asks the CPU a question its caller chooses (``has(AVX2)``): what it tells is known to that one.

        One of the answers must be told by a test, although no fact holds for all questions together.
        """
        returned = self.returned
        return self.asks and self.tiny and bool(self.tests) and returned.exact and len(returned.keys) > 1

    def essence(self, abi: Abi) -> Essence:
        """All that a caller learns of it without following into it: of a small one, only that it is followed."""
        if self.small:
            return (True, self.asks, self.stacked)
        told: Essence = (False, self.asks, self.stacked, bool(self.unresolved))
        if self.exit is None:
            return told
        registers = (self.exit.registers[number] for number in (abi.result, *abi.more))
        return (*told, self.exit.facts, *registers)

    @property
    def tiny(self) -> bool:
        """Whether it is cheap to interpret it for every call there is."""
        return self.steps <= MAX_WRAPPER

    @property
    def small(self) -> bool:
        """Whether it is cheap to interpret it again for each of its callers."""
        return self.steps <= MAX_FOLLOWED
