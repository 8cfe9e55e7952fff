"""The question everybody asks first, *which CPU does this need?*, answered from a report in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import FrozenSet, Iterable, List, Optional, Tuple

from ..isa import AARCH64, X86
from ..isa.model import Level
from ..scan.model import FileReport, Finding, InputReport, Verdict

_GATED = (Verdict.VIOLATION, Verdict.UNPROVEN)
_NAMED = 4  # features that are called by name in one sentence


@dataclass(frozen=True)
class Answer:
    """What an input needs.

    :param heading: ``runs on``, ``needs``, ``may need`` or ``unknown``.
    :param need: what comes after the heading's colon.
    :param reason: why, without a leading *because*; ``None`` where nothing needs a reason.
    """

    heading: str
    need: str
    reason: Optional[str] = None

    def __str__(self) -> str:
        line = f"{self.heading}: {self.need}"
        return f"{line} because {self.reason}" if self.reason else line


def level_of(name: str) -> Optional[Level]:
    """The level called *name* of any instruction set, or ``None``."""
    for isa in (X86, AARCH64):
        for level in isa.levels:
            if level.name == name:
                return level
    return None


def rank(name: Optional[str]) -> int:
    """Where level *name* stands on its instruction set's line; -1 for ``None``, above all for what no level has."""
    if name is None:
        return -1
    for isa in (X86, AARCH64):
        for position, level in enumerate(isa.levels):
            if level.name == name:
                return position
    return 1000


def cpus(name: str) -> str:
    """``x86-64-v3`` -> ``x86-64-v3 (Haswell 2013, Excavator 2015 or newer)``."""
    level = level_of(name)
    if level is None or not level.cpus or level.cpus.startswith("every"):
        return name
    return f"{name} ({level.cpus} or newer)"


def plural(count: int, noun: str) -> str:
    """``1 file``, ``2,345 files``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def open_findings(files: Iterable[FileReport], verdict: Verdict) -> List[Tuple[FileReport, Finding]]:
    """The findings with *verdict* that no waiver covers, the highest level first."""
    found = [(file, f) for file in files for f in file.findings if f.verdict is verdict and not f.waived_by]
    return sorted(found, key=lambda pair: -_height(pair[1]))


def _height(finding: Finding) -> int:
    return rank(finding.level or finding.feature)


@dataclass(frozen=True)
class _Need:
    """A level, ``""`` where none is known, and the features beside it that no level has."""

    level: str
    extra: FrozenSet[str]

    def __str__(self) -> str:
        parts = [cpus(self.level)] if self.level else []
        if self.extra:
            parts.append(listed(self.extra))
        return " plus ".join(parts) if parts else "more than was promised"

    def beyond(self, other: _Need) -> Optional[_Need]:
        """What of this the CPUs of *other* may lack; ``None`` when they have it all."""
        higher = self.level if rank(self.level or None) > rank(other.level or None) else ""
        extra = self.extra - other.extra - _features(other.level)
        return _Need(higher, extra) if higher or extra else None


def _features(name: str) -> FrozenSet[str]:
    level = level_of(name)
    return frozenset(level.features) if level else frozenset()


def listed(features: Iterable[str]) -> str:
    """``aes, sha and xop``; of many only the first few: ``adx, aes, rdrnd and 12 more features``."""
    names = sorted(features)
    if len(names) > _NAMED:
        names = [*names[: _NAMED - 1], f"{len(names) - _NAMED + 1} more features"]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _need(findings: List[Tuple[FileReport, Finding]]) -> _Need:
    """The highest level among *findings*, and the features that neither it nor any other level has."""
    beside = _beside(finding for _, finding in findings)
    promised = {file.promised for file, _ in findings if file.promised}
    levels = [finding.level for _, finding in findings if finding.level]
    # Of features that occur together, one may have a level of its own: avx512f+vaes needs x86-64-v4 beside vaes.
    levels += [level for name in beside for level in _lowest(name, promised)]
    base = max(levels or promised, key=rank, default="")
    return _Need(base, beside - _features(base))


def _lowest(feature: str, promised: Iterable[str]) -> List[str]:
    """The lowest level with *feature* of each instruction set that a level among *promised* belongs to."""
    families = [isa for isa in (X86, AARCH64) if {level.name for level in isa.levels}.intersection(promised)]
    found = [isa.lowest_level(frozenset([feature])) for isa in families if feature in isa.features]
    return [level.name for level in found if level]


def _beside(findings: Iterable[Finding]) -> FrozenSet[str]:
    """The single features of those *findings* that no level covers."""
    return frozenset(name for one in findings if not one.level for name in one.feature.split("+"))


def declaration(finding: Finding) -> bool:
    """Whether *finding* is about what the file declares: it has no instruction then."""
    return not finding.instruction and not finding.data


def _reason(file: FileReport, finding: Finding) -> str:
    if declaration(finding):
        return f"{file.path} declares it"
    place = f"{finding.function} of {file.path}"
    runs = f"{finding.instruction} ({finding.feature}) in {place}"
    if finding.verdict is Verdict.VIOLATION:
        return f"{runs} is not behind a test of the CPU"
    return f"{runs} could not be proven to be behind a test of the CPU"


def answer(entry: InputReport) -> Answer:
    """What *entry* needs, gravest fact first."""
    sure, perhaps = (open_findings(entry.files, verdict) for verdict in _GATED)
    if sure:
        need = _need(sure)
        more = _need(perhaps).beyond(need) if perhaps else None
        return Answer("needs", f"{need}, and perhaps {more}" if more else str(need), _reason(*sure[0]))
    if perhaps:
        return Answer("may need", str(_need(perhaps)), _reason(*perhaps[0]))
    if entry.verdict in _GATED:
        worst = next((file for file in entry.files if file.verdict is entry.verdict), None)
        where = worst.path if worst else entry.path
        why = worst.notes[0] if worst and worst.notes else f"{where} is {entry.verdict.value}"
        return Answer("unknown", "it did not pass", why)
    if entry.verdict is Verdict.UNDECIDED:
        return Answer("unknown", "not everything could be looked at", _blind_spot(entry))
    native = [file for file in entry.files if file.verdict is not Verdict.NOT_APPLICABLE]
    if not native:
        return Answer("runs on", "any CPU, there is no native code")
    promised = sorted({file.promised or file.machine for file in native}, key=lambda name: (rank(name), name))
    text = ", ".join(_any(name) for name in promised)
    guarded = [finding for file in native for finding in file.findings if not finding.waived_by]
    levels = sorted({finding.level for finding in guarded if finding.level}, key=rank)
    beside = _beside(guarded).difference(*map(_features, levels))
    if guarded:
        text += f" (code for {', '.join([*levels, *([listed(beside)] if beside else [])])} is behind CPU tests)"
    return Answer("runs on", text)


def _any(name: str) -> str:
    level = level_of(name)
    return f"any {name}" if level is None or level.cpus.startswith("every") else f"any {cpus(name)}"


def _blind_spot(entry: InputReport) -> str:
    for file in entry.files:
        if file.verdict is Verdict.UNDECIDED:
            if file.notes:
                return f"{file.path}: {file.notes[0]}"
            if file.undecoded_bytes:
                return f"{plural(file.undecoded_bytes, 'byte')} of code in {file.path} could not be decoded"
            return f"{file.path} could not be judged"
    return entry.notes[0] if entry.notes else f"{entry.path} could not be judged"
