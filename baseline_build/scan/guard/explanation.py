"""Words for people: the test that guards code, the way that reaches it without one, what could not be followed."""

from __future__ import annotations

from collections import deque
from typing import Deque, List, Optional, Sequence, Tuple

from .facts import EVERYTHING
from .reach import Node, Reach
from .results import Result
from .ways import Step

_MAX_NODES = 20_000


def guard(reach: Reach, address: int, needed: int) -> Optional[str]:
    """The test that guards the instruction at *address*: function, address, feature."""
    reached = reach.reached(address)
    for node, own, result in reach.places(address):
        if reached and reach.facts(node) == EVERYTHING:
            continue
        found = _test(reach, result, needed & own) if result is not None else None
        if found is None:
            found = _test_above(reach, node, needed)
        if found is not None:
            return found
    return None


def _test(reach: Reach, result: Result, wanted: int) -> Optional[str]:
    if not wanted:
        return None
    best: Optional[int] = None
    for at, told in sorted(result.tests.items()):
        if told & wanted and (best is None or (told & wanted) == wanted != (result.tests[best] & wanted)):
            best = at
    if best is None:
        return None
    program = reach.program
    title = program.facts.title(result.tests[best] & wanted)
    return f"test of {title} in {program.label(result.entry)} at {best:#x}{_field_read(reach, result, wanted)}"


def _field_read(reach: Reach, result: Result, wanted: int) -> str:
    """Where the flag is kept that a function tests, when it is a member of a structure."""
    analysis = reach.discovery.analysis
    for field in analysis.fields:
        value = analysis.cells.stored(field.address, field.size)
        if field.address in result.reads and any(told & wanted for told in value.keys.values()):
            writers = sorted({reach.program.label(at) for at in field.writers})
            more = f" and {len(writers) - 2} more" if len(writers) > 2 else ""
            return (
                f" (of the flag at offset {field.displacement:#x} of a structure, written only with what the CPU said, "
                f"in {', '.join(writers[:2])}{more})"
            )
    return ""


def _test_above(reach: Reach, start: Node, needed: int) -> Optional[str]:
    """The nearest test on the ways to *start*."""
    seen = {start}
    waiting: Deque[Node] = deque([start])
    while waiting and len(seen) < _MAX_NODES:
        node = waiting.popleft()
        for edge in reach.edges(node):
            if edge.source is None:
                continue
            result = reach.results.get(edge.source.low) if not edge.source.data else None
            told = edge.facts & needed if edge.facts != EVERYTHING else 0
            if result is not None and told:
                found = _test(reach, result, told)
                if found is not None:
                    return found
            if edge.source not in seen:
                seen.add(edge.source)
                waiting.append(edge.source)
    return None


def listed(words: Sequence[str], most: int = 3) -> str:
    """The first of *words*, and how many more there are."""
    more = len(words) - most
    return ", ".join(words[:most]) + (f" and {more} more" if more > 0 else "")


def names(reach: Reach, way: Sequence[Step]) -> Tuple[str, ...]:
    """The functions on *way*, outermost first."""
    found: List[str] = []
    for node, _ in way:
        name = f"data@{node.low:x}" if node.data else reach.program.label(node.low)
        if not found or found[-1] != name:
            found.append(name)
    return tuple(found)


def reason(reach: Reach, address: int, needed: int, way: Sequence[Step], *, detected_here: bool) -> str:
    """What could not be followed on *way*, which leads to *address* without a test."""
    program = reach.program
    if not reach.reached(address):
        return "no way to it was found: no call, jump or pointer leads here from anything that runs"
    feature = program.facts.title(needed)
    if not detected_here:
        return f"nothing in this file asks the CPU; a test for {feature} can only stand in another file"
    if not way:
        return f"{program.label(address)} is reached in more ways than were looked at; no test for {feature} is on all"
    edges = [edge for _, edge in way if edge.source is not None]
    if not edges:
        return f"{program.label(address)} can be entered from outside, with no test for {feature} on the way"
    last = edges[-1]
    if last.kind == "table":
        return f"its address stands in data at {last.at:#x}; who reads it there, after which test, cannot be followed"
    if last.kind in ("pointer", "span"):
        return f"its address is taken in {program.place(last.at)}, after no test for {feature} that could be followed"
    return (
        f"{program.place(last.at)} leads here after no test for {feature} that could be followed "
        "(a flag in a small structure is not)"
    )


def ended_early(reach: Reach) -> Optional[str]:
    """That the analysis of the file stopped before everything was followed; ``None`` where it did not."""
    discovery = reach.discovery
    if discovery.exhausted:
        return (
            f"the analysis ended before it was decided: its budget of {discovery.budget:,} steps for one file "
            f"is used up after {len(reach.results):,} functions"
        )
    if discovery.given_up:
        program = reach.program
        names = ", ".join(program.label(entry) for entry in sorted(discovery.given_up)[:3])
        more = len(discovery.given_up) - 3
        return f"too long to follow: {names}" + (f" and {more} more functions" if more > 0 else "")
    return None
