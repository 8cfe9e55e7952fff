"""Which facts hold wherever control can come to a place: over calls, jumps and pointers, from the roots on.

A node is a place where control (or a pointer to it) arrives: an entry of a function, or an object in data that holds
pointers. Facts of a node are those that hold on *every* way to it. Ways out of functions that were not interpreted
carry nothing of their own. A node that no way leads to from a root holds everything: it is *unreached*, which proves
nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from .discovery import Discovery
from .facts import EVERYTHING
from .program import Program
from .results import Result


class Node(NamedTuple):
    """``low`` is the entry of a function; for data, pointers lie at ``high`` in the object that begins at ``low``."""

    low: int
    high: int
    data: bool


class Edge(NamedTuple):
    """One way to a node: from ``source`` (``None``: from outside), at ``at``, where ``facts`` hold."""

    source: Optional[Node]
    at: int
    facts: int
    kind: str


class Reach:
    """Facts of nodes, computed on demand."""

    def __init__(self, discovery: Discovery) -> None:
        self.program: Program = discovery.program
        self.discovery = discovery
        self.results = discovery.results
        self._edges: Dict[Node, Tuple[Edge, ...]] = {}
        self._facts: Dict[Node, int] = {}
        self._exported = sorted(discovery.program.exported)
        self._index()

    def _index(self) -> None:
        """Where interpreted functions let pointers go, by target; where each instruction was interpreted."""
        self._events: Dict[int, List[Tuple[Result, int, int, str]]] = {}
        self._seen: Dict[int, List[Result]] = {}
        for result in self.results.values():
            for way, facts in result.ways.items():
                self._events.setdefault(way.target, []).append((result, way.at, facts, way.kind))
            for address in result.facts:
                self._seen.setdefault(address, []).append(result)
        self._targets = sorted(self._events)

    def _added(self, result: Result) -> None:
        for way, facts in result.ways.items():
            self._events.setdefault(way.target, []).append((result, way.at, facts, way.kind))
        for address in result.facts:
            self._seen.setdefault(address, []).append(result)
        self._targets = sorted(self._events)

    def entry(self, address: int) -> Node:
        """The node of the function entry at *address*."""
        return Node(address, address, data=False)

    # --- ways ---

    def edges(self, node: Node) -> Tuple[Edge, ...]:
        """All ways to *node*."""
        known = self._edges.get(node)
        if known is None:
            found = self._to_data(node) if node.data else self._to_code(node)
            known = self._edges[node] = tuple(found)
        return known

    def _to_code(self, node: Node) -> Iterator[Edge]:
        program = self.program
        entry = node.low
        function = program.function_of(entry)
        end = entry + 1 if function in self.results or entry != function else program.end_of(function)
        if any(entry <= address < end for address in program.entrances):
            yield Edge(None, entry, 0, "root")
        for target in range(bisect_left(self._targets, entry), len(self._targets)):
            address = self._targets[target]
            if address >= end:
                break
            for result, at, facts, kind in self._events[address]:
                if program.function_of(at) != function or address == function:
                    yield Edge(self.entry(result.entry), at, facts, kind)
        for _, at in program.transfers(entry, end):
            yield from self._unseen(at, "jump")
        for target, at in program.code_references(entry, end):
            if program.function_of(at) != function or target == function:
                yield from self._unseen(at, "pointer")
        for _, slot in program.pointers(entry, end):
            yield Edge(self._object(slot), slot, 0, "table")

    def _unseen(self, at: int, kind: str) -> Iterator[Edge]:
        """A reference at *at*, where that was not interpreted: nothing is known but that its function runs."""
        if at not in self._seen and not self.program.in_stub(at):
            yield Edge(self.entry(self.program.function_of(at)), at, 0, kind)

    def _object(self, slot: int) -> Node:
        """The object around *slot* begins at the nearest address that anything points to."""
        low = self.program.referred_below(slot)
        index = bisect_left(self._targets, slot + 1) - 1
        if index >= 0 and (low is None or self._targets[index] > low):
            low = self._targets[index]
        return Node(slot if low is None else low, slot, data=True)

    def _to_data(self, node: Node) -> Iterator[Edge]:
        program = self.program
        low, high = node.low, node.high + 1
        index = bisect_left(self._exported, low)
        if index < len(self._exported) and self._exported[index] < high:
            yield Edge(None, low, 0, "root")
        # What is read with an unknown index from a lower beginning may reach further than the next thing pointed to.
        wide = min(self.program.referred_below(node.high) or low, low)
        for target in range(bisect_left(self._targets, wide), bisect_left(self._targets, high)):
            address = self._targets[target]
            for result, at, facts, kind in self._events[address]:
                if address >= low or kind == "span":
                    yield Edge(self.entry(result.entry), at, facts, kind)
        for _, at in program.references(low, high):
            yield from self._unseen(at, "pointer")
        for _, slot in program.data_pointers(low, high):
            yield Edge(self._object(slot), slot, 0, "table")

    # --- facts ---

    def facts(self, node: Node) -> int:
        """What holds on every way to *node*; :data:`EVERYTHING` when there is none."""
        if node not in self._facts:
            self._solve(node)
        return self._facts[node]

    def _solve(self, goal: Node) -> None:
        users: Dict[Node, Set[Node]] = {}
        pending: List[Node] = [goal]
        facts: Dict[Node, int] = {}
        while pending:
            node = pending.pop()
            if node in facts:
                continue
            facts[node] = EVERYTHING
            for edge in self.edges(node):
                if edge.source is not None and edge.source not in self._facts:
                    users.setdefault(edge.source, set()).add(node)
                    pending.append(edge.source)
        work = set(facts)
        while work:
            node = work.pop()
            value = EVERYTHING
            for edge in self.edges(node):
                value &= self._before(edge, facts)
                if not value:
                    break
            if value != facts[node]:
                facts[node] = value
                work |= users.get(node, set())
        self._facts.update(facts)

    def _before(self, edge: Edge, facts: Dict[Node, int]) -> int:
        if edge.source is None:
            return edge.facts
        known = self._facts.get(edge.source)
        return (facts[edge.source] if known is None else known) | edge.facts

    # --- places ---

    def places(self, address: int) -> Sequence[Tuple[Node, int, Optional[Result]]]:
        """The entries from which control may come to *address*, each with the facts of its own."""
        seen = self._seen.get(address)
        function = self.program.function_of(address)
        self._interpret_inner(function)
        seen = self._seen.get(address)
        if not seen:
            return [(self.entry(function), 0, None)]
        found: List[Tuple[Node, int, Optional[Result]]] = [
            (self.entry(result.entry), result.facts[address], result) for result in seen
        ]
        return found + [(self.entry(part), 0, None) for part in self._entered_unseen(function)]

    def _entered_unseen(self, function: int) -> Iterator[int]:
        """Parts of other functions through which control comes to *function* from code that was not interpreted.

        A part that several functions jump to was interpreted from some of them, which tells nothing of the others.
        """
        program = self.program
        seen: Set[int] = set()
        waiting = [function]
        while waiting:
            part = waiting.pop()
            if part in seen or part in self.results:
                continue
            seen.add(part)
            ways = [at for _, at in program.transfers(part, program.end_of(part)) if program.function_of(at) != part]
            if any(at not in self._seen and not program.in_stub(at) for at in ways):
                yield part
            waiting.extend(program.function_of(at) for at in ways)

    def _interpret_inner(self, function: int) -> None:
        """Interpret from places inside *function* that others jump to, where it was interpreted itself."""
        if function not in self.results:
            return
        program = self.program
        end = program.end_of(function)
        inner = {target for target, _ in program.transfers(function + 1, end)}
        inner |= {target for target, _ in program.pointers(function + 1, end)}
        inner |= {
            target for target, at in program.code_references(function + 1, end) if program.function_of(at) != function
        }
        for entry in sorted(inner - set(self.results)):
            if entry in self.discovery.given_up:
                continue
            result = self.discovery.interpret(entry)
            if result is None:
                self.results.pop(function, None)
                self._edges.clear()
                return
            self._added(result)

    def guarded(self, address: int, needed: int) -> bool:
        """Whether *needed* holds on every way to the instruction at *address*.

        Where no way is found an edge is missing: then it must hold whoever comes to the function.
        """
        places = self.places(address)
        reached = [(self.facts(node), own) for node, own, _ in places if self.facts(node) != EVERYTHING]
        if not reached:
            reached = [(0, own) for _, own, _ in places]
        return all(not needed & ~(known | own) for known, own in reached)

    def reached(self, address: int) -> bool:
        """Whether any way leads to *address* at all."""
        return any(self.facts(node) != EVERYTHING for node, _, _ in self.places(address))
