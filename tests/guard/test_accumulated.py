"""Answers that are gathered bit by bit (``active |= found & bit``), as the C library does it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import judged
from .test_samples import X86

SOURCE = r"""
#include <cpuid.h>
typedef int vector __attribute__((vector_size(32)));
vector sum;
static unsigned found, active;
__attribute__((target("avx2"), noinline)) void fast(void) { sum += sum; }
__attribute__((noinline)) void gather(unsigned usable, unsigned words) {
  active |= found & (1u << 3);
  if (usable) active |= FOUND & (1u << 5);
}
__attribute__((noinline)) void detect(unsigned words) {
  unsigned a, b = 0, c, d, low;
  __get_cpuid_count(7, 0, &a, &b, &c, &d);
  found = b;
  __get_cpuid(1, &a, &b, &c, &d);
  if (c & (1u << 27)) { __asm__ volatile("xgetbv" : "=a"(low) : "c"(0) : "edx"); gather((low & 6) == 6, words); }
}
__attribute__((noinline)) void force(void) { FORCE; }
int main(int count, char **words) {
  detect(-1u);
  force();
  if (active & (1u << 5)) fast();
  return 0;
}
"""
# What the code takes for the answer, and what else it puts there.
TWINS = {
    "right": ("found", ""),
    "argument": ("words", ""),
    "lower": ("(found << 2)", ""),
    "forced": ("found", "active |= 1u << 5"),
}


@pytest.mark.parametrize("twin", TWINS)
def test_only_what_the_cpu_said_is_gathered(tmp_path: Path, twin: str) -> None:
    source, program = tmp_path / "sample.c", tmp_path / twin
    source.write_text(SOURCE)
    found, force = TWINS[twin]
    options = ["-O2", "-w", f"-DFOUND={found}", f"-DFORCE={force}"]
    subprocess.run([require_tool("gcc"), *options, str(source), "-o", str(program)], check=True)
    _, judgements = judged(program)
    told = "\n".join(f"{j.verdict.value} {sorted(j.features)} {j.ground} {j.path} {j.guard}" for j in judgements)
    fast = [j.verdict for j in judgements if "avx2" in j.features]
    assert fast == [Verdict.GUARDED if twin == "right" else Verdict.UNPROVEN], told
    assert X86.survives(program, "Haswell-noTSX,-avx2") == (twin == "right")
    assert X86.survives(program, X86.new)
