"""Where a function that begins an import can only fail: which of its blocks lead to nothing but failure.

Both kinds of function tell failure by what they return ("The Python/C API Reference Manual", chapter "Module Objects"):
a module initialiser gives ``NULL``, an exec slot -1. What stops the program, as Rust does at the end of a panic, is
failure too.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Sequence, Set, Tuple

from .graph import EXIT, Block, Graph
from .operations import Operand, Operation
from .program import NEVER_RETURN, Program
from .writing import operations, writes, written

# What each kind of function gives when it fails.
FAILURES = {"module initialiser": 0, "module exec slot": -1}
# A block, and whether the result register holds failure where it begins.
_Node = Tuple[int, bool]


def failing(program: Program, graph: Graph, failure: int) -> FrozenSet[int]:
    """Beginnings of the blocks of *graph* from which every way ends in failure.

    :param failure: what the function gives when it fails.
    """
    before: Dict[_Node, List[_Node]] = {}
    waiting: List[_Node] = []
    for block in graph.blocks.values():
        done = operations(program, block)
        for held in (False, True):
            node = (block.start, held)
            after = _holds(program, done, failure, held=held)
            for target in block.next:
                if target in graph.blocks:
                    before.setdefault((target, after), []).append(node)
                elif not _gives_up(program, block, done, after=after):
                    waiting.append(node)
    fine: Set[_Node] = set()
    while waiting:
        node = waiting.pop()
        if node not in fine:
            fine.add(node)
            waiting.extend(before.get(node, ()))
    return frozenset(start for start in graph.blocks if (start, False) not in fine)


def _holds(program: Program, done: Sequence[Operation], failure: int, *, held: bool) -> bool:
    """Whether the result register holds *failure* behind the operations *done*, where it did before them: *held*."""
    result = program.lifter.abi.result
    for operation in done:
        if operation[0] in ("call", "calli"):
            held = False
        elif operation[0] == "lost":
            held = held and result not in operation[1]
        elif writes(operation):
            target = written(operation)
            if target is None:
                held = False
            elif target[:2] == ("r", result):
                held = operation[0] == "mov" and _is(operation[2], failure, target[2])
    return held


def _is(source: Operand, number: int, width: int) -> bool:
    """Whether *source* is the constant *number*, of *width* bits."""
    return source[0] == "i" and not (int(source[1]) - number) & ((1 << width) - 1)


def _gives_up(program: Program, block: Block, done: Sequence[Operation], *, after: bool) -> bool:
    """Whether the way out at the end of *block* is failure; *after*: the result register holds failure there."""
    last = done[-1] if done else ("",)
    if block.next != (EXIT,):
        return False
    if last[0] == "call":
        return program.import_at(int(last[1])) in NEVER_RETURN
    return last[0] == "stop" or (last[0] == "ret" and after)
