"""Comparisons that overwrite the register they compare (``subs w8, w8, #1``), as compilers write them at -O0 on ARM64.

What the outcome tells is true of the value before, wherever it still stands, and not of the difference.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import SAMPLES, judged
from .test_samples import AARCH64

SOURCE = r"""
#include "common.h"
__attribute__((noinline)) static long level(void) { return HWCAP >> 20 & 1; }
static int in[8], out[8];
int main(void) {
  long known = level();
  __asm__ goto("mov w8, %w0\n\tsubs w8, w8, #1\n\t" CODE "\n\tb %l[no]"
               : : "r"(known) : "x8", "cc", "memory" : yes, no);
yes:
  fast(out, in);
  return 0;
no:
  plain(out, in);
  return 0;
}
"""
TWINS = {
    "right": "b.eq %l[yes]",
    # The same value again, in the register it was copied from.
    "origin": "b.eq %l[yes]\n\tcbnz %w0, %l[yes]",
    # The difference is not 0 where there is no dot product, although the value is.
    "difference": "b.eq %l[yes]\n\tcbnz w8, %l[yes]",
    "inverted": "b.ne %l[yes]",
}


@pytest.mark.parametrize("twin", TWINS)
def test_the_outcome_tells_of_the_value_before(tmp_path: Path, twin: str) -> None:
    source, program = tmp_path / "sample.c", tmp_path / twin
    source.write_text(SOURCE)
    code = TWINS[twin].replace("\n\t", "\\n\\t")
    options = ["-O2", "-w", "-I", str(SAMPLES), f'-DCODE="{code}"']
    subprocess.run([require_tool("aarch64-linux-gnu-gcc"), *options, str(source), "-o", str(program)], check=True)
    verdict, judgements = judged(program)
    told = "\n".join(f"{j.verdict.value} {sorted(j.features)} {j.ground} {j.path} {j.guard}" for j in judgements)
    right = twin in ("right", "origin")
    assert verdict is (Verdict.GUARDED if right else Verdict.UNPROVEN), told
    assert AARCH64.survives(program, AARCH64.old) == right
    assert AARCH64.survives(program, AARCH64.new)


# A flag is read, written by somebody else and read again: the first test tells nothing of what is found then.
BETWEEN = r"""
#include "common.h"
static int flag, in[8], out[8];
void detect(int **place) { flag = HAS(5) ? 1 : 0; if (LEAK) *place = &flag; }
void dispatch(int **place) {
  int first = flag;
  **place = 1;
  if (first) { if (first & 2) plain(out, in); return; }
  if (flag) fast(out, in); else plain(out, in);
}
void surely(void) { BEGIN_ASKING(); if (HAS(5)) fast(out, in); }
"""


@pytest.mark.parametrize("compiler", ["gcc", "aarch64-linux-gnu-gcc"])
@pytest.mark.parametrize("leaks", [False, True])
def test_a_variable_others_know_changes_between_two_tests(tmp_path: Path, compiler: str, leaks: bool) -> None:
    source, library = tmp_path / "sample.c", tmp_path / "sample.so"
    source.write_text(BETWEEN)
    options = ["-O2", "-w", "-fPIC", "-shared", "-I", str(SAMPLES), f"-DLEAK={int(leaks)}"]
    subprocess.run([require_tool(compiler), *options, str(source), "-o", str(library)], check=True)
    verdict, judgements = judged(library)
    told = "\n".join(f"{j.verdict.value} {sorted(j.features)} {j.ground} {j.path} {j.guard}" for j in judgements)
    assert verdict is (Verdict.UNPROVEN if leaks else Verdict.GUARDED), told
