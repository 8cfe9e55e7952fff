"""Flags in structures on the heap: members written only with what the CPU said.

A library that keeps the answer in a context object (``context->has_bmi2 = cpu_has_bmi2()``) and reads it back through a
pointer is followed where the member can be told from everything else in the file: by its displacement, which in a large
structure nothing else has. Such a *field* holds 0 or what the stores to it put there, if this can be shown for the
whole file, functions that were never interpreted included:

* every instruction that writes any of its bytes, whatever pointer it goes through, was interpreted and writes all of
  the field, with a known value;
* its own address is never taken;
* no pointer into the structure is handed to a function (or on from there) that writes through it where the field lies,
  unless that store is one of those above; and where a structure that holds the structure is handed to code that reads
  the field, the same is true of the displacement the field has there;
* the structure is not a variable of the file or of a function's stack where something else than the field's own
  stores may write, and no variable with something else than zeros there has its address kept in memory;
* no block of memory that may hold it is filled with something else than zeros or copied from a variable;
* nothing reads it through a pointer that may point to something else;
* no loop writes the structure from its beginning, in a function that uses it or is handed it;
* no function that uses the structure writes memory in a way that is not read (SVE, SME and block copies of ARM64).

What it takes for granted, as the language does: memory is written within the bounds of the object a pointer points to
(C17 6.5.6); a pointer that is kept in memory and points to a part of a structure is used for that part; a member is not
read before it is written; a whole structure on the heap is a copy only of one of its kind; no loop of stores fills one
that is found only in another object; other files treat it as opaque.
Displacements below :data:`SMALLEST` are shared by too many structures and are never taken for fields, which also leaves
small structures unproven. Static programs, which hold the C library's own copying and filling functions, are not
looked at.
"""

from __future__ import annotations

from functools import cached_property
from typing import Dict, Iterator, Optional, Tuple

from ...isa import Machine
from .displacements import SMALLEST, numbers_of
from .field_blocks import Blocks
from .field_search import Field, Search, Surroundings
from .field_variables import Variables
from .pointer_flow import PointerFlow
from .pointers import FRAME, NUMBER, STATIC
from .program import Program

_MAX_FIELDS = 24
_MAX_STEPS = 1_500_000
_MAX_CODE = 24 << 20
_OWN = (FRAME, STATIC, NUMBER)
# Where the fields of one file stand for the analysis: far from any other memory.
FIELDS = 1 << 58
_APART = 64


def is_field(address: int) -> bool:
    """Whether *address* stands for a field."""
    return FIELDS <= address < FIELDS + _APART * (_MAX_FIELDS + 1)


class Fields:
    """The fields of one file, found when a store of what the CPU said is met."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.flow = PointerFlow(program)
        self._asked: Dict[Tuple[int, int], Optional[Field]] = {}
        # How many fields were found so far.
        self.found = 0
        self._read: Dict[int, Field] = {}
        self._written: Dict[int, Field] = {}
        size = sum(len(region.data) for region in program.image.regions)
        image = program.image
        # A static program holds the C library's own functions that copy and fill, whose loops tell no length.
        static = image.kind == "executable" and not image.needed
        self._possible = image.machine in (Machine.X86_64, Machine.AARCH64) and size <= _MAX_CODE and not static

    def __iter__(self) -> Iterator[Field]:
        return (field for field in self._asked.values() if field is not None)

    @cached_property
    def _around(self) -> Surroundings:
        program, flow, numbers = self.program, self.flow, numbers_of(self.program)
        return Surroundings(program, flow, numbers, Blocks(program, flow, numbers), Variables(program, flow))

    def read_at(self, at: int) -> Optional[Field]:
        """The field the instruction at *at* reads."""
        return self._read.get(at)

    def written_at(self, at: int) -> Optional[Field]:
        """The field the instruction at *at* writes."""
        return self._written.get(at)

    def at(self, address: int) -> Optional[Field]:
        """The field that stands at *address* for the analysis."""
        return next((field for field in self if field.address == address), None)

    def propose(self, at: int) -> None:
        """The instruction at *at* stores what the CPU said through an unknown pointer: is that a field?"""
        if not self._possible or self.flow.steps > _MAX_STEPS:
            return
        uses = self.flow.of(self.program.function_of(at))
        places = {
            (access.pointer.offset, access.size)
            for access in uses.accesses
            if access.at == at and access.store and access.pointer.root not in _OWN
        }
        if len(places) != 1:
            return
        displacement, size = next(iter(places))
        if displacement is None or displacement < SMALLEST or (displacement, size) in self._asked:
            return
        if len(self._asked) >= _MAX_FIELDS:
            return
        address = FIELDS + _APART * len(self._asked)
        self._asked[displacement, size] = None
        search = Search(self._around, Field(address, displacement, size, {}, {}))
        if search.holds():
            found = search.field
            self._asked[displacement, size] = found
            self.found += 1
            self._written.update(dict.fromkeys(found.writers, found))
            self._read.update(dict.fromkeys(found.readers, found))
