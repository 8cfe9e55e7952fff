"""The first line: which CPU does it need?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from baseline_build.report.answer import answer
from baseline_build.scan.model import FileReport, InputReport, Report, Verdict

from .samples import CLEAN_FILE, GUARDED, UNPROVEN, VIOLATION, file_of, report_of

UNREAD = replace(CLEAN_FILE, verdict=Verdict.UNDECIDED, undecoded_bytes=3)
MANY = [
    replace(UNPROVEN, feature=feature, level=None)
    for feature in ("adx", "avx512f+vaes", "aes+avx", "sha", "aes+vaes", "xop", "rdseed")
]
PURE = Report(Verdict.NOT_APPLICABLE, (InputReport("x.whl", None, Verdict.NOT_APPLICABLE),))


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (report_of(CLEAN_FILE), "runs on: any x86-64"),
        (
            report_of(replace(CLEAN_FILE, promised="x86-64-v2")),
            "runs on: any x86-64-v2 (Nehalem 2008, Bulldozer 2011, Silvermont 2013 or newer)",
        ),
        (
            report_of(CLEAN_FILE, replace(CLEAN_FILE, promised="armv8-a", machine="aarch64")),
            "runs on: any armv8-a, any x86-64",
        ),
        (report_of(file_of(GUARDED)), "runs on: any x86-64 (code for x86-64-v3 is behind CPU tests)"),
        (
            report_of(CLEAN_FILE, file_of(GUARDED, UNPROVEN, VIOLATION)),
            (
                "needs: x86-64-v3 (Haswell 2013, Excavator 2015 or newer) because vpaddd (avx2) in sum_all of "
                "pkg/_x.so is not behind a test of the CPU"
            ),
        ),
        (
            report_of(file_of(replace(VIOLATION, feature="fma4", level=None, instruction="vfmaddss"), VIOLATION)),
            (
                "needs: x86-64-v3 (Haswell 2013, Excavator 2015 or newer) plus fma4 because vfmaddss (fma4) in "
                "sum_all of pkg/_x.so is not behind a test of the CPU"
            ),
        ),
        (
            report_of(
                file_of(replace(VIOLATION, level="x86-64-v2", feature="sse3", instruction="haddps")),
                file_of(UNPROVEN, replace(UNPROVEN, feature="adx", level=None)),
            ),
            (
                "needs: x86-64-v2 (Nehalem 2008, Bulldozer 2011, Silvermont 2013 or newer), and perhaps x86-64-v3 "
                "(Haswell 2013, Excavator 2015 or newer) plus adx because haddps (sse3) in sum_all of pkg/_x.so is not "
                "behind a test of the CPU"
            ),
        ),
        (
            report_of(file_of(VIOLATION, replace(UNPROVEN, feature="aes+avx", level=None))),
            (
                "needs: x86-64-v3 (Haswell 2013, Excavator 2015 or newer), and perhaps aes because vpaddd (avx2) in "
                "sum_all of pkg/_x.so is not behind a test of the CPU"
            ),
        ),
        (
            report_of(file_of(*MANY, UNPROVEN)),
            (
                "may need: x86-64-v4 (Skylake-X 2017, Zen 4 2022 or newer) plus adx, aes, rdseed and 3 more features "
                "because vpaddd (adx) in maybe of pkg/_x.so could not be proven to be behind a test of the CPU"
            ),
        ),
        (
            report_of(file_of(*(replace(one, verdict=Verdict.GUARDED) for one in (MANY[0], *MANY[2:5], UNPROVEN)))),
            "runs on: any x86-64 (code for x86-64-v3, adx, aes, sha and vaes is behind CPU tests)",
        ),
        (
            report_of(file_of(UNPROVEN, GUARDED)),
            (
                "may need: x86-64-v3 (Haswell 2013, Excavator 2015 or newer) because vpaddd (avx2) in maybe of "
                "pkg/_x.so could not be proven to be behind a test of the CPU"
            ),
        ),
        (
            report_of(UNREAD),
            "unknown: not everything could be looked at because 3 bytes of code in pkg/_x.so could not be decoded",
        ),
        (
            report_of(replace(UNREAD, undecoded_bytes=0, notes=("the file is cut off",))),
            "unknown: not everything could be looked at because pkg/_x.so: the file is cut off",
        ),
        (PURE, "runs on: any CPU, there is no native code"),
    ],
)
def test_answers(report: Report, expected: str) -> None:
    assert str(answer(report.inputs[0])) == expected


def test_a_waived_finding_is_not_the_reason() -> None:
    waived = replace(VIOLATION, waived_by="measured on an Opteron", verdict=Verdict.VIOLATION)
    file: FileReport = replace(file_of(GUARDED), findings=(waived, GUARDED))
    assert str(answer(report_of(file).inputs[0])) == ("runs on: any x86-64 (code for x86-64-v3 is behind CPU tests)")


def test_a_failed_file_without_findings_is_never_called_fine() -> None:
    file = replace(CLEAN_FILE, verdict=Verdict.VIOLATION)
    assert str(answer(report_of(file).inputs[0])) == "unknown: it did not pass because pkg/_x.so is violation"
