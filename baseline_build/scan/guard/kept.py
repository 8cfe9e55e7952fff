"""Flags whose addresses stand in a list, through which a person may switch features off.

A program that lets its user switch features off keeps a list of names and addresses of flags, and goes through it once:
``if (wanted && !*entry->flag) refuse(); else *entry->flag = wanted;``. Such a store only ever *weakens*: what it leaves
is 0, or the flag was set before. That all stores through the list are of this kind is shown so:

* the address is put into memory that begins where a call returned or a pointer was loaded from: the list; or it is
  handed, together with a place in the list, to a function that writes it there;
* that pointer is written nowhere but to variables of the file, which no other data points to and no other file knows,
  and is handed only to functions that do not write through what they read from the list;
* in every function that names such a variable, what is read from the list is written through only by weakening stores,
  and handed only to functions that do not write through it.

A flag's address is told from what else the records hold by its displacement, where all instructions that put one there
agree on the length of a record.

It takes for granted that a list is reached through the variables that hold it; that members are read at the
displacement they have in a record; that a function which is handed a list and puts entries of it elsewhere in memory
copies it; and that a function which writes one thing it is handed to the place of another (an assignment, as programs
with a garbage collector make them) writes through neither.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, Optional

from ...isa import Machine
from .flag_list import FlagList, Item, item_of
from .handing import FLAG, Handing, handed
from .pointer_flow import PointerFlow
from .pointers import INDEXED, STATIC, UNKNOWN, Pointer
from .program import Program
from .returning import Returning


class Kept:
    """Answers for one file; each list is looked through once."""

    def __init__(self, program: Program, flow: PointerFlow, returning: Returning) -> None:
        self.handing = Handing(program, flow, returning)
        self._known: Dict[FrozenSet[Item], bool] = {}

    def only_weakened(self, address: int, at: int) -> bool:
        """Whether the variable at *address*, which the instruction at *at* lets go, is only weakened through that."""
        if self.handing.program.image.machine is not Machine.X86_64:
            # Pairs of registers that are loaded at once are not told apart by the displacements of their halves.
            return False
        beginnings = self._beginnings(address, at)
        if beginnings is None:
            return False
        known = self._known.get(beginnings)
        if known is None:
            known = self._known[beginnings] = FlagList(self.handing, beginnings).holds()
        return known

    def _beginnings(self, address: int, at: int) -> Optional[FrozenSet[Item]]:
        """Where the instruction at *at* puts the address of a flag; ``None`` where that is not known."""
        function = self.handing.program.function_of(at)
        uses = self.handing.flow.of(function)
        stores = [access for access in uses.accesses if access.at == at and access.store]
        if stores:
            items = [
                item_of(function, access.pointer.root, access.pointer.offset)
                for access in stores
                if access.pointer.root != INDEXED
            ]
        else:
            passed = [one for one in handed(uses) if one.at == at]
            seen = [one for one in passed if self.handing.looks_at(one)]
            own = [one for one in seen if one.pointer == Pointer(STATIC, address)]
            if any(one.pointer.root == UNKNOWN for one in seen) or not all(
                self.handing.may_be_handed(one, FLAG) for one in own
            ):
                return None
            if not own:
                return frozenset()
            places = {place for one in own for place in self.handing.assigned(one)}
            items = [
                item_of(function, one.pointer.root, one.pointer.offset)
                for one in passed
                if one.place in places and one.pointer.root != INDEXED
            ]
        found = frozenset(item for item in items if item is not None)
        return found or None
