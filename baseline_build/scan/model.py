"""Verdicts, findings and reports: the facts every renderer and every hook reads."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Mapping, Optional, Tuple


class Verdict(enum.Enum):
    """Judgement of a file, a wheel or a finding; see :func:`gravest` for the order."""

    NOT_APPLICABLE = "not-applicable"
    CLEAN = "clean"
    GUARDED = "guarded"
    UNDECIDED = "undecided"
    UNPROVEN = "unproven"
    VIOLATION = "violation"


_GRAVITY = {verdict: rank for rank, verdict in enumerate(Verdict)}


def gravest(verdicts: Tuple[Verdict, ...] | list[Verdict]) -> Verdict:
    """The gravest of *verdicts*; ``NOT_APPLICABLE`` for none at all."""
    return max(verdicts, key=_GRAVITY.__getitem__, default=Verdict.NOT_APPLICABLE)


@dataclass(frozen=True)
class SourceLine:
    """A place in a source file, and the flags its unit was compiled with (DW_AT_producer), where DWARF tells."""

    file: str
    line: int
    flags: Optional[str] = None


@dataclass(frozen=True)
class Finding:
    """Instructions of one function that need one feature set above the promised level, and what was proven of them.

    :param code: BBnnn.
    :param feature: the reduced feature set, joined by ``+`` (``avx2``, ``avx512bw+avx512vl``).
    :param level: lowest level that has it, ``None`` when none does.
    :param count: instructions of that set in that function.
    :param function: name, or ``fn@ADDRESS`` when the file has none.
    :param address: of the first such instruction.
    :param data: its bytes.
    :param instruction: its mnemonic.
    :param path: functions from a root to this one, outermost first; empty when no way was found.
    :param guard: the test that guards it, or ``None``.
    :param ground: why this verdict, one sentence.
    :param hint: what to do.
    """

    code: str
    verdict: Verdict
    feature: str
    level: Optional[str]
    count: int
    function: str
    address: int
    data: bytes
    instruction: str
    ground: str = ""
    path: Tuple[str, ...] = ()
    guard: Optional[str] = None
    source: Optional[SourceLine] = None
    hint: str = ""
    waived_by: Optional[str] = None
    on_load: bool = False  # runs when the file is loaded, whoever uses it: no waiver covers it


@dataclass(frozen=True)
class CodeMap:
    """Where in one run of code which level is needed: what a picture of the file is drawn from.

    :param name: of the section or segment (``.text``).
    :param address: virtual address of its first byte.
    :param size: bytes.
    :param levels: for equal parts of it, at most 256, in ascending order: the lowest level that has everything used
        there, ``""`` when no level has it, ``None`` when nothing is above the machine's lowest level.
    """

    name: str
    address: int
    size: int
    levels: Tuple[Optional[str], ...]


@dataclass(frozen=True)
class FileReport:
    """One ELF file (or a file that should have been one)."""

    path: str
    machine: str
    verdict: Verdict
    promised: Optional[str]
    declared: Optional[str]
    emitted: Optional[str]
    code_bytes: int
    undecoded_bytes: int
    features: Mapping[str, int]
    findings: Tuple[Finding, ...] = ()
    origin: Optional[str] = None  # grafted libraries: the file they came from
    notes: Tuple[str, ...] = ()  # sentences on what could not be looked at, and why
    maps: Tuple[CodeMap, ...] = ()


@dataclass(frozen=True)
class InputReport:
    """One argument of the scan: a wheel, an ELF file, a folder, an installed distribution."""

    path: str
    sha256: Optional[str]
    verdict: Verdict
    files: Tuple[FileReport, ...] = ()
    notes: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The whole answer."""

    verdict: Verdict
    inputs: Tuple[InputReport, ...] = field(default=())
