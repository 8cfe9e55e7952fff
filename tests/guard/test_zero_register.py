"""ARM64's zero register stands for no other: what moves it into a vector, as compilers clear one, is read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import judged
from .test_samples import AARCH64

SOURCE = r"""
#include <sys/auxv.h>
static volatile long counter = 41;
static volatile double sum;
int main(void)
{
    double zero;
    __asm__ volatile(MOVE : "=w"(zero));
    sum = zero;
    if (getauxval(16) >> BIT & 1)
        __asm__ volatile(".arch_extension lse\n stadd %0, [%1]" : : "r"(1l), "r"(&counter) : "memory");
    return sum != 0;
}
"""
MOVES = ("fmov %d0, xzr", "fmov %s0, wzr", "ins %0.d[0], xzr", "dup %0.2d, xzr", "scvtf %d0, xzr", "movi %d0, #0")
LSE, CRC = 8, 7


@pytest.mark.parametrize("bit", [LSE, CRC])
@pytest.mark.parametrize("move", MOVES)
def test_zeroes_are_moved_into_vectors(tmp_path: Path, move: str, bit: int) -> None:
    source, program = tmp_path / "sample.c", tmp_path / "sample"
    source.write_text(SOURCE)
    command, *given = AARCH64.compilers["gcc"]
    options = [*given, "-O2", f'-DMOVE="{move}"', f"-DBIT={bit}", str(source), "-o", str(program)]
    subprocess.run([require_tool(command), *options], check=True)
    verdict, judgements = judged(program)
    assert verdict is (Verdict.GUARDED if bit == LSE else Verdict.UNPROVEN), [(j.ground, j.path) for j in judgements]
    assert AARCH64.survives(program, AARCH64.old) == (bit == LSE)
    assert AARCH64.survives(program, AARCH64.new)
