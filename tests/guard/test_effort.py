"""What the analysis costs: results that still hold are taken again, and that changes no judgement."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Dict, Tuple

import pytest

from baseline_build.elf import parse
from baseline_build.isa import baseline_of
from baseline_build.scan import guard
from baseline_build.scan.code import decode_image
from baseline_build.scan.guard import recall
from baseline_build.scan.guard.discovery import TOTAL_STEPS, Discovery
from baseline_build.scan.guard.program import Program
from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import Build, judged
from .test_samples import TARGETS


def steps(path: Path) -> Tuple[int, int]:
    """How many steps of interpretation the functions of *path* take that matter, and how many there may be."""
    image = parse(path.read_bytes(), path.name)
    discovery = Discovery(Program(image, decode_image(image)))
    discovery.discover()
    return discovery.budget - discovery.steps, discovery.budget


def test_a_static_program_takes_a_part_of_the_steps(tmp_path: Path) -> None:
    """It brings the C library's detection, whose variables half of the start code reads, again and again."""
    source, program = tmp_path / "empty.c", tmp_path / "empty"
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run([require_tool("gcc"), "-O2", "-static", str(source), "-o", str(program)], check=True)
    used, budget = steps(program)
    assert 4 * used < 3 * budget


@pytest.mark.parametrize("name", ["cached", "structure"])
@pytest.mark.parametrize("twin", ["good", "lower"])
def test_recalling_changes_no_judgement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, twin: str) -> None:
    path = TARGETS["x86"].compiled(tmp_path, name, twin, Build("gcc", "-O2", "pie"))
    recalled = judged(path)
    monkeypatch.setattr(recall, "_VARIANTS", 0)
    assert recalled == judged(path)


def judged_early(path: Path, steps: int) -> Dict[str, guard.Judgement]:
    image = parse(path.read_bytes(), path.name)
    code = decode_image(image)
    level = baseline_of(image.machine)
    assert level is not None
    found = guard.judge(image, code, code.marks_above(level), detected_elsewhere=False, steps=steps)
    return {image.label(judgement.function): judgement for judgement in found}


def without_offsets(text: str) -> str:
    """*text* without what each compiler places elsewhere."""
    return re.sub(r"\+0x[0-9a-f]+", "+N", text)


EARLY_HINT = (
    "a smaller file may be decided: link what dispatches into a module of its own; or show that it runs with "
    "`baseline-build run`, or waive this function and these features with a reason"
)


def test_the_ground_says_that_the_steps_were_used_up(tmp_path: Path) -> None:
    path = TARGETS["x86"].compiled(tmp_path, "cached", "good", Build("gcc", "-O2", "pie"))
    found = judged_early(path, 40)["fast"]
    assert found.verdict is Verdict.UNPROVEN
    assert without_offsets(found.ground) == (
        "the analysis ended before it was decided: its budget of 40 steps for one file is used up after 0 functions; "
        "as far as it came, dispatch+N leads here after no test for avx2 that could be followed "
        "(a flag in a small structure is not)"
    )
    assert found.hint == EARLY_HINT


def test_the_ground_names_functions_that_are_too_long(tmp_path: Path) -> None:
    """A function that asks the CPU and then takes thousands of turns, each of which may lead to the next."""
    source, program = tmp_path / "long.c", tmp_path / "long"
    turns = "".join(f"    if (work[{n}] & 1) kept[{n % 256}] = {n}; else work[{n}]++;\n" for n in range(1000))
    source.write_text(
        "volatile int work[1000]; typedef int vector __attribute__((vector_size(32))); vector sum;\n"
        '__attribute__((target("avx2"), noinline)) void fast(void) { sum += sum; }\n'
        'int main(void) {\n  volatile int kept[256] = {0}; int can = __builtin_cpu_supports("avx2");\n'
        f"  do {{\n{turns}  }} while (kept[0]);\n  if (can) fast();\n  return 0;\n}}\n"
    )
    subprocess.run([require_tool("gcc"), "-O1", "-w", str(source), "-o", str(program)], check=True)
    found = judged_early(program, TOTAL_STEPS)["fast"]
    assert found.verdict is Verdict.UNPROVEN
    assert without_offsets(found.ground) == (
        "too long to follow: main; as far as it came, main+N leads here after no test for avx2 that could be followed "
        "(a flag in a small structure is not)"
    )
    assert found.hint == EARLY_HINT
