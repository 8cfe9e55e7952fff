"""What a scan is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Mapping, Optional, Tuple

from ..errors import ConfigError
from ..isa import Isa, Level, Machine, baseline_of, isa_of

AUTO = "auto"


@dataclass(frozen=True)
class Waiver:
    """A finding that is known, cannot be proven, and is accepted for a stated reason.

    The same fields as ``baseline_build.config.model.Waiver``, which may be passed in its place.

    :param file: glob of the file inside the wheel or folder.
    :param function: glob of the function; what compilers add to names does not count.
    :param features: the features allowed there, a ceiling.
    """

    file: str
    function: str
    features: Tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class ScanOptions:
    """How to scan.

    :param level: the promised level of machines it belongs to; ``None`` or ``auto``: each machine's baseline. A level
        of another instruction set leaves the machine at its baseline.
    :param levels: promised level by machine (``x86-64``, ``i386``, ``aarch64``), before ``level``.
    :param strict: whether guarded code fails too; it changes no verdict, only who reads the report may act on it.
    :param waivers: objects with the fields of :class:`Waiver`.
    :param jobs: processes at once; 0: one for each CPU this process may use.
    :param progress: called with (files done, files in all, name of the file) from time to time.
    """

    level: Optional[str] = None
    levels: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False
    waivers: Tuple[Waiver, ...] = ()
    jobs: int = 0
    progress: Optional[Callable[[int, int, str], None]] = None

    def promised(self, machine: Machine) -> Optional[Level]:
        """The level promised for *machine*; ``None`` where the project knows none. Raises ConfigError BB220."""
        isa = isa_of(machine)
        if isa is None:
            return None
        name = self.levels.get(machine.value)
        if name is not None:
            return _level(isa, name)
        baseline = baseline_of(machine)
        if self.level in (None, AUTO):
            return baseline
        assert self.level is not None
        names = [level.name for level in isa.levels]
        if self.level in names and not _other_width(machine, self.level):
            return isa.level(self.level)
        return baseline


def _other_width(machine: Machine, level: str) -> bool:
    """Whether *level* belongs to the other of the two x86 machines, which share one table."""
    if machine is Machine.I386:
        return level.startswith("x86-64")
    return machine is Machine.X86_64 and level == "i686"


def _level(isa: Isa, name: str) -> Level:
    names = [level.name for level in isa.levels]
    if name not in names:
        raise ConfigError(
            "BB220",
            f"there is no level {name!r} for {isa.family}",
            where="level",
            fix=f"Use one of {', '.join(names)}.",
        )
    return isa.level(name)
