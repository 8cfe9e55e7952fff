"""Stores that only ever weaken a flag: see :mod:`.kept`."""

from __future__ import annotations

from typing import Iterator, Tuple

from .graph import Block, Graph
from .operations import Operand, Operation
from .program import Program

_MAX_BACK = 4


def weakens(program: Program, function: int, at: int) -> bool:
    """Whether the store at *at* leaves 0, or comes only where the value is 0 or the byte that is written was not."""
    step = program.step(at)
    operation = step.operations[0] if step is not None and len(step.operations) == 1 else ("",)
    if operation[0] != "mov" or operation[1][0] != "m" or operation[1][5] != 8 or operation[1][2] is not None:
        return False
    if operation[2] == ("i", 0):
        return True
    if operation[2][0] != "r":
        return False
    graph = Graph(program, function)
    block = graph.block_of(at)
    if block is None or not graph.complete or any(_is_indirect(program, one) for one in graph.blocks.values()):
        return False
    return _arrives(program, graph, block, at, operation, 0)


def _is_indirect(program: Program, block: Block) -> bool:
    return any(operations and operations[-1][0] == "jumpi" for _, operations in _steps(program, block))


def _steps(program: Program, block: Block) -> Iterator[Tuple[int, Tuple[Operation, ...]]]:
    address = block.start
    while address < block.end:
        step = program.step(address)
        if step is None:
            return
        yield address, step.operations
        address += step.length


def _arrives(program: Program, graph: Graph, block: Block, at: int, store: Operation, depth: int) -> bool:
    """Whether every edge to *block* has tested what is stored or where, with nothing done since up to *at*."""
    idle = all(
        not operations or operations[-1][0] == "jump" for place, operations in _steps(program, block) if place < at
    )
    if not idle or block.start == graph.entry or depth > _MAX_BACK:
        return False
    before = [one for one in graph.blocks.values() if block.start in one.next]
    return bool(before) and all(_told(program, graph, one, block.start, store, depth) for one in before)


def _told(program: Program, graph: Graph, before: Block, to: int, store: Operation, depth: int) -> bool:
    found = [operation for _, operations in _steps(program, before) for operation in operations]
    last = found[-1] if found else ("",)
    if last[0] not in ("branch", "zero"):
        return _arrives(program, graph, before, before.end, store, depth + 1)
    if len(found) < 2 or len(set(before.next)) < 2:
        return False
    taken = last[2] == to
    if last[0] == "zero":
        zero = last[3] == taken
        return (zero and _same(last[1], store[2])) or (
            not zero and found[-2][0] == "mov" and found[-2][2] == store[1] and _same(found[-2][1], last[1])
        )
    if last[1] not in ("e", "ne"):
        return False
    zero = (last[1] == "e") == taken
    test = found[-2]
    if test[0] == "cmp" and test[2] == ("i", 0):
        return _same(test[1], store[2]) if zero else test[1] == store[1]
    return bool(zero and test[0] == "test" and test[1] == test[2] and _same(test[1], store[2]))


def _same(tested: Operand, stored: Operand) -> bool:
    """Whether a test of *tested* tells of all that is *stored*: the same register, as wide or wider."""
    if tested[0] != "r" or stored[0] != "r":
        return False
    return bool(tested[1] == stored[1] and tested[3] == stored[3] and tested[2] >= stored[2])
