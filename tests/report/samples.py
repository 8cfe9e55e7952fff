"""Reports as the scan gives them, one for every kind of answer."""

from __future__ import annotations

from dataclasses import replace

from baseline_build.scan.model import (
    CodeMap,
    FileReport,
    Finding,
    InputReport,
    Report,
    SourceLine,
    Verdict,
    gravest,
)

VIOLATION = Finding(
    code="BB101",
    verdict=Verdict.VIOLATION,
    feature="avx2",
    level="x86-64-v3",
    count=12,
    function="sum_all",
    address=0x1234,
    data=bytes.fromhex("c5f5fec2"),
    instruction="vpaddd",
    ground="Nothing in this wheel ever asks what the CPU can do.",
    path=("PyInit__x", "sum_all"),
    source=SourceLine("src/sum.c", 13, "-O2 -mavx2"),
    hint="Compile src/sum.c without -mavx2.",
)
UNPROVEN = replace(
    VIOLATION,
    code="BB102",
    verdict=Verdict.UNPROVEN,
    function="maybe",
    ground="The flag lies in a heap structure.",
    path=(),
    source=None,
)
GUARDED = replace(
    VIOLATION,
    code="BB103",
    verdict=Verdict.GUARDED,
    function="fast",
    guard="cpuid leaf 7, bit avx2",
    hint="",
    ground="",
)
CLEAN_FILE = FileReport("pkg/_x.so", "x86-64", Verdict.CLEAN, "x86-64", None, "x86-64", 123456, 0, {})


def file_of(*findings: Finding, **changes: object) -> FileReport:
    """A file with *findings*, its verdict the gravest of theirs."""
    verdict = gravest([finding.verdict for finding in findings])
    return replace(
        CLEAN_FILE,
        verdict=verdict,
        emitted="x86-64-v3",
        features={"avx2": 12},
        findings=findings,
        maps=(CodeMap(".text", 0x1000, 4000, (None, None, "x86-64-v3", None, "", "x86-64-v2")),),
        **changes,
    )


def report_of(*files: FileReport, path: str = "dist/x-1.0-cp311-cp311-linux_x86_64.whl") -> Report:
    """A report of one wheel that holds *files*."""
    verdict = gravest([file.verdict for file in files])
    return Report(verdict, (InputReport(path, "ab" * 32, verdict, files),))


BAD = report_of(file_of(VIOLATION, GUARDED), CLEAN_FILE)
GOOD = report_of(CLEAN_FILE)
