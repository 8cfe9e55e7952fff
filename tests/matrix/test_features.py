"""For each single x86 feature a library that uses just it: found, named, at its address, and nothing else.

ARM64 has the same in ``tests/decode_aarch64``.
"""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path
from typing import List, Tuple

import pytest

from baseline_build.isa import X86
from baseline_build.scan import ScanOptions, Verdict, scan_path
from tests.tools import require_tool

ROWS: List[Tuple[str, str]] = [
    (line.split("|")[0].strip(), line.split("|")[1].strip())
    for line in (Path(__file__).parent / "features-x86.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
# What a process cannot execute, what only i386 or long gone CPUs have, and what is only a sum of others.
WITHOUT_PROGRAM = frozenset((
    "mmx", "3dnow", "3dnowa", "fxsr", "cmov", "cx8", "sse", "sse2", "xsaves", "sgx", "padlock", "knc", "unknown",
    "avx512er", "avx512pf", "avx5124fmaps", "avx5124vnniw", "avx10.1",
))  # fmt: skip


@lru_cache(maxsize=1)
def assembler() -> str:
    return require_tool("llvm-mc-22")


def library(folder: Path, instruction: str) -> Path:
    source = f".globl f\n.type f,@function\nf:\n  endbr64\n  {instruction}\n  ret\n.size f,.-f\n"
    command = [
        assembler(),
        "-triple=x86_64-linux-gnu",
        "-mattr=+egpr,+ndd,+push2pop2,+ppx",
        "-filetype=obj",
        "-o",
        "f.o",
    ]
    result = subprocess.run(command, input=source, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    subprocess.run([require_tool("ld"), "-shared", "f.o", "-o", "f.so"], cwd=folder, check=True)
    return folder / "f.so"


@pytest.mark.parametrize(("feature", "instruction"), ROWS, ids=[instruction for _, instruction in ROWS])
def test_the_feature_is_named(tmp_path: Path, feature: str, instruction: str) -> None:
    (file,) = scan_path(library(tmp_path, instruction)).inputs[0].files
    assert file.verdict is Verdict.VIOLATION
    (finding,) = file.findings
    assert finding.feature == feature
    assert (finding.count, finding.function) == (1, "f")
    assert file.undecoded_bytes == 0
    needed = X86.closure(frozenset(feature.split("+")))
    level = X86.lowest_level(needed)
    assert finding.level == (level.name if level else None)
    if level is not None and level.name.startswith("x86-64"):
        assert scan_path(tmp_path / "f.so", ScanOptions(level=level.name)).verdict is Verdict.CLEAN


def test_every_feature_has_its_program() -> None:
    used = {name for feature, _ in ROWS for name in feature.split("+")}
    assert used | WITHOUT_PROGRAM == X86.features.keys() | WITHOUT_PROGRAM & {"unknown"}
