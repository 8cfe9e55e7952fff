"""Does a function read an argument register? A stale pointer in one that it does not read goes nowhere."""

from __future__ import annotations

from typing import Dict, Iterator, List, Set, Tuple

from .operations import Operand, Operation, Step
from .program import Program

_MAX_STEPS = 400
_TARGETS = frozenset(["mov", "movsx", "lea", "bin", "set", "cmov", "carry", "pop", "vget", "known", "ask", "neg"])


class Liveness:
    """Answers by walking the code once per function and register; errs towards "reads it"."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: Dict[Tuple[int, int], bool] = {}

    def reads(self, function: int, register: int) -> bool:
        """Whether the function at *function* may use what stands in *register* at its entry."""
        key = (function, register)
        known = self._known.get(key)
        if known is None:
            # A function that (through others) calls itself reads it when any of them does.
            self._known[key] = False
            known = self._known[key] = self._walk(function, register)
        return known

    def uses(self, address: int, register: int) -> bool:
        """Whether what stands in *register* at *address*, inside a function, may be used from there on."""
        return self._walk(address, register, inside=True)

    def _walk(self, start: int, register: int, *, inside: bool = False) -> bool:
        """Whether it is read from *start* on; *inside* a function its return hands the register on."""
        waiting: List[int] = [start]
        seen: Set[int] = set()
        while waiting:
            address = waiting.pop()
            while address not in seen:
                seen.add(address)
                step = self.program.step(address)
                if step is None or len(seen) > _MAX_STEPS:
                    return True
                read, written = _uses(step, register)
                if read:
                    return True
                if written:
                    break
                if inside and step.operations and step.operations[-1][0] in ("ret", "jump"):
                    target = step.operations[-1][1] if step.operations[-1][0] == "jump" else None
                    if target is None or self.program.function_of(target) != self.program.function_of(start):
                        return True
                following = self._following(step, address, register)
                if following is None:
                    return True
                if not following:
                    break
                waiting.extend(following[1:])
                address = following[0]
        return False

    def _following(self, step: Step, address: int, register: int) -> List[int] | None:
        """Where control goes next with the register as it was; ``None``: somewhere that may read it."""
        after = address + step.length
        if not step.operations:
            return [after]
        last = step.operations[-1]
        kind = last[0]
        if kind == "jump":
            return [last[1]]
        if kind == "branch":
            return [after, last[2]]
        if kind in ("zero", "tbit"):
            return [after, last[-2]]
        if kind in ("ret", "stop"):
            return []
        if kind == "call":
            target = self.program.resolved(last[1])
            if target is None or self.program.import_at(last[1]) is not None or self.reads(target, register):
                return None
            # Argument registers do not survive a call.
            return []
        if kind in ("calli", "jumpi"):
            return None
        return [after]


def _uses(step: Step, register: int) -> Tuple[bool, bool]:
    """(read, overwritten as a whole) by one instruction."""
    written = False
    for operation in step.operations:
        if written:
            break
        if operation[0] == "lost" and register in operation[1]:
            return True, True
        for operand in _read_operands(operation):
            if register in _registers(operand):
                return True, False
        written = written or overwrites(operation, register)
    return False, written


def _read_operands(operation: Operation) -> Iterator[Operand]:
    kind = operation[0]
    operands = [item for item in operation[1:] if isinstance(item, tuple) and item and item[0] in ("r", "m")]
    if kind == "bin" and operation[1] == "and" and operation[4] == ("i", 0):
        return
    if kind in _TARGETS and operands and operands[0][0] == "r" and operands[0][2] >= 32:
        operands = operands[1:]
    if kind in ("cpuid", "xcr", "fill", "copy"):
        operands = [("r", number, 64, 0) for number in (0, 1, 6, 7)]
    yield from operands


def _registers(operand: Operand) -> Iterator[int]:
    if operand[0] == "r":
        yield operand[1]
    else:
        yield from (number for number in operand[1:3] if number is not None)


def overwrites(operation: Operation, register: int) -> bool:
    """Whether *operation* puts something else into *register*, all of it."""
    kind = operation[0]
    if kind not in _TARGETS:
        return False
    operands = [item for item in operation[1:] if isinstance(item, tuple) and item]
    target = operands[0] if operands else ()
    return bool(target) and target[0] == "r" and target[1] == register and target[2] >= 32
