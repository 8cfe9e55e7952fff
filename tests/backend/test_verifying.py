"""The gate itself: which reports pass, and what the error says."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import List

import pytest

from baseline_build.artifacts.reporter import Reporter
from baseline_build.artifacts.verifying import error_of, fails, merged, verify
from baseline_build.config.model import Settings
from baseline_build.errors import UnprovenError, ViolationError
from baseline_build.scan.model import FileReport, Finding, InputReport, Report, SourceLine, Verdict
from baseline_build.toolchain import ArchiveMember, CompileLog, Mode

LOG = CompileLog(Mode.FILTER, (), (), ())
QUIET = Reporter([])


def foreign_wheel(path: Path) -> Path:
    wheel_text = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-win_amd64\n"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("native.pyd", b"MZ" + bytes(500))
        wheel.writestr("w-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: w\nVersion: 1\n")
        wheel.writestr("w-1.dist-info/WHEEL", wheel_text)
        names = (*wheel.namelist(), "w-1.dist-info/RECORD")
        wheel.writestr("w-1.dist-info/RECORD", "".join(f"{name},,\n" for name in names))
    return path


def test_what_is_not_elf_is_refused_unless_it_is_accepted(tmp_path: Path) -> None:
    wheel = foreign_wheel(tmp_path / "w-1-cp311-cp311-win_amd64.whl")
    with pytest.raises(UnprovenError) as caught:
        verify(wheel, wheel, Settings(), QUIET, LOG)
    assert caught.value.code == "BB730"
    assert "native.pyd" in str(caught.value)
    verify(wheel, wheel, Settings(unverifiable="accept"), QUIET, LOG)


def finding(verdict: Verdict, **facts: object) -> Finding:
    made = Finding(
        code="BB101",
        verdict=verdict,
        feature="avx2",
        level="x86-64-v3",
        count=3,
        function="sum",
        address=0x1000,
        data=b"\xc5\xf5\xfe\xc2",
        instruction="vpaddd",
        ground="nothing asks what the CPU can do",
        path=("PyInit_m", "sum"),
        hint="compile it for the promised level",
    )
    return replace(made, **facts)  # type: ignore[arg-type]


def report(verdict: Verdict, *findings: Finding, **facts: object) -> Report:
    file = FileReport("m.so", "x86-64", verdict, "x86-64", None, "x86-64-v3", 100, 0, {"avx2": 3}, tuple(findings))
    file = replace(file, **facts)  # type: ignore[arg-type]
    return Report(file.verdict, (InputReport("w.whl", None, file.verdict, (file,)),))


@pytest.mark.parametrize(
    ("verdict", "strict", "refused"),
    [
        (Verdict.CLEAN, True, False),
        (Verdict.NOT_APPLICABLE, True, False),
        (Verdict.GUARDED, False, False),
        (Verdict.GUARDED, True, True),
        (Verdict.UNDECIDED, False, True),
        (Verdict.UNPROVEN, False, True),
        (Verdict.VIOLATION, False, True),
    ],
)
def test_which_verdicts_pass(verdict: Verdict, strict: bool, refused: bool) -> None:
    assert fails(report(verdict), Settings(strict=strict)) is refused


def test_an_empty_report_that_could_not_look_does_not_pass() -> None:
    assert fails(Report(Verdict.UNDECIDED, (InputReport("w.whl", None, Verdict.UNDECIDED),)), Settings())


def test_proofs_of_the_unstripped_file_count_for_the_same_code_only() -> None:
    stripped = report(Verdict.UNPROVEN, finding(Verdict.UNPROVEN))
    proven = report(Verdict.GUARDED, finding(Verdict.GUARDED))
    assert merged(stripped, proven).verdict is Verdict.GUARDED
    other_code = report(Verdict.GUARDED, finding(Verdict.GUARDED), code_bytes=101)
    assert merged(stripped, other_code).verdict is Verdict.UNPROVEN
    violated = report(Verdict.VIOLATION, finding(Verdict.VIOLATION))
    assert merged(violated, proven).verdict is Verdict.VIOLATION
    assert merged(stripped, violated).verdict is Verdict.VIOLATION


def test_the_error_says_all_that_is_known() -> None:
    line = SourceLine("src/sum.c", 12, "GNU C17 12.2.0 -march=x86-64 -O3")
    known = report(Verdict.VIOLATION, finding(Verdict.VIOLATION, source=line))
    member = ArchiveMember("libsum.a", "sum.o", "m.so", (("sum", "avx2", 3),))
    error = error_of(known, Settings(), "w.whl", replace(LOG, members=(member,)))
    assert isinstance(error, ViolationError)
    assert str(error) == (
        "BB101: w.whl: the wheel does not keep its promise of x86-64\n"
        "  why: the scan found:\n"
        "    m.so: sum at src/sum.c:12: vpaddd [c5f5fec2] needs avx2 (x86-64-v3), 3 times\n"
        "        violation: nothing asks what the CPU can do\n"
        "        reached by PyInit_m > sum\n"
        "        came in with libsum.a(sum.o)\n"
        "        compiled with GNU C17 12.2.0 -march=x86-64 -O3\n"
        "    Options were filtered on 0 compiler calls. So this code is asked for in the source (attribute, pragma,"
        " intrinsics, assembly), or was compiled where no shim stands, or before this build (a stale object, a prebuilt"
        " library).\n"
        "  fix: compile it for the promised level"
    )


def test_where_nothing_was_filtered_no_option_is_ruled_out() -> None:
    known = report(Verdict.VIOLATION, finding(Verdict.VIOLATION))
    assert "filtered" not in str(error_of(known, Settings(), "w.whl", replace(LOG, mode=Mode.REPORT)))


def test_many_findings_are_cut_and_waived_ones_are_left_out() -> None:
    many: List[Finding] = [finding(Verdict.UNPROVEN, function=f"f{number}") for number in range(20)]
    many.append(finding(Verdict.UNPROVEN, function="waived", waived_by="a reason"))
    error = error_of(report(Verdict.UNPROVEN, *many), Settings(), "w.whl", LOG)
    assert isinstance(error, UnprovenError)
    assert "and 8 more findings" in str(error)
    assert "waived" not in str(error)
