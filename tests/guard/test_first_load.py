"""Set-up code that is behind "is it set up already?" runs on load all the same; where somebody may set it up otherwise,
that is no proof."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Dict, Tuple

import pytest

from baseline_build.elf import parse
from baseline_build.isa import baseline_of
from baseline_build.scan import guard
from baseline_build.scan.code import decode_image
from baseline_build.scan.model import Verdict
from tests.tools import require_tool

# An allocator sets itself up in an initialiser, unless somebody called it before; elsewhere the file asks the CPU.
SOURCE = r"""
#include <pthread.h>
#define EARLY __attribute__((constructor(101))) static void early(void)
typedef int vector __attribute__((vector_size(32)));
volatile int data[8];
int wanted;
static volatile unsigned state = 3;
static pthread_t owner;
SHARED
__attribute__((target("avx2"), noinline)) static void tables(void) {
  vector v; for (int i = 0; i < 8; i++) v[i] = data[i];
  v += v; for (int i = 0; i < 8; i++) data[i] = v[i];
}
__attribute__((target("avx2"), noinline)) static void fast(void) { tables(); data[0]++; }
__attribute__((noinline)) static int locked(void) { owner = pthread_self(); BUILD(); state = 2; return data[1] == 99; }
__attribute__((noinline)) static int set_up(void) {
  if (state == 0) return 0;
  if (owner == pthread_self() && state == 1) return 0;
  if (owner) return 1;
  if (state != 2) { if (locked()) return 1; }
  state = 1; data[2]++; state = 0;
  return 0;
}
__attribute__((constructor(201))) static void start(void) { if (state != 0) set_up(); }
__attribute__((noinline)) void *allocate(int n) { if (state != 0 && set_up()) return 0; return (void *)&data[n]; }
int main(int count, char **words) {
  if (__builtin_cpu_supports("avx2")) fast();
  return allocate(count) == words;
}
"""
ALWAYS = "-DBUILD=tables"
# What else may change the variable, so that the initialiser goes another way, or what tests before.
TWINS: Dict[str, Tuple[str, ...]] = {
    "other": ("-DSHARED=EARLY { state = 0; }",),
    "address": ("-DSHARED=volatile unsigned *where; EARLY { *(where = &state) = 0; }",),
    "asked": ('-DBUILD()=if(__builtin_cpu_supports("avx2"))tables()',),
    "wanted": ("-DBUILD()=if(wanted)tables()",),
}  # fmt: skip


def compiled(folder: Path, *options: str) -> Path:
    source, program = folder / "sample.c", folder / "sample"
    source.write_text(SOURCE)
    given = [*options, *(() if any(o.startswith("-DSHARED") for o in options) else ("-DSHARED=",))]
    given += () if any(o.startswith("-DBUILD") for o in options) else (ALWAYS,)
    subprocess.run(
        [require_tool("gcc"), "-O2", "-w", "-fPIE", "-pie", *given, str(source), "-o", str(program)], check=True
    )
    return program


def judgements(path: Path) -> Dict[str, guard.Judgement]:
    image = parse(path.read_bytes(), path.name)
    code = decode_image(image)
    level = baseline_of(image.machine)
    assert level is not None
    found = guard.judge(image, code, code.marks_above(level), detected_elsewhere=False)
    return {image.label(judgement.function): judgement for judgement in found}


def survives(path: Path) -> bool:
    command = [require_tool("qemu-x86_64"), "-cpu", "Opteron_G1,-sse3", str(path)]
    return subprocess.run(command, check=False, timeout=60).returncode == 0


def test_the_first_call_of_set_up_code_runs_on_load(tmp_path: Path) -> None:
    path = compiled(tmp_path)
    found = judgements(path)["tables"]
    assert found.verdict is Verdict.VIOLATION, found.ground
    assert found.ground == (
        "it runs when the file is loaded: on every path from the initialiser start that the first values of the "
        "variables it asks leave open (owner, state)"
    )
    assert found.path == ("initialiser start", "set_up", "locked", "tables")
    assert not survives(path)


@pytest.mark.parametrize("twin", TWINS)
def test_what_else_may_happen_before_is_no_proof(tmp_path: Path, twin: str) -> None:
    path = compiled(tmp_path, *TWINS[twin])
    found = judgements(path)["tables"]
    assert found.verdict in (Verdict.GUARDED, Verdict.UNPROVEN), found.ground
    assert (found.verdict is Verdict.GUARDED) == (twin == "asked"), found.ground
    assert survives(path)
