"""The parts of an instruction that the walk over a function's pointers looks at."""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional, Tuple

from .operations import Operand, Operation


class Part(NamedTuple):
    """One operation: where it jumps to, the operand it writes and its memory operands."""

    operation: Operation
    target: Optional[int]
    written: Optional[Operand]
    memory: Tuple[Operand, ...]


_NO_TARGET = frozenset(
    ["cmp", "test", "bit", "moved", "lost", "cpuid", "xcr", "jump", "branch", "zero", "tbit", "jumpi", "calli", "call",
     "ret", "stop", "fill", "copy", "xchg", "swap"]
)  # fmt: skip
# Where the operand that is written stands, for those that do not name it first.
_TARGET_AT = {"bin": 2, "set": 2, "cmov": 2, "vmix": 2, "vbin": 2, "neg": 1}


def written_by(operation: Operation) -> Optional[Operand]:
    """The operand an operation writes."""
    kind = operation[0]
    if kind == "lost":
        found: Optional[Operand] = operation[2]
        return found
    if kind in ("xchg", "swap"):
        return next((operand for operand in operation[1:] if operand[0] == "m"), None)
    if kind in _NO_TARGET:
        return None
    operand: Operand = operation[_TARGET_AT.get(kind, 1)]
    return operand


def memory_of(operation: Operation) -> Iterator[Operand]:
    """The memory operands of an operation."""
    for item in operation[1:]:
        if isinstance(item, tuple) and item and item[0] == "m":
            yield item


def target_of(operation: Operation) -> Optional[int]:
    """Where a direct jump or branch leads."""
    kind = operation[0]
    if kind == "jump":
        return int(operation[1])
    if kind == "branch":
        return int(operation[2])
    if kind == "zero":
        return int(operation[2])
    if kind == "tbit":
        return int(operation[3])
    return None
