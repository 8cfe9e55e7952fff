"""A flag, its detector and the versions behind words of the global offset table are followed as if they were named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import judged
from .test_samples import X86

SOURCE = Path(__file__).parent / "structures" / "slots.c"
BROKEN = {
    "removed": "-DTEST=1",
    "lower feature": "-DTEST=(found&SSE42)",
    "inverted": "-DTEST=!(found&AVX2)",
    "another bit": "-DTEST=(found&READY)",
    "written by what does not ask": "-DFORCED",
}


def built(folder: Path, *options: str) -> Path:
    """A position independent program; every name of its own goes through the global offset table."""
    path = folder / "slots"
    command = [
        require_tool("gcc"),
        "-O2",
        "-w",
        "-fPIC",
        "-fno-plt",
        "-fsemantic-interposition",
        "-fno-toplevel-reorder",
        "-pie",
    ]
    command += ["-Wa,-mrelax-relocations=no", "-Wl,--no-relax", "-Wl,-z,now", *options, str(SOURCE), "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path


def test_flag_and_functions_behind_slots_are_guarded(tmp_path: Path) -> None:
    path = built(tmp_path)
    listing = subprocess.run([require_tool("objdump"), "-d", str(path)], capture_output=True, text=True, check=True)
    body = listing.stdout.partition("<twice>:")[2].partition("\n\n")[0]
    assert "*0x" in body, "the sample calls its own functions directly: it shows nothing"
    verdict, found = judged(path)
    assert verdict is Verdict.GUARDED, [(j.ground, j.path) for j in found]
    assert all(judgement.guard for judgement in found)
    assert X86.survives(path, X86.old)
    assert X86.survives(path, X86.new)


@pytest.mark.parametrize("twin", BROKEN)
def test_broken_twin_is_not_guarded(tmp_path: Path, twin: str) -> None:
    path = built(tmp_path, BROKEN[twin])
    verdict, found = judged(path)
    assert verdict is not Verdict.GUARDED, [(j.ground, j.guard) for j in found]
