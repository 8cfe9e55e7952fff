"""Features as bits of an integer, and what each bit a CPU shows of itself tells.

A set of facts is one ``int``: bit *n* stands for the *n*-th feature that was ever named. ``EVERYTHING`` is the top:
what holds where control never comes. Facts only ever mean "this CPU has the feature"; that a feature is *missing*
proves nothing that a guard could use.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Dict, FrozenSet, Iterable, List, Mapping, Set, Tuple

from ...isa import Isa, Machine
from ...isa.tables import read_rows

EVERYTHING = -1

_HERE = Path(__file__).parent
_ROOT_LEAVES = {"xcr0": -1}


def rows(name: str, columns: int) -> List[Tuple[str, ...]]:
    """The rows of the table *name* beside this module: cells separated by ``|``, comments after ``#``."""
    return read_rows(_HERE / name, columns)


class Facts:
    """Names of features of one family <-> bits; implications of the tables and of practice are closed over."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self._bits: Dict[str, int] = {}
        self._names: List[str] = []
        self._closed: Dict[str, int] = {}
        practice = _HERE / f"practice-{isa.family}.txt"
        self._practice: Mapping[str, Tuple[str, ...]] = (
            {name: tuple(brings.split()) for name, brings in rows(practice.name, 2)} if practice.exists() else {}
        )

    def bit(self, name: str) -> int:
        """The one bit of *name*."""
        known = self._bits.get(name)
        if known is None:
            known = self._bits[name] = 1 << len(self._names)
            self._names.append(name)
        return known

    def needed(self, names: Iterable[str]) -> int:
        """The bits of *names*, nothing else."""
        bits = 0
        for name in names:
            bits |= self.bit(name)
        return bits

    def shown(self, name: str) -> int:
        """All that holds of a CPU that has *name*."""
        known = self._closed.get(name)
        if known is not None:
            return known
        closed = {name}
        waiting = [name]
        while waiting:
            current = waiting.pop()
            feature = self.isa.features.get(current)
            brings = (feature.implies if feature else frozenset()) | frozenset(self._practice.get(current, ()))
            waiting.extend(brings - closed)
            closed |= brings
        self._closed[name] = bits = self.needed(closed)
        return bits

    def names(self, bits: int) -> FrozenSet[str]:
        """The features *bits* stands for (none for :data:`EVERYTHING`)."""
        if bits < 0:
            return frozenset()
        return frozenset(name for index, name in enumerate(self._names) if bits >> index & 1)

    def title(self, bits: int) -> str:
        """*bits* for people: without what others of them imply."""
        names = self.names(bits)
        implied: Set[str] = set()
        for name in names:
            implied |= self.names(self.shown(name) & ~self.bit(name))
        return "+".join(sorted(names - implied)) or "+".join(sorted(names))


@cache
def cpuid_bits() -> Mapping[Tuple[int, int, str], Tuple[Tuple[int, str], ...]]:
    """(leaf, subleaf, register) -> ((bit, feature), …); the leaf of XCR0 is -1."""
    table: Dict[Tuple[int, int, str], List[Tuple[int, str]]] = {}
    for place, register, bit, feature in rows("cpuid-x86.txt", 4):
        if place in _ROOT_LEAVES:
            leaf, subleaf = _ROOT_LEAVES[place], 0
        else:
            leaf, subleaf = (int(part, 16) for part in place.split("."))
        table.setdefault((leaf, subleaf, register), []).append((int(bit), feature))
    return {key: tuple(bits) for key, bits in table.items()}


_AUXV = {"AT_HWCAP": 16, "AT_HWCAP2": 26}


@cache
def hardware_answers(machine: Machine) -> Mapping[str, Mapping[int, Tuple[Tuple[int, Tuple[str, ...]], ...]]]:
    """What getauxval tells on *machine*: function -> argument -> (bit, features), …

    On x86-64 AT_HWCAP is CPUID.1:EDX, which every CPU of the lowest level has in full.
    """
    table = _HERE / f"hwcap-{machine.value}.txt"
    if not table.exists():
        return {}
    answers: Dict[int, List[Tuple[int, Tuple[str, ...]]]] = {}
    for vector, bit, features in rows(table.name, 3):
        answers.setdefault(_AUXV[vector], []).append((int(bit), tuple(features.split())))
    frozen = {number: tuple(bits) for number, bits in answers.items()}
    return {"getauxval": frozen, "__getauxval": frozen}
