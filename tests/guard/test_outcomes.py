"""Helpers that return whether they wrote an answer through a pointer: ``if (ask(&answer) && answer & …)``.

What stands at the pointer belongs to what is returned: with 0 it is what stood there before.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import SAMPLES, judged
from .test_samples import AARCH64, X86

SOURCE = r"""
#include "common.h"
static int in[8], out[8];
#ifdef __aarch64__
#define BIT (1u << 20)
NOINLINE static int ask(unsigned *answer) {
  unsigned long found = getauxval(AT_HWCAP);
  if (!(found & 1u << 9)) return 0; /* FPHP */
  *answer = found;
  return 1;
}
#else
#define BIT (1u << 5)
NOINLINE static int ask(unsigned *answer) {
  unsigned a, b, c, d;
  if (__get_cpuid_max(0, 0) < 7) return 0;
  __cpuid_count(7, 0, a, b, c, d);
  *answer = b;
  return 1;
}
#endif
NOINLINE static int relay(unsigned *answer) { return ask(answer); }
NOINLINE static int both(unsigned *answer) {
  int asked = ask(answer);
  if (asked) return asked;
  *answer = BIT;
  return 2;
}
int main(void) {
  unsigned answer = -1u;
  CONDITION
    fast(out, in);
  else
    plain(out, in);
  return 0;
}
"""
TWINS = {
    "right": "if (ask(&answer) && answer & BIT)",
    "relayed": "if (relay(&answer) && answer & BIT)",
    "later": "int asked = ask(&answer); if (asked && answer & BIT)",
    "told": "if (both(&answer) == 1 && answer & BIT)",
    "untold": "if (both(&answer) && answer & BIT)",
    "other": "if (both(&answer) == 2 && answer & BIT)",
    "ignored": "ask(&answer); if (answer & BIT)",
    "inverted": "if (!ask(&answer) && answer & BIT)",
    "again": "int asked = ask(&answer); answer = -1u; if (asked && answer & BIT)",
}
RIGHT = {"right", "relayed", "later", "told"}
# CPUs without the feature: one on which nothing is written, and one on which the answer says no.
OLD = {"x86": (X86.old, "Haswell-noTSX,-avx2"), "aarch64": (AARCH64.old, "a64fx")}


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize(("machine", "compiler", "level"), [
    ("x86", "gcc", "-O0"), ("x86", "gcc", "-O2"), ("x86", "clang", "-O0"), ("aarch64", "aarch64-linux-gnu-gcc", "-O0"),
])  # fmt: skip
def test_an_answer_belongs_to_what_is_returned(
    tmp_path: Path, machine: str, compiler: str, level: str, twin: str
) -> None:
    source, program = tmp_path / "sample.c", tmp_path / twin
    source.write_text(SOURCE.replace("CONDITION", TWINS[twin]))
    options = [level, "-w", "-I", str(SAMPLES)]
    subprocess.run([require_tool(compiler), *options, str(source), "-o", str(program)], check=True)
    _, judgements = judged(program)
    told = "\n".join(f"{j.verdict.value} {sorted(j.features)} {j.ground} {j.path} {j.guard}" for j in judgements)
    fast = {j.verdict for j in judgements if j.features & {"avx2", "dotprod"}}
    assert fast == {Verdict.GUARDED if twin in RIGHT else Verdict.UNPROVEN}, told
    target = X86 if machine == "x86" else AARCH64
    assert all(target.survives(program, cpu) for cpu in OLD[machine]) == (twin in RIGHT)
    assert target.survives(program, target.new)
