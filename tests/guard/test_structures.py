"""A flag in a large structure on the heap is proven, and every way to give it another value ends the proof."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import SAMPLES, judged
from .test_samples import X86

SOURCE = Path(__file__).parent / "structures" / "context.c"
BROKEN = ("MEMBER", "ADDRESS", "FILLED", "COPIED", "PART", "OWNER", "VARIABLE", "STACK", "LOWER")


def compiled(folder: Path, how: str, compiler: str, level: str) -> Path:
    target = folder / how.lower()
    command = [require_tool(compiler), level, "-w", "-I", str(SAMPLES), f"-DHOW={how}", str(SOURCE), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def check(folder: Path, how: str, compiler: str, level: str) -> None:
    path = compiled(folder, how, compiler, level)
    verdict, found = judged(path)
    told = "\n".join(f"{j.verdict.value} {j.ground} {j.path} {j.guard}" for j in found)
    assert verdict is (Verdict.GUARDED if how == "RIGHT" else Verdict.UNPROVEN), told
    assert X86.survives(path, X86.olds["lower"]) == (how == "RIGHT")
    assert X86.survives(path, X86.new)


def test_the_right_one_is_guarded(tmp_path: Path) -> None:
    check(tmp_path, "RIGHT", "gcc", "-O2")


@pytest.mark.parametrize("how", BROKEN)
def test_another_value_ends_the_proof(tmp_path: Path, how: str) -> None:
    check(tmp_path, how, "gcc", "-O2")


@pytest.mark.long
@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_all_builds(tmp_path: Path, compiler: str, level: str) -> None:
    for how in ("RIGHT", *BROKEN):
        check(tmp_path, how, compiler, level)
