"""The order in which people read a report: the gravest first, and a function once, whatever it needs."""

from __future__ import annotations

from typing import Dict, Iterable, List, Sequence, Tuple

from ..scan.model import FileReport, Finding, Verdict

_GRAVITY = {verdict: position for position, verdict in enumerate(Verdict)}


def gravest_first(files: Iterable[FileReport]) -> List[FileReport]:
    """*files* from the gravest verdict to the least; those of one verdict stay in their order."""
    return sorted(files, key=lambda file: -_GRAVITY[file.verdict])


def by_function(findings: Iterable[Finding]) -> List[List[Finding]]:
    """*findings* in groups that share everything but the instruction: what is open first, the gravest before the rest.

    The first of a group tells its ground, which may name the feature.
    """
    ranked = sorted(findings, key=lambda one: (one.waived_by is not None, -_GRAVITY[one.verdict]))
    groups: Dict[Tuple[object, ...], List[Finding]] = {}
    for one in ranked:
        key = (one.code, one.verdict, one.function, one.path, one.guard, one.hint, one.waived_by)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def by_reason(groups: Sequence[List[Finding]]) -> List[List[List[Finding]]]:
    """Neighbours among *groups* (see :func:`by_function`) of which the same is to be said, put together."""
    bundles: List[List[List[Finding]]] = []
    for group in groups:
        if bundles and _reason(bundles[-1][0][0]) == _reason(group[0]):
            bundles[-1].append(group)
        else:
            bundles.append([group])
    return bundles


def _reason(finding: Finding) -> Tuple[object, ...]:
    return (finding.code, finding.verdict, finding.guard, finding.ground, finding.hint, finding.waived_by)
