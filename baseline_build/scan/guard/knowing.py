"""Which functions of a file may know what the CPU can do: the rest can only fail for other reasons."""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from typing import Dict, FrozenSet, List, Optional, Sequence, Set, Tuple

from . import detection
from .operations import Operation
from .program import Program

_MAX_FUNCTIONS = 100
_WHOLE = 1 << 40
# A flag may be any member of a variable that somebody names by its beginning.
_NEAR = 64
# Functions of the C library that tell nothing about the CPU, beside Python's C interface.
_PLAIN = frozenset(
    ["memcpy", "memmove", "memset", "memcmp", "strlen", "strcmp", "strncmp", "strchr", "strrchr", "snprintf",
     "__snprintf_chk", "malloc", "calloc", "realloc", "free", "__stack_chk_fail"]
)  # fmt: skip


class Knowing:
    """Tells of functions whether what they give may depend on the CPU."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: Dict[int, bool] = {}

    def may_know(self, function: int) -> bool:
        """Whether the function at *function*, or one that it calls, asks the CPU, reads what askers write, or does
        something that is not followed.
        """
        known = self._known.get(function)
        if known is None:
            known = self._known[function] = self._search(function)
        return known

    def _search(self, function: int) -> bool:
        if detection.asks_by_other_means(self.program.image):
            return True
        seen: Set[int] = set()
        waiting = [function]
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            start = self.program.function_of(current)
            if len(seen) > _MAX_FUNCTIONS or start in self._askers or self._reads_answers(start):
                return True
            callees = self._callees(start)
            if callees is None:
                return True
            waiting.extend(callees)
        return False

    @cached_property
    def _askers(self) -> FrozenSet[int]:
        """Functions that ask, and all that call them."""
        program = self.program
        found = {program.function_of(at) for at in (*program.questions, *program.auxiliary)}
        for stub, name in program.image.stubs.items():
            if detection.is_answer(program.image, name):
                found.update(program.function_of(at) for _, at in program.transfers(stub, stub + 1))
        for slot, name in program.image.imports.items():
            if detection.is_answer(program.image, name):
                found.update(program.function_of(at) for _, at in program.references(slot, slot + 1))
        waiting = list(found)
        while waiting:
            for at in program.callers(waiting.pop()):
                caller = program.function_of(at)
                if caller not in found:
                    found.add(caller)
                    waiting.append(caller)
        return frozenset(found)

    @cached_property
    def _references(self) -> Sequence[Tuple[int, int]]:
        """(instruction, data address it names), ascending."""
        return sorted((at, target) for target, at in self.program.references(0, _WHOLE))

    @cached_property
    def _answers(self) -> Sequence[int]:
        """Memory that may change and that an asker names, ascending."""
        program = self.program
        return sorted(
            {
                target
                for at, target in self._references
                if program.function_of(at) in self._askers and not program.contents.is_constant(target)
            }
        )

    def _reads_answers(self, start: int) -> bool:
        """Whether the function at *start* names memory that an asker names too, or something thread-local."""
        references, answers = self._references, self._answers
        end = bisect_left(references, (self.program.end_of(start), 0))
        for place in range(bisect_left(references, (start, 0)), end):
            target = references[place][1]
            index = bisect_left(answers, target - _NEAR + 1)
            if target in self.program.image.tls_slots or (index < len(answers) and answers[index] < target + _NEAR):
                return True
        return False

    def _callees(self, start: int) -> Optional[List[int]]:
        """Functions of this file that the one at *start* calls or jumps to; ``None`` where it leads somewhere else."""
        program = self.program
        end = program.end_of(start)
        found: List[int] = []
        address = start
        while address < end:
            step = program.step(address)
            if step is None:
                return None
            for operation in step.operations:
                target = _target(operation)
                if operation[0] in ("calli", "jumpi"):
                    name = program.imported_through(operation[1])
                elif target is None or start <= target < end:
                    continue
                else:
                    name = program.import_at(target)
                    resolved = program.resolved(target) if name is None else None
                    if resolved is not None:
                        found.append(resolved)
                        continue
                if name is None or not (name.startswith(("Py", "_Py")) or name in _PLAIN):
                    return None
            address += step.length
        return found


def _target(operation: Operation) -> Optional[int]:
    """Where a direct call, jump or branch leads."""
    position = {"call": 1, "jump": 1, "branch": 2, "zero": 2, "tbit": 3}.get(operation[0])
    return None if position is None else int(operation[position])
