"""Does a function ever return? What stands behind a call of one that does not is other code.

Only what surely is so counts: no return, no jump to an unknown place and no jump to a function that may return can be
reached, even if every call on the way comes back.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Optional, Set

from .operations import Operation
from .program import NEVER_RETURN, Program

_MAX_STEPS = 2000
_MAX_DEPTH = 4
_MAX_LAST = 10
_CONTROL = frozenset(["jump", "branch", "zero", "tbit", "jumpi", "call", "calli", "ret", "stop"])
# Nothing is ever mapped at the lowest addresses (Linux, vm.mmap_min_addr; POSIX null pointers).
_NEVER_MAPPED = 4096


class Returning:
    """Answers by walking the code once per function; errs towards "it returns"."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: Dict[int, bool] = {}
        self._last: Dict[int, bool] = {}

    def only_returns(self, address: int) -> bool:
        """Whether a few instructions at *address*, with no jump or call among them, end in a return."""
        known = self._last.get(address)
        if known is None:
            known = self._last[address] = self._ends(address)
        return known

    def _ends(self, address: int) -> bool:
        for _ in range(_MAX_LAST):
            step = self.program.step(address)
            if step is None:
                return False
            kind = step.operations[-1][0] if step.operations else ""
            if kind in _CONTROL:
                return kind == "ret"
            address += step.length
        return False

    def returns(self, function: int, depth: int = 0) -> bool:
        """Whether a call of the function at *function* may come back."""
        known = self._known.get(function)
        if known is None:
            self._known[function] = True
            known = self._known[function] = depth > _MAX_DEPTH or self._walk(function, depth)
        return known

    def _walk(self, function: int, depth: int) -> bool:
        program = self.program
        low = program.function_of(function)
        high = program.end_of(low)
        waiting: List[int] = [function]
        # Addresses, and which registers are 0 there on all ways that were seen.
        seen: Dict[int, FrozenSet[int]] = {}
        steps = 0
        while waiting:
            address = waiting.pop()
            zero: Set[int] = set()
            while address not in seen or not seen[address] <= zero:
                zero &= seen.get(address, zero)
                seen[address] = frozenset(zero)
                step = program.step(address)
                steps += 1
                if step is None or steps > _MAX_STEPS:
                    return True
                last: Operation = step.operations[-1] if step.operations else ("",)
                if last[0] in ("ret", "jumpi"):
                    return True
                if last[0] == "stop" or any(_faults(operation, zero) for operation in step.operations):
                    break
                target = _target(last)
                if target is not None and not low <= target < high:
                    if self._leads_back(target, depth):
                        return True
                elif target is not None:
                    waiting.append(target)
                if last[0] == "jump" or (last[0] == "call" and program.import_at(last[1]) in NEVER_RETURN):
                    break
                for operation in step.operations:
                    _follow_zero(operation, zero)
                address += step.length
                if address >= high:
                    return True
        return False

    def _leads_back(self, target: int, depth: int) -> bool:
        """Whether what a jump out of the function leads to may return to its caller."""
        name = self.program.import_at(target)
        if name is not None:
            return name not in NEVER_RETURN
        resolved = self.program.resolved(target)
        return resolved is None or self.returns(resolved, depth + 1)


def _target(operation: Operation) -> Optional[int]:
    kind = operation[0]
    if kind == "jump":
        return int(operation[1])
    if kind in ("branch", "zero"):
        return int(operation[2])
    return int(operation[3]) if kind == "tbit" else None


def _faults(operation: Operation, zero: Set[int]) -> bool:
    """Whether it writes through a null pointer, as code does that must not go on."""
    if operation[0] != "mov" or operation[1][0] != "m":
        return False
    _, base, index, _, displacement, _ = operation[1]
    return base in zero and index is None and 0 <= displacement < _NEVER_MAPPED


def _follow_zero(operation: Operation, zero: Set[int]) -> None:
    """Keep *zero*, the registers that surely are 0, right after *operation*."""
    kind = operation[0]
    if kind in ("call", "calli", "cpuid", "xcr", "fill", "copy"):
        zero.clear()
    elif kind == "mov" and operation[1][0] == "r" and operation[2] == ("i", 0) and operation[1][2] >= 32:
        zero.add(operation[1][1])
    elif kind == "lost":
        zero.difference_update(operation[1])
    elif kind in ("cmp", "test", "bit") or (kind == "mov" and operation[1][0] == "m"):
        return
    else:
        zero.difference_update(item[1] for item in operation[1:] if isinstance(item, tuple) and item and item[0] == "r")
