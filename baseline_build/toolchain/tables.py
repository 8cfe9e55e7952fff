"""Loads ``flags.txt`` and ``targets.txt``, and says what one option means at one level."""

from __future__ import annotations

import enum
import fnmatch
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, Mapping, Optional, Tuple

from ..errors import ConfigError, InternalError
from ..isa.model import Level, Machine
from ..isa.tables import baseline_of, isa_of

_HERE = Path(__file__).parent
_FAMILY = {"x86-64": "x86", "i386": "x86", "aarch64": "aarch64"}
# Values of -march and -mcpu that ask for no more than the machine's lowest level, beside the level names themselves.
_HARMLESS_CPUS = frozenset({"generic"})


class Kind(enum.Enum):
    """What an option is about; see the head of ``flags.txt``."""

    ARCH = "arch"
    ISA = "isa"
    ENCODING = "encoding"
    TUNE = "tune"
    MARKER = "marker"
    NEUTRAL = "neutral"


@dataclass(frozen=True)
class Flag:
    """One row of ``flags.txt``."""

    pattern: str
    machines: str
    kind: Kind
    features: FrozenSet[str]

    def covers(self, family: str) -> bool:
        """Whether the row holds for machines of *family* (``x86``, ``aarch64``, or another)."""
        return self.machines in ("any", family)


@dataclass(frozen=True)
class Target:
    """One row of ``targets.txt``: how a level of a machine is asked for."""

    machine: str
    level: str
    options: Tuple[str, ...]
    gate: Optional[str]
    rust: str
    go: Tuple[str, str]
    zig: str


def _rows(name: str, columns: int) -> Iterator[Tuple[str, ...]]:
    for number, line in enumerate((_HERE / name).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = tuple(cell.strip() for cell in line.split("|"))
        if len(cells) != columns:
            raise InternalError(
                "BB901", f"expected {columns} columns, found {len(cells)}", where=f"toolchain/{name}:{number}"
            )
        yield cells


@functools.cache
def flags() -> Tuple[Flag, ...]:
    """All rows of ``flags.txt``, in order."""
    rows: List[Flag] = []
    for pattern, machines, kind, features in _rows("flags.txt", 4):
        names = frozenset() if features == "-" else frozenset(features.split())
        rows.append(Flag(pattern, machines, Kind(kind), names))
    return tuple(rows)


@functools.cache
def targets() -> Mapping[Tuple[str, str], Target]:
    """All rows of ``targets.txt`` by (machine, level)."""
    rows: Dict[Tuple[str, str], Target] = {}
    for machine, level, options, gate, rust, go, zig in _rows("targets.txt", 7):
        name, _, value = go.partition("=")
        gated = None if gate == "-" else gate
        rows[machine, level] = Target(machine, level, tuple(options.split()), gated, rust, (name, value), zig)
    return rows


def family_of(machine: str) -> str:
    """``x86``, ``aarch64``, or the machine's own name where the project has no levels for it."""
    return _FAMILY.get(machine, machine)


def target_of(machine: str, level: str) -> Target:
    """How *level* of *machine* is asked for. Raises ConfigError BB600 where the table has no such row."""
    found = targets().get((machine, level))
    if found is None:
        known = ", ".join(name for kind, name in targets() if kind == machine) or "none"
        raise ConfigError(
            "BB600",
            f"no compiler options are known for level {level} of {machine}",
            where="toolchain/targets.txt",
            why=f"Levels that can be enforced on {machine}: {known}.",
            fix="Choose one of them, or add a row to targets.txt.",
        )
    return found


def level_of(machine: str, name: str) -> Level:
    """The level called *name*. Raises ConfigError BB600."""
    isa = isa_of(Machine(machine))
    if isa is not None:
        for level in isa.levels:
            if level.name == name:
                return level
    raise ConfigError(
        "BB600",
        f"{name} is not a level of {machine}",
        where="toolchain",
        fix="`baseline-build explain BB600` lists where the levels stand.",
    )


def default_level(machine: str) -> Optional[str]:
    """Name of the lowest level of *machine*, or ``None`` where it has none."""
    try:
        level = baseline_of(Machine(machine))
    except ValueError:
        return None
    return level.name if level else None


@functools.cache
def row_for(option: str, family: str) -> Optional[Flag]:
    """The first row of ``flags.txt`` that matches *option*, or ``None``."""
    for flag in flags():
        if flag.covers(family) and (flag.pattern == option or fnmatch.fnmatchcase(option, flag.pattern)):
            return flag
    return None


@functools.cache
def _names_within(machine: str, level: str) -> FrozenSet[str]:
    isa = isa_of(Machine(machine))
    promised = level_of(machine, level).features
    return _HARMLESS_CPUS | (
        frozenset(one.name for one in isa.levels if one.features <= promised) if isa else frozenset()
    )


@dataclass(frozen=True)
class Meaning:
    """What an option means at the promised level.

    :param dropped: it is taken off the line.
    :param foreign: it asks for (or claims) more than the level.
    :param known: the table has it.
    """

    dropped: bool
    foreign: bool
    known: bool


PASSED = Meaning(dropped=False, foreign=False, known=True)
UNKNOWN = Meaning(dropped=False, foreign=False, known=False)


@functools.cache
def meaning(option: str, machine: str, level: Optional[str]) -> Meaning:
    """What *option* (one that begins with ``-m``) means for *machine* where *level* is promised.

    Machines without levels keep everything but ``native``, which would tie the result to the building machine.
    """
    if level is None:
        native = option in ("-march=native", "-mcpu=native", "-mtune=native")
        return Meaning(dropped=native, foreign=native and option != "-mtune=native", known=True)
    row = row_for(option, family_of(machine))
    if row is None:
        return UNKNOWN
    if row.kind is Kind.NEUTRAL:
        return PASSED
    if row.kind is Kind.TUNE:
        return Meaning(dropped=True, foreign=False, known=True)
    if row.kind is Kind.ARCH:
        value = option.partition("=")[2]
        return Meaning(dropped=True, foreign=value not in _names_within(machine, level), known=True)
    if row.kind is Kind.ISA and row.features <= level_of(machine, level).features:
        return PASSED
    return Meaning(dropped=True, foreign=True, known=True)
