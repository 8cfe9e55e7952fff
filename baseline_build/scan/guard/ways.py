"""Ways without a test: from an entry of the file to code above the level, for people to read."""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, List, Set, Tuple

from .facts import EVERYTHING
from .reach import Edge, Node, Reach

#: A step of a way: the node, and the edge that leads to it (its ``source`` is the step before, ``None`` at a root).
Step = Tuple[Node, Edge]

# Nodes looked at for one way, and for all ways of a file together; when these are used up, ways are sought nearby only.
_MAX_NODES = 20_000
_TOTAL_NODES = 1_000_000
_NEARBY = 200


class OpenWays:
    """Finds ways on which a feature is not known to be there; what was found for one place serves the next.

    Libraries with thousands of functions above the level share most of the ways to them, so each node on a way that was
    found keeps its step towards the entry, and nodes from which everything was looked at in vain are not tried again.
    """

    def __init__(self, reach: Reach) -> None:
        self.reach = reach
        self._left = _TOTAL_NODES
        self._steps: Dict[int, Dict[Node, Edge]] = {}
        self._closed: Dict[int, Set[Node]] = {}

    def to(self, address: int, needed: int) -> List[Step]:
        """The way to the instruction at *address*, outermost step first; empty when none was found."""
        steps = self._steps.setdefault(needed, {})
        closed = self._closed.setdefault(needed, set())
        came: Dict[Node, Tuple[Step, ...]] = {}
        waiting: Deque[Node] = deque()
        for node, own, _ in self.reach.places(address):
            known = self.reach.facts(node)
            if known != EVERYTHING and needed & ~(known | own) and node not in came:
                came[node] = ()
                waiting.append(node)
        limit = min(_MAX_NODES, max(_NEARBY, self._left))
        while waiting and len(came) < limit:
            node = waiting.popleft()
            if node in steps:
                return self._found(node, came, steps)
            for edge in self._open_edges(node, needed):
                if edge.source is None:
                    steps[node] = edge
                    return self._found(node, came, steps)
                if edge.source not in came and edge.source not in closed:
                    came[edge.source] = ((node, edge),)
                    waiting.append(edge.source)
        self._left -= len(came)
        if not waiting:
            closed.update(came)
        return []

    def _open_edges(self, node: Node, needed: int) -> List[Edge]:
        """Edges to *node* on which *needed* does not hold."""
        found = []
        for edge in self.reach.edges(node):
            known = 0 if edge.source is None else self.reach.facts(edge.source)
            if known != EVERYTHING and needed & ~(known | edge.facts):
                found.append(edge)
        return found

    def _found(self, top: Node, came: Dict[Node, Tuple[Step, ...]], steps: Dict[Node, Edge]) -> List[Step]:
        """The way through *top*, whose step towards the entry is known; all its nodes keep theirs."""
        self._left -= len(came)
        node = top
        while came[node]:
            node, edge = came[node][0]
            steps.setdefault(node, edge)
        way: List[Step] = []
        at = node
        while True:
            edge = steps[at]
            way.append((at, edge))
            if edge.source is None:
                return way[::-1]
            at = edge.source
