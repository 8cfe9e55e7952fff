"""Variables on ARM64 that a function reaches from another address it holds: who writes them is not overlooked."""

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
static int big[100];
static int flag, in[8], out[8];
static struct { char window[8000]; int count; } wide;
NOINLINE void put(int *place) { *place = 1; }
NOINLINE void force(int n) {
  big[1] = n;
  big[50] = n + 1;
  FORCE;
}
NOINLINE void detect(void) { flag = HAS(5) ? 1 : 0; }
NOINLINE void dispatch(void) { if (flag) fast(out, in); else plain(out, in); }
NOINLINE int peek(int n) { return big[n & 63] + wide.window[n & 63] + wide.count; }
int main(int argc, char **argv) {
  detect();
  force(argc);
  dispatch();
  return peek(argc) * 0;
}
"""
# Far from where its page was named, so that no look at a few neighbouring words tells what is meant.
_FAR = (
    r'__asm__ volatile("adrp x9, flag\n\tmov w10, #1\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\t%s"'
    ' ::: "x9", "x10", "x11", "memory")'
)
# The level, and what else is done with the flag.
TWINS = {
    "right": ("-O2", "wide.count = n"),
    "anchor": ("-O2", "flag = 1"),
    "unoptimised": ("-O0", "flag = 1"),
    "address": ("-O2", "put(&flag)"),
    "page": ("-O2", _FAR % "str w10, [x9, #:lo12:flag]"),
    "copied": ("-O2", _FAR % r"mov x11, x9\n\tmov x9, xzr\n\tadd x11, x11, #:lo12:flag\n\tstr w10, [x11]"),
    "aside": ("-O2", _FAR % r"str x9, [sp, #-16]!\n\tmov x9, xzr\n\tldr x11, [sp], #16\n\tstr w10, [x11, #:lo12:flag]"),
    "lowered": (
        "-O2",
        _FAR % r"sub sp, sp, #32\n\tstp xzr, x9, [sp, #16]\n\tmov x9, xzr\n\tadd sp, sp, #16\n\t"
        r"ldp x9, x11, [sp], #16\n\tstr w10, [x11, #:lo12:flag]",
    ),
    "branched": (
        "-O2",
        _FAR % r"cbz w10, 1f\n\tmov x11, x9\n\tb 2f\n1:\tmov x11, xzr\n2:\tstr w10, [x11, #:lo12:flag]",
    ),
}


@pytest.mark.parametrize("twin", TWINS)
def test_a_store_from_afar_is_seen(tmp_path: Path, twin: str) -> None:
    source, program = tmp_path / "sample.c", tmp_path / twin
    level, force = TWINS[twin]
    source.write_text(SOURCE.replace("FORCE", force))
    options = [level, "-w", "-I", str(SAMPLES)]
    subprocess.run([require_tool("aarch64-linux-gnu-gcc"), *options, str(source), "-o", str(program)], check=True)
    verdict, judgements = judged(program)
    told = "\n".join(f"{j.verdict.value} {sorted(j.features)} {j.ground} {j.path} {j.guard}" for j in judgements)
    assert verdict is (Verdict.GUARDED if twin == "right" else Verdict.UNPROVEN), told
    assert AARCH64.survives(program, AARCH64.old) == (twin == "right")
    assert AARCH64.survives(program, AARCH64.new)
