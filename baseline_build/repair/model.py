"""What a repair is asked to do and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Tuple

from ..scan.model import Report
from ..scan.options import ScanOptions


@dataclass(frozen=True)
class RepairOptions:
    """How to repair.

    :param plat: platform tag for ``auditwheel --plat``; ``auto`` leaves the choice to it.
    :param only_plat: keep to that tag even where a higher one would do.
    :param exclude: names of libraries that are not grafted.
    :param strip: let auditwheel strip symbols.
    :param fix_marker: lower the declared level of files whose code is proven to keep to the promised one.
    :param arguments: handed to ``auditwheel repair`` as they are.
    :param scan: how both scans are done; its ``strict`` makes guarded code fail.
    :param prove: a command that must succeed with the repaired wheel on the emulated CPU of the promised level.
    """

    plat: str = "auto"
    only_plat: bool = False
    exclude: Tuple[str, ...] = ()
    strip: bool = False
    fix_marker: bool = True
    arguments: Tuple[str, ...] = ()
    scan: ScanOptions = field(default_factory=ScanOptions)
    prove: Optional[Tuple[str, ...]] = None


@dataclass(frozen=True)
class MarkerFix:
    """A file whose declared level was lowered to what its code was proven to need.

    :param file: member of the wheel.
    :param declared: the level its note named.
    :param proven: the level the code keeps to, which the file no longer goes beyond.
    """

    file: str
    declared: str
    proven: str


@dataclass(frozen=True)
class RepairResult:
    """A wheel that passed.

    :param wheel: where it is now.
    :param before: the scan of the wheel that came in.
    :param after: the scan of the wheel that went out; grafted libraries have their origin.
    :param markers: the files whose declared level was lowered.
    :param notes: what else a reader should know: what a run under the emulator cannot show.
    """

    wheel: Path
    before: Report
    after: Report
    markers: Tuple[MarkerFix, ...] = ()
    notes: Tuple[str, ...] = ()
