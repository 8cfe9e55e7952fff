"""Waivers: known findings that are accepted for a stated reason."""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import FrozenSet, Iterable, List, Sequence, Set, Tuple

from ..errors import ConfigError
from ..isa import AARCH64, X86
from . import findings
from .model import FileReport, Finding, Verdict
from .options import Waiver

# What compilers add to a function's name: parts split off, clones for constants, promotion by link-time optimisation.
_SUFFIXES = re.compile(
    r"(?:\.(?:cold|part|isra|constprop|lto_priv|llvm|localalias|warm|unlikely|split|resolver)(?:\.\d+)*"
    r"|\.__uniq\.\d+|\.\d+|\[clone [^\]]*\])+$"
)
_RUST_HASH = re.compile(r"17h[0-9a-f]{16}(?=E(?:\.|$))|::h[0-9a-f]{16}$")
_WAIVABLE = frozenset((Verdict.UNPROVEN, Verdict.VIOLATION))


def plain(function: str) -> str:
    """*function* without what compilers add: rustc's hashes, ``.cold``, ``.part.0``, ``.llvm.123``, ``[clone …]``."""
    return _RUST_HASH.sub("", _SUFFIXES.sub("", function))


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(plain(name), pattern) or fnmatchcase(plain(name), plain(pattern))


def named(names: Iterable[str], path: str, waivers: Sequence[Waiver]) -> Tuple[str, ...]:
    """Those of the function *names* in the file *path* that a waiver is about; sorted, each once."""
    patterns = [waiver.function for waiver in waivers if fnmatchcase(path, waiver.file)]
    return tuple(sorted({name for name in names if any(_matches(name, pattern) for pattern in patterns)}))


def _covers(waiver: Waiver, path: str, finding: Finding) -> bool:
    """Whether *waiver* accepts *finding*: file, function, and no feature above the ceiling."""
    if finding.verdict not in _WAIVABLE or not finding.address or finding.on_load:
        return False
    if not (fnmatchcase(path, waiver.file) and _matches(finding.function, waiver.function)):
        return False
    return set(finding.feature.split("+")) <= _ceiling(waiver.features)


def _ceiling(features: Sequence[str]) -> FrozenSet[str]:
    closed: Set[str] = set()
    for isa in (X86, AARCH64):
        closed |= isa.closure(frozenset(features))
    return frozenset(closed)


def apply(files: Iterable[FileReport], waivers: Sequence[Waiver]) -> Tuple[FileReport, ...]:
    """*files* with the waived findings marked and the verdicts weighed anew.

    Raises ConfigError BB222 when a waiver covers nothing, BB223 when one has no reason or no features.
    """
    _check(waivers)
    used: Set[int] = set()
    reports: List[FileReport] = []
    for file in files:
        changed: List[Finding] = []
        for finding in file.findings:
            hits = [number for number, waiver in enumerate(waivers) if _covers(waiver, file.path, finding)]
            used.update(hits)
            changed.append(replace(finding, waived_by=waivers[hits[0]].reason) if hits else finding)
        waived = any(finding.waived_by for finding in changed)
        verdict = findings.verdict_of(changed) if waived else file.verdict
        reports.append(replace(file, findings=tuple(changed), verdict=verdict))
    unused = [waiver for number, waiver in enumerate(waivers) if number not in used]
    if unused:
        raise ConfigError(
            "BB222",
            "; ".join(f"nothing is waived by file = {w.file!r}, function = {w.function!r}" for w in unused),
            where="waivers",
            why="The code it was written for is gone, renamed, stripped of its name, now proven, above the ceiling, or "
            "runs on load, where no waiver counts.",
            fix="Remove the waiver, or correct its globs by the report of `baseline-build scan`.",
        )
    return tuple(reports)


def _check(waivers: Sequence[Waiver]) -> None:
    for waiver in waivers:
        missing = [key for key in ("file", "function", "features", "reason") if not getattr(waiver, key)]
        if missing:
            raise ConfigError(
                "BB223",
                f"a waiver has no {' and no '.join(missing)}",
                where=f"waivers, file = {waiver.file!r}, function = {waiver.function!r}",
                why="A waiver says which features of which function are safe, and why.",
                fix="Add what is missing.",
            )
