"""The third ground: code that asks the CPU, or chooses by the answer, and has used what it asks for before.

A function that tests for a feature is meant to run where that feature is missing. When every path to the test passes an
instruction that cannot run there, the test comes too late.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..code import Mark
from .graph import Graph
from .reach import Reach
from .results import Result


class Late(NamedTuple):
    """A mark that every path to the test at ``test`` passes; ``feature``: what is tested."""

    mark: Mark
    test: int
    feature: str


def late_marks(reach: Reach, function: int, marks: Sequence[Mark]) -> Iterator[Late]:
    """Those of *marks*, all in *function*, that come before a test for what they need."""
    result = reach.results.get(function)
    if result is None:
        return
    tests = _tests(reach, result)
    if not tests:
        return
    graph: Optional[Graph] = None
    facts = reach.program.facts
    for mark in marks:
        needed = facts.needed(mark.features)
        closure = 0
        for name in mark.features:
            closure |= facts.shown(name)
        fitting = [(at, bits) for at, bits in tests if bits & closure]
        if not fitting or reach.guarded(mark.address, needed) or not reach.reached(mark.address):
            continue
        if graph is None:
            graph = Graph(reach.program, function)
            tree = graph.before()
        for at, bits in fitting:
            if graph.dominates(mark.address, at, tree):
                yield Late(mark, at, facts.title(bits & closure))
                break


def _tests(reach: Reach, result: Result) -> List[Tuple[int, int]]:
    """(address, features tested as such) of the tests of one function, and of its questions to the CPU."""
    found = [(at, _defining(reach, told)) for at, told in result.tests.items()]
    asked = _asked(reach)
    found.extend((at, asked) for at in reach.program.questions if at in result.facts)
    return [(at, bits) for at, bits in found if bits]


def _defining(reach: Reach, told: int) -> int:
    """The features among *told* that no other of them implies: those whose bits were tested."""
    facts = reach.program.facts
    names = facts.names(told)
    implied = 0
    for name in names:
        implied |= facts.shown(name) & ~facts.bit(name)
    return told & ~implied


def _asked(reach: Reach) -> int:
    """All features any interpreted function tests for."""
    bits = 0
    known: Dict[int, int] = {}
    for result in reach.results.values():
        for told in result.tests.values():
            if told not in known:
                known[told] = _defining(reach, told)
            bits |= known[told]
    return bits
