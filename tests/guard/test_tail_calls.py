"""A function that only hands getauxval's answer on jumps to it: what it returns is the answer, as after a call."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import judged
from .test_samples import AARCH64

# The flag is kept as Rust's cpufeatures keeps it: 255 until it is known.
SOURCE = r"""
#include <sys/auxv.h>
__attribute__((noinline)) static unsigned long asked(void) { return getauxval(16); }
static volatile unsigned char flag = 255;
__attribute__((noinline)) long fast(long *p)
{
    long before;
    __asm__ volatile(".arch_extension lse\n ldadd %2, %0, [%1]" : "=r"(before) : "r"(p), "r"(1l) : "memory");
    return before;
}
__attribute__((noinline)) long plain(long *p) { return *p; }
long counter;
int main(void)
{
    unsigned char known = flag;
    if (known == 255)
        flag = known = asked() >> BIT & 1;
    return known == 1 ? fast(&counter) : plain(&counter);
}
"""
LSE, CRC = 8, 7


@pytest.mark.parametrize("bit", [LSE, CRC])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_answer_comes_through_a_tail_call(tmp_path: Path, compiler: str, bit: int) -> None:
    source, program = tmp_path / "sample.c", tmp_path / "sample"
    source.write_text(SOURCE)
    command, *given = AARCH64.compilers[compiler]
    options = [*given, "-O2", f"-DBIT={bit}", str(source), "-o", str(program)]
    subprocess.run([require_tool(command), *options], check=True)
    verdict, judgements = judged(program)
    told = "\n".join(f"{j.verdict.value} {j.ground} {j.path} {j.guard}" for j in judgements)
    assert verdict is (Verdict.GUARDED if bit == LSE else Verdict.UNPROVEN), told
    assert AARCH64.survives(program, AARCH64.old) == (bit == LSE)
    assert AARCH64.survives(program, AARCH64.new)
