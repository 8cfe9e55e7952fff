"""Waivers cover what they name, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from baseline_build.errors import ConfigError
from baseline_build.scan import FileReport, Finding, ScanOptions, Verdict, Waiver, scan_path, waivers
from tests.scan import compiling

FINDING = Finding("BB102", Verdict.UNPROVEN, "avx2", "x86-64-v3", 3, "kernel", 0x1000, b"\xc5\xf5\xfe\xc2", "vpaddd")
FILE = FileReport("pkg/_x.so", "x86-64", Verdict.UNPROVEN, "x86-64", None, "x86-64-v3", 10, 0, {}, (FINDING,))
WAIVER = Waiver("pkg/*.so", "kernel", ("avx2",), "the dispatcher in dispatch.c tests for AVX2")


def waived(function: str, waiver: Waiver = WAIVER, **changes: object) -> FileReport:
    finding = replace(FINDING, function=function, **changes)  # type: ignore[arg-type]
    return waivers.apply([replace(FILE, findings=(finding,))], [waiver])[0]


@pytest.mark.parametrize(
    ("function", "pattern"),
    [
        ("kernel", "kernel"),
        ("kernel.cold", "kernel"),
        ("kernel.part.0", "kernel"),
        ("kernel.isra.0.cold", "kernel"),
        ("kernel.constprop.3", "kernel"),
        ("kernel.llvm.1234567890", "kernel"),
        ("kernel.lto_priv.0", "kern*"),
        ("_ZN4core3foo17h0123456789abcdefE", "_ZN4core3fooE"),
        ("_ZN4core3foo17h0123456789abcdefE.llvm.99", "_ZN4core3foo17hffffffffffffffffE"),
        ("_ZN4core3foo17h0123456789abcdefE", "_ZN4core3*"),
        ("core::foo::h0123456789abcdef", "core::foo"),
    ],
)
def test_what_compilers_add_to_names_does_not_count(function: str, pattern: str) -> None:
    file = waived(function, replace(WAIVER, function=pattern))
    assert file.verdict is Verdict.GUARDED
    assert file.findings[0].waived_by == WAIVER.reason
    assert file.findings[0].verdict is Verdict.UNPROVEN


@pytest.mark.parametrize(
    ("waiver", "changes"),
    [
        (replace(WAIVER, file="other/*.so"), {}),
        (replace(WAIVER, function="kernels"), {}),
        (WAIVER, {"feature": "avx512f"}),
        (WAIVER, {"feature": "avx2+bmi2"}),
        (WAIVER, {"on_load": True, "verdict": Verdict.VIOLATION}),
        (WAIVER, {"verdict": Verdict.UNDECIDED}),
        (WAIVER, {"verdict": Verdict.GUARDED}),
    ],
    ids=["file", "function", "above the ceiling", "another feature", "runs on load", "undecided", "guarded"],
)
def test_what_a_waiver_does_not_cover(waiver: Waiver, changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        waived("kernel", waiver, **changes)
    assert caught.value.code == "BB222"


def test_the_ceiling_includes_what_it_implies() -> None:
    assert waived("kernel", feature="avx").verdict is Verdict.GUARDED
    assert waived("kernel", feature="sse4.1").verdict is Verdict.GUARDED


@pytest.mark.parametrize("field", ["file", "function", "features", "reason"])
def test_incomplete_waivers_are_refused(field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        waived("kernel", replace(WAIVER, **{field: () if field == "features" else ""}))
    assert caught.value.code == "BB223"


def test_a_waiver_in_a_real_scan(tmp_path: Path) -> None:
    bad = compiling.library(tmp_path, "bad", compiling.AVX2, "-mavx2")
    other = compiling.library(tmp_path, "other", compiling.POPCNT, "-mpopcnt")
    path = compiling.wheel(tmp_path, {"sample/bad.so": bad, "sample/other.so": other})
    waiver = Waiver("sample/bad.so", "ker*", ("avx2",), "loaded by sample/__init__.py after a test")
    report = scan_path(path, ScanOptions(waivers=(waiver,)))
    assert {file.path: file.verdict for file in report.inputs[0].files} == {
        "sample/bad.so": Verdict.GUARDED,
        "sample/other.so": Verdict.VIOLATION,
    }
    assert report.verdict is Verdict.VIOLATION
