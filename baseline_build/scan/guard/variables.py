"""Variables of one file to which only direct reads and writes happen: all instructions that write them are known.

A symbol tells the bounds of such a variable. No word of data holds an address in it, no other file finds it by name,
and an instruction that takes its address does so only to read it through a register.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from .liveness import overwrites
from .operations import Operand, Operation, Step
from .program import Program

_OBJECT = 1  # STT_OBJECT
_MAX_STORES = 40
_MAX_STEPS = 400
_COMPARING = frozenset(["cmp", "test", "bit", "zero", "tbit"])


class Variable(NamedTuple):
    """A variable with bounds of its own, and the instructions that write it."""

    name: str
    low: int
    high: int
    stores: Tuple[int, ...]


class Variables:
    """The variables of one file that nothing is done to but direct reads and writes."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: Dict[int, Optional[Variable]] = {}

    @cached_property
    def _objects(self) -> List[Tuple[int, int, str]]:
        image = self.program.image
        symbols = (*image.symbols, *image.dynamic_symbols)
        return sorted({(s.address, s.address + s.size, s.name) for s in symbols if s.type == _OBJECT})

    def at(self, address: int, size: int) -> Optional[Variable]:
        """The variable that is the *size* bytes at *address*; ``None`` where that is not known."""
        index = bisect_right(self._objects, (address, 1 << 63, "")) - 1
        if index < 0:
            return None
        low, high, name = self._objects[index]
        if not low <= address < address + size <= high:
            return None
        if low not in self._known:
            self._known[low] = self._found(name, low, high)
        return self._known[low]

    def _found(self, name: str, low: int, high: int) -> Optional[Variable]:
        program = self.program
        if program.absolute or not program.contents.is_mapped(low) or program.contents.is_constant(low):
            return None
        if next(program.data_pointers(low, high), None) or any(low <= address < high for address in program.exported):
            return None
        stores: List[int] = []
        for _, at in program.references(low, high):
            kind = _use(program, at, low, high)
            if kind is None or len(stores) > _MAX_STORES:
                return None
            if kind == "write":
                stores.append(at)
        return Variable(name, low, high, tuple(stores))


def _use(program: Program, at: int, low: int, high: int) -> Optional[str]:
    """``read`` or ``write``: what the instruction at *at* does with the variable from *low* to below *high* that it
    names; ``None`` where it may hand its address on."""
    step = program.step(at)
    if step is None:
        return None
    kind = "read"
    for operation in step.operations:
        if operation[0] == "lea":
            return "read" if _only_read_through(program, at, operation[1], operation[2], high) else None
        for operand in _operands(operation, "m"):
            if operand[1] is not None or operand[2] is not None or operand[5] // 8 > high - low:
                return None
            if not _is_read(operation, operand):
                kind = "write"
    return kind


def _operands(operation: Operation, kind: str) -> Iterator[Operand]:
    return (item for item in operation[1:] if isinstance(item, tuple) and item and item[0] == kind)


def _is_read(operation: Operation, operand: Operand) -> bool:
    return operation[0] in _COMPARING or (operation[0] in ("mov", "movsx") and operation[1] is not operand)


def _only_read_through(program: Program, at: int, register: Operand, place: Operand, high: int) -> bool:
    """Whether the address *place* that the instruction at *at* puts into *register* serves for nothing but reads of
    what lies below *high*, on every way on."""
    if register[0] != "r" or place[1] is not None or place[2] is not None:
        return False
    address = place[4] - program.base
    first = program.step(at)
    waiting = [] if first is None else [at + first.length]
    seen: Set[int] = set()
    while waiting:
        current = waiting.pop()
        step = program.step(current)
        if current in seen:
            continue
        seen.add(current)
        if step is None or len(seen) > _MAX_STEPS:
            return False
        held = _held_after(step, register[1], high - address)
        if held is None:
            return False
        following = _following(program, step, current, register[1]) if held else []
        if following is None:
            return False
        waiting.extend(following)
    return True


def _held_after(step: Step, register: int, size: int) -> Optional[bool]:
    """Whether *register* still holds the address behind *step*; ``None`` where it is used for more than a read of the
    *size* bytes there."""
    for operation in step.operations:
        if operation[0] == "lost" and register in operation[1]:
            return False
        if operation[0] in ("fill", "copy", "cpuid", "xcr"):
            return None
        for operand in _operands(operation, "m"):
            if operand[2] == register or (operand[1] == register and not _is_read(operation, operand)):
                return None
            if operand[1] == register and not 0 <= operand[4] <= size - operand[5] // 8:
                return None
        overwritten = overwrites(operation, register)
        named = [operand for operand in _operands(operation, "r") if operand[1] == register]
        if len(named) > int(overwritten):
            return None
        if overwritten:
            return False
    return True


def _following(program: Program, step: Step, at: int, register: int) -> Optional[List[int]]:
    """Where control goes on with *register* as it is; ``None`` where somebody else may find the address in it."""
    after = at + step.length
    last: Operation = step.operations[-1] if step.operations else ("",)
    abi = program.abi_of(at)
    low = program.function_of(at)
    high = program.end_of(low)
    kind = last[0]
    if kind in ("call", "calli"):
        if register in abi.arguments:
            return None
        return [after] if register in abi.saved else []
    if kind == "ret":
        return None if register in (abi.result, *abi.more, *abi.saved) else []
    if kind == "stop":
        return []
    if kind == "jumpi":
        return None
    targets = [after]
    if kind == "jump":
        targets = [int(last[1])]
    elif kind in ("branch", "zero", "tbit"):
        targets = [after, int(last[3] if kind == "tbit" else last[2])]
    return targets if all(low <= target < high for target in targets) else None
