"""Flags in lists of their addresses, and questions answered on the stack: proven, and every way to break it is not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import SAMPLES, judged
from .test_samples import X86

STRUCTURES = Path(__file__).parent / "structures"
BROKEN = {
    "list": ("UNTESTED", "INVERTED", "OTHER", "HANDED", "DEEPER", "SECOND", "DIRECT", "WRONG", "COUNTED", "LOWER"),
    "stacked": ("BIT", "SLOT", "LEAF", "OVERWRITTEN", "REPLACED", "SPOILED", "INVERTED", "LATER"),
}
# Twins that, as they are compiled, only ever turn the feature off, or take the bit of another answer, which is 0 here.
HARMLESS = {("list", "COUNTED"), ("stacked", "SLOT"), ("stacked", "LEAF"), ("stacked", "LATER")}
CASES = [(name, how) for name, ways in BROKEN.items() for how in ("RIGHT", *ways)]


def compiled(folder: Path, name: str, how: str, compiler: str, level: str) -> Path:
    target = folder / how.lower()
    # Two addresses put into a list with one store of a vector are not followed.
    options = [level, "-fno-slp-vectorize" if compiler == "clang" else "-fno-tree-slp-vectorize"]
    command = [require_tool(compiler), *options, "-w", "-I", str(SAMPLES), f"-DHOW={how}"]
    command += [str(STRUCTURES / f"{name}.c"), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def check(folder: Path, name: str, how: str, compiler: str = "gcc", level: str = "-O2") -> None:
    path = compiled(folder, name, how, compiler, level)
    verdict, found = judged(path)
    told = "\n".join(f"{j.verdict.value} {j.ground} {j.path} {j.guard}" for j in found)
    assert verdict is (Verdict.GUARDED if how == "RIGHT" else Verdict.UNPROVEN), told
    assert X86.survives(path, X86.olds["lower"]) == (how == "RIGHT" or (name, how) in HARMLESS)
    assert X86.survives(path, X86.new)


@pytest.mark.parametrize(("name", "how"), CASES)
def test_only_the_right_one_is_guarded(tmp_path: Path, name: str, how: str) -> None:
    check(tmp_path, name, how)
