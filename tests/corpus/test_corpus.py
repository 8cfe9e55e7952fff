"""The scanner tells the truth about real wheels: nothing that crashes passes, nothing that works is refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Dict, List, Set, Tuple

import pytest
from _pytest.mark import ParameterSet

from baseline_build.scan import Report, Verdict, scan_path
from tests.corpus import wheels

pytestmark = pytest.mark.corpus

WHEELS = wheels.listed()
MEASURED = tuple(w for w in WHEELS if w.group == "first" and w.truth == "dispatched" and w.machine == "x86_64")
PROVEN = tuple(w for w in WHEELS if w.group == "first" and w.truth == "dispatched" and w.machine == "aarch64")


def cases(*truths: str) -> List[ParameterSet]:
    return [
        pytest.param(wheel, id=wheel.title, marks=[pytest.mark.corpus_slice] if wheel.quick else [])
        for wheel in WHEELS
        if wheel.truth in truths
    ]


@cache
def report_of(wheel: wheels.Wheel, cache: Path) -> Report:
    return scan_path(wheels.fetched(wheel, cache))


@pytest.mark.parametrize("wheel", cases("violation"))
def test_crashing_wheel_is_a_violation_at_the_crash(wheel: wheels.Wheel, shared_cache: Path) -> None:
    report = report_of(wheel, shared_cache)
    assert report.verdict is Verdict.VIOLATION
    if wheel.crash is None:
        return
    (file,) = [f for f in report.inputs[0].files if f.path.endswith(wheel.crash.file)]
    assert file.verdict is Verdict.VIOLATION
    there = [f for f in file.findings if f.function == wheel.crash.function]
    assert there, f"no finding in {wheel.crash.function}"
    assert Verdict.VIOLATION in {f.verdict for f in there}, [(f.verdict, f.ground) for f in there]


@pytest.mark.parametrize("wheel", cases("clean"))
def test_clean_wheel_is_clean(wheel: wheels.Wheel, shared_cache: Path) -> None:
    report = report_of(wheel, shared_cache)
    assert report.verdict is Verdict.CLEAN
    assert [f for file in report.inputs[0].files for f in file.findings] == []


@pytest.mark.parametrize("wheel", cases("violation", "clean", "dispatched"))
def test_nothing_in_a_function_is_left_undecoded(wheel: wheels.Wheel, shared_cache: Path) -> None:
    files = report_of(wheel, shared_cache).inputs[0].files
    assert [f.path for f in files if f.verdict is Verdict.UNDECIDED or (f.notes and f.notes[0].startswith("BB"))] == []
    assert [(f.path, x.function) for f in files for x in f.findings if x.code == "BB131"] == []


@pytest.mark.parametrize("wheel", cases("dispatched"))
def test_dispatched_wheel_is_no_violation(wheel: wheels.Wheel, shared_cache: Path) -> None:
    report = report_of(wheel, shared_cache)
    assert report.verdict in (Verdict.GUARDED, Verdict.UNPROVEN)
    wrong = [(f.function, f.feature, f.ground) for file in report.inputs[0].files for f in file.findings
             if f.verdict not in (Verdict.GUARDED, Verdict.UNPROVEN)]  # fmt: skip
    assert wrong == []


@pytest.mark.corpus_slice
@pytest.mark.parametrize("wheel", PROVEN, ids=lambda w: w.title)
def test_dispatched_arm_wheel_is_guarded(wheel: wheels.Wheel, shared_cache: Path) -> None:
    assert report_of(wheel, shared_cache).verdict is Verdict.GUARDED


def test_most_dispatched_functions_are_proven(shared_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proven: Set[Tuple[str, str, str]] = set()
    unproven: Dict[Tuple[str, str, str], Set[str]] = {}
    for wheel in MEASURED:
        for file in report_of(wheel, shared_cache).inputs[0].files:
            for finding in file.findings:
                key = (wheel.project, file.path, finding.function)
                if finding.verdict is Verdict.GUARDED:
                    proven.add(key)
                else:
                    unproven.setdefault(key, set()).add(finding.ground)
    proven -= unproven.keys()
    total = len(proven) + len(unproven)
    lines: List[str] = [f"{len(proven)} of {total} functions proven guarded"]
    by_reason: Dict[str, List[str]] = {}
    for key, grounds in unproven.items():
        by_reason.setdefault("; ".join(sorted(grounds)), []).append(f"{key[0]}:{key[2]}")
    for reason, names in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        assert reason, f"no reason given for {names}"
        lines.append(f"  {len(names):4} {reason}: {', '.join(sorted(names)[:4])}")
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert total >= 200
    assert len(proven) >= 0.7 * total, "\n".join(lines)
