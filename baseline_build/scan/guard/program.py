"""One file as the analysis sees it: what others may run in it, what is a part of what, what asks the CPU."""

from __future__ import annotations

from functools import cached_property
from typing import Dict, FrozenSet, Iterator, Optional, Set, Tuple

from ...elf import Image
from ...isa import isa_of
from ..code import Code
from . import detection
from .contents import Contents
from .facts import Facts
from .mentions import Mentions
from .operations import Operand

_INITIALISER = "PyInit_"

# Functions of the C and C++ libraries and of Python's C interface that never return to their caller.
NEVER_RETURN = frozenset(
    ["abort", "exit", "_exit", "_Exit", "quick_exit", "__assert_fail", "__assert", "__stack_chk_fail", "__fortify_fail",
     "__chk_fail", "longjmp", "siglongjmp", "_longjmp", "__longjmp_chk", "__cxa_throw", "__cxa_rethrow",
     "__cxa_bad_cast", "_Unwind_Resume", "_ZSt9terminatev", "Py_FatalError", "_Py_FatalErrorFunc", "err", "errx",
     "pthread_exit", "__cxa_pure_virtual", "__cxa_call_unexpected", "__cxa_throw_bad_array_new_length"]
)  # fmt: skip


class Program(Mentions):
    """Look-ups over one image and its sweeps; everything here is computed once and never changes."""

    def __init__(self, image: Image, code: Code) -> None:
        super().__init__(image, code)
        isa = isa_of(image.machine)
        if isa is None:
            raise ValueError(image.machine)
        self.facts = Facts(isa)
        self.contents = Contents(image, self.base)
        self._parts: Dict[int, bool] = {}
        self._unused: Dict[int, bool] = {}

    @cached_property
    def _walkers(self) -> FrozenSet[int]:
        return frozenset(self.function_of(address) for address in self.auxiliary)

    def walks(self, function: int) -> bool:
        """Whether the function that begins at *function* walks the auxiliary vector itself."""
        return function in self._walkers

    def label(self, address: int) -> str:
        """A name for people."""
        start = self.function_of(address)
        declared = self.image.function_at(start)
        name = declared.name if declared is not None and declared.address == start else None
        return name or f"fn@{start:x}"

    def place(self, address: int) -> str:
        """``name+offset`` for people."""
        start = self.function_of(address)
        return f"{self.label(address)}+{address - start:#x}" if address != start else self.label(address)

    def callers(self, function: int) -> Iterator[int]:
        """Instructions in other functions that call *function* or jump there, directly or through a constant word."""
        for _, place in self.transfers(function, function + 1):
            yield place
        for _, slot in self.pointers(function, function + 1):
            if self.contents.is_constant(slot):
                for _, place in self.references(slot, slot + 1):
                    yield place

    @cached_property
    def exported(self) -> FrozenSet[int]:
        """Addresses that other files find by name.

        Of an extension module the interpreter looks up ``PyInit_*`` (PEP 489) and, loading it without ``RTLD_GLOBAL``,
        lets no other file bind to anything else. That is different where the module has a name to link against
        (DT_SONAME).
        """
        exports = self.image.exports
        if self.image.soname is None and any(name.startswith(_INITIALISER) for name in exports):
            exports = {name: address for name, address in exports.items() if name.startswith(_INITIALISER)}
        return frozenset(exports.values())

    @cached_property
    def entrances(self) -> FrozenSet[int]:
        """Addresses that other files or the loader may run: exports, initialisers, finalisers, the entry point."""
        image = self.image
        roots = {address for address in self.exported if image.is_code(address)}
        roots.update(image.initialisers, image.finalisers)
        if image.entry is not None:
            roots.add(image.entry)
        roots.update(image.resolvers.values())
        roots.update(symbol.address for symbol in image.ifuncs)
        return frozenset(roots)

    def unused(self, function: int) -> bool:
        """Whether nothing leads to the function that begins at *function*, or only what is unused itself."""
        known = self._unused.get(function)
        if known is None:
            seen: Set[int] = set()
            waiting = [function]
            known = True
            while waiting and known:
                current = waiting.pop()
                if current in seen:
                    continue
                seen.add(current)
                end = self.end_of(current)
                known = self._unused.get(current, not self.is_named(current, end))
                waiting.extend(self.function_of(at) for _, at in self.transfers(current, end))
            self._unused.update(dict.fromkeys(seen if known else (function,), known))
        return known

    def is_named(self, low: int, high: int) -> bool:
        """Whether anything but a direct jump or call leads to code from *low* to below *high*."""
        return (
            any(low <= address < high for address in self.entrances)
            or next(self.pointers(low, high), None) is not None
            or next(self.code_references(low, high), None) is not None
        )

    def only_loaded(self, function: int) -> bool:
        """Whether only the loader runs the function that begins at *function*, and so nobody looks at its result."""
        image = self.image
        if function not in image.initialisers and function not in image.finalisers:
            return False
        if function in self.exported or function == image.entry:
            return False
        slots = list(self.pointers(function, function + 1))
        named = [*self.transfers(function, function + 1), *self.code_references(function, function + 1), *slots[1:]]
        return not named

    def only_jumped(self, start: int) -> bool:
        """Whether the code at *start* is a part of other functions: reached by jumps alone."""
        known = self._parts.get(start)
        if known is None:
            known = self._parts[start] = self._is_part(start)
        return known

    def _is_part(self, start: int) -> bool:
        end = self.end_of(start)
        if self.is_named(start, end):
            return False
        found = False
        for target, place in self.transfers(start, end):
            step = self.step(place)
            if step is None or step.operations[-1][0] in ("call", "calli"):
                return False
            found = found or target >= start
        return found

    # --- calls ---

    def import_at(self, target: int) -> Optional[str]:
        """The name of the imported function a call to *target* reaches."""
        return self.image.stubs.get(target)

    def imported_through(self, source: Operand) -> Optional[str]:
        """The name of the imported function whose address *source* is: a word that only the loader writes."""
        if source[0] != "m" or source[1] is not None or source[2] is not None:
            return None
        slot = int(source[4]) - self.base
        return self.image.imports.get(slot) if self.contents.is_constant(slot) else None

    @cached_property
    def questions(self) -> Tuple[int, ...]:
        """Addresses of the instructions that ask the CPU."""
        return detection.question_places(self.code)
