"""Machines without a decoder here: what their files *declare* is compared in the same terms of features and levels.

The tables are ``features-FAMILY.txt`` and ``levels-FAMILY.txt`` like those of x86 and ARM64.
"""

from __future__ import annotations

from functools import cache
from typing import Mapping, Optional

from .model import Isa, Level, Machine
from .tables import load

_BASELINES: Mapping[Machine, str] = {
    Machine.ARM: "armv7-a",  # what the manylinux tag armv7l stands for
    Machine.PPC64LE: "power8",  # the least the ELFv2 ABI allows
    Machine.S390X: "z900",
    Machine.RISCV64: "rv64gc",
    Machine.LOONGARCH64: "loongarch64",
}


@cache
def declared_isa(machine: Machine) -> Optional[Isa]:
    """Features and levels of *machine*; ``None`` for machines the project has no such table of."""
    return load(machine.value) if machine in _BASELINES else None


def declared_baseline(machine: Machine) -> Optional[Level]:
    """The level promised for *machine* when nothing else is configured, ``None`` where there is no table."""
    isa = declared_isa(machine)
    return isa.level(_BASELINES[machine]) if isa else None
