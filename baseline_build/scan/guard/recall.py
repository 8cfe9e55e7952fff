"""Results that need not be computed again.

What a run over a function finds depends on the state it begins in and on what it is told from outside of the function:
what cells hold, what is known of callees, which instructions read and write fields. A run notes all that
(:class:`Told`). As long as everything would be told again, the run would find the same again, so its result is kept
and taken. Most runs are repetitions: a cell that changed back, a round that begins again.
"""

from __future__ import annotations

from typing import Callable, Dict, Hashable, List, Mapping, Optional, Set, Tuple

from .cells import Cells
from .fields import Fields
from .operations import Abi
from .results import Essence, Result
from .values import Value

_Key = Tuple[int, int]
# How many results are kept for one state at the entry.
_VARIANTS = 12


class Told:
    """What one run was told from outside of its function."""

    __slots__ = ("_absorbed", "callees", "fields", "kept", "loads")

    def __init__(self, fields: int) -> None:
        # (address, size) -> what was read there.
        self.loads: Dict[_Key, Value] = {}
        # (address, size) -> what stores put there, where that is a cell.
        self.kept: Dict[_Key, Optional[Value]] = {}
        # Callee -> what was known of it, and whether it was waiting to be interpreted.
        self.callees: Dict[int, Tuple[Optional[Essence], bool]] = {}
        # How many fields were known.
        self.fields = fields
        self._absorbed: Set[int] = set()

    def absorb(self, other: Told) -> None:
        """A run that was followed into was told *other*."""
        if id(other) not in self._absorbed:
            self._absorbed.add(id(other))
            self.loads.update(other.loads)
            self.kept.update(other.kept)
            self.callees.update(other.callees)


class _Known:
    """A result, and what the run was told; ``version``: of the cells, when that was last seen to hold."""

    __slots__ = ("result", "told", "version")

    def __init__(self, result: Result, told: Told, version: int) -> None:
        self.result = result
        self.told = told
        self.version = version


class Recall:
    """The results of one file.

    :param abi_of: gives the calling convention of a function.
    :param followed: callees of which something is known; *waiting*: those not yet interpreted in this round.
    """

    def __init__(
        self,
        cells: Cells,
        fields: Fields,
        abi_of: Callable[[int], Abi],
        followed: Mapping[int, Result],
        waiting: Set[int],
    ) -> None:
        self.cells = cells
        self.fields = fields
        self.abi_of = abi_of
        self.followed = followed
        self.waiting = waiting
        self._results: Dict[Hashable, List[_Known]] = {}

    def callee(self, target: int) -> Tuple[Optional[Essence], bool]:
        """What a caller is told of *target*."""
        summary = self.followed.get(target)
        return (None if summary is None else summary.essence(self.abi_of(target))), target in self.waiting

    def find(self, key: Hashable, owner: int) -> Optional[Tuple[Result, Told]]:
        """What a run from *key* on behalf of *owner* would find; ``None`` when that is not known."""
        variants = self._results.get(key, [])
        for index, known in enumerate(variants):
            if self._holds(known, owner):
                known.version = self.cells.version
                if index:
                    variants.insert(0, variants.pop(index))
                return known.result, known.told
        return None

    def keep(self, key: Hashable, result: Result, told: Told) -> None:
        """A run from *key* was told *told* and found *result*."""
        if told.fields != self.fields.found:
            # A field was found on the way: earlier instructions did not know of it yet.
            return
        variants = self._results.setdefault(key, [])
        variants.insert(0, _Known(result, told, self.cells.version))
        del variants[_VARIANTS:]

    def _holds(self, known: _Known, owner: int) -> bool:
        """Whether all that was told would be told now. *owner* is remembered as a reader of the cells it asks for."""
        told, cells = known.told, self.cells
        if told.fields != self.fields.found:
            return False
        if known.version == cells.version:
            return True
        for key in told.kept:
            cells.note_reader(*key, owner)
        return (
            all(self.callee(target) == before for target, before in told.callees.items())
            and all(cells.load(*key, owner) == before for key, before in told.loads.items())
            and all(cells.kept(*key) == before for key, before in told.kept.items())
        )
