"""Programs at a fixed address name variables by constants in their instructions: who does so is not overlooked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import SAMPLES, Target, judged
from .test_samples import AARCH64, X86

SOURCE = r"""
#include "common.h"
static int flag, other, in[8], out[8];
NOINLINE void put(int *place) { *place = 1; }
NOINLINE void force(void) { put(&PLACE); }
NOINLINE void detect(void) { BEGIN_ASKING(); flag = HAS(5) ? 1 : 0; }
NOINLINE void dispatch(void) { if (flag) fast(out, in); else plain(out, in); }
int main(void) { detect(); force(); dispatch(); return other - other; }
"""


@pytest.mark.parametrize("place", ["flag", "other"])
def test_a_variable_is_named_by_a_constant(tmp_path: Path, place: str) -> None:
    source, program = tmp_path / "sample.c", tmp_path / place
    source.write_text(SOURCE)
    options = ["-O2", "-w", "-fno-pie", "-no-pie", "-I", str(SAMPLES), f"-DPLACE={place}"]
    subprocess.run([require_tool("gcc"), *options, str(source), "-o", str(program)], check=True)
    _, judgements = judged(program)
    told = "\n".join(f"{j.verdict.value} {sorted(j.features)} {j.ground} {j.path} {j.guard}" for j in judgements)
    fast = {j.verdict for j in judgements if "avx2" in j.features}
    assert fast == {Verdict.GUARDED if place == "other" else Verdict.UNPROVEN}, told
    assert X86.survives(program, X86.olds["lower"]) == (place == "other")
    assert X86.survives(program, X86.new)


TABLE = r"""
#include "common.h"
#include "main.h"
static kernel_t kernels[2] = {plain, fast};
static volatile int which = 1;
DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    if (TEST)
        fast(out, in);
    USED(out, in);
}
"""


@pytest.mark.parametrize("used", ["plain", "kernels[which]"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("target", [X86, AARCH64], ids=["x86", "arm64"])
def test_words_of_data_hold_addresses_without_relocations(
    tmp_path: Path, target: Target, compiler: str, used: str
) -> None:
    source, program = tmp_path / "sample.c", tmp_path / "sample"
    source.write_text(TABLE)
    command, *given = target.compilers[compiler]
    options = [*given, "-O2", "-w", "-fno-pie", "-no-pie", "-I", str(SAMPLES), f"-DUSED={used}"]
    subprocess.run([require_tool(command), *options, str(source), "-o", str(program)], check=True)
    verdict, judgements = judged(program)
    told = "\n".join(f"{j.verdict.value} {sorted(j.features)} {j.ground} {j.path} {j.guard}" for j in judgements)
    assert verdict is (Verdict.GUARDED if used == "plain" else Verdict.UNPROVEN), told
    assert target.survives(program, target.old) == (used == "plain")
    assert target.survives(program, target.new)
