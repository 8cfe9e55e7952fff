"""Features and levels of the instruction sets, as frozen facts.

A *feature* is one extension under the name compilers give it (``sse4.1``, ``avx512vl``, ``lse``). A *level* is a named
set of features that a CPU must have (psABI x86-64-v1…v4, the Arm architecture versions). A *requirement* is the set of
features one instruction needs; requirements are interned to small integers so that decoders can carry them in arrays.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import FrozenSet, Mapping, Optional, Tuple


class Machine(enum.Enum):
    """Machines an ELF header can name, under the names used in reports."""

    X86_64 = "x86-64"
    I386 = "i386"
    AARCH64 = "aarch64"
    ARM = "arm"
    PPC64LE = "ppc64le"
    S390X = "s390x"
    RISCV64 = "riscv64"
    LOONGARCH64 = "loongarch64"
    OTHER = "other"


@dataclass(frozen=True)
class Feature:
    """One ISA extension.

    :param name: the compilers' name.
    :param implies: features every CPU with this one has too (closed transitively by the loader).
    :param title: a line for people.
    """

    name: str
    implies: FrozenSet[str]
    title: str


@dataclass(frozen=True)
class Level:
    """A named set of features; ``features`` is closed under :attr:`Feature.implies`.

    :param cpus: first CPU families that reach the level, for people ("Haswell 2013, Excavator 2015").
    """

    name: str
    features: FrozenSet[str]
    cpus: str


Requirement = FrozenSet[str]


@dataclass(frozen=True)
class Isa:
    """All that is known of one instruction set family (``x86`` or ``aarch64``).

    ``levels`` runs from the lowest to the highest of the main line.
    """

    family: str
    features: Mapping[str, Feature]
    levels: Tuple[Level, ...]

    def level(self, name: str) -> Level:
        """The level called *name*. Raises ``KeyError``."""
        for level in self.levels:
            if level.name == name:
                return level
        raise KeyError(name)

    def closure(self, names: FrozenSet[str]) -> FrozenSet[str]:
        """*names* and all they imply."""
        closed = set(names)
        for name in names:
            if name in self.features:
                closed |= self.features[name].implies
        return frozenset(closed)

    def lowest_level(self, names: FrozenSet[str]) -> Optional[Level]:
        """The lowest level that has all of *names*, or ``None`` when no level does."""
        for level in self.levels:
            if names <= level.features:
                return level
        return None

    def reduced(self, names: FrozenSet[str]) -> FrozenSet[str]:
        """*names* without those that another of them implies: ``{avx512vl, avx512f}`` becomes ``{avx512vl}``."""
        implied: FrozenSet[str] = frozenset().union(*(self.features[n].implies for n in names if n in self.features))
        return names - implied
