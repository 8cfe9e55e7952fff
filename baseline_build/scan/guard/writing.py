"""What operations of a block write, one by one, without following values."""

from __future__ import annotations

from typing import List, Optional

from .graph import Block
from .operations import Operand, Operation
from .program import Program

_TARGET_LATER = frozenset(["bin", "set", "cmov"])
_UNFOLLOWED = frozenset(["lost", "calli", "jumpi", "cpuid", "xcr", "fill", "copy"])
_WITHOUT_TARGET = frozenset(["cmp", "test", "bit", "branch", "zero", "tbit", "jump", "call", "ret", "stop"])


def operations(program: Program, block: Block) -> List[Operation]:
    """The operations of *block* in order, up to what is no instruction."""
    found: List[Operation] = []
    address = block.start
    while address < block.end:
        step = program.step(address)
        if step is None:
            break
        found.extend(step.operations)
        address += step.length
    return found


def writes(operation: Operation) -> bool:
    """Whether *operation* writes a register or memory itself; a call is none that does."""
    return operation[0] not in _WITHOUT_TARGET


def written(operation: Operation) -> Optional[Operand]:
    """The operand *operation*, one that writes, writes; ``None`` where it may write anything."""
    position = 2 if operation[0] in _TARGET_LATER else 1
    if operation[0] in _UNFOLLOWED or len(operation) <= position:
        return None
    target: Operand = operation[position]
    return target


def only_reads(program: Program, at: int) -> bool:
    """Whether the instruction at *at* does nothing to the memory it names but to read it."""
    step = program.step(at)
    if step is None:
        return False
    for operation in step.operations:
        if not writes(operation) or operation[0] in ("calli", "jumpi"):
            continue
        target = written(operation)
        if operation[0] == "lea" or target is None or target[0] == "m":
            return False
    return True
