"""What the analysis costs: results that still hold are taken again, and that changes no judgement."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Tuple

import pytest

from baseline_build.elf import parse
from baseline_build.scan.code import decode_image
from baseline_build.scan.guard import recall
from baseline_build.scan.guard.discovery import Discovery
from baseline_build.scan.guard.program import Program
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
    assert 3 * used < budget


@pytest.mark.parametrize("name", ["cached", "structure"])
@pytest.mark.parametrize("twin", ["good", "lower"])
def test_recalling_changes_no_judgement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, twin: str) -> None:
    path = TARGETS["x86"].compiled(tmp_path, name, twin, Build("gcc", "-O2", "pie"))
    recalled = judged(path)
    monkeypatch.setattr(recall, "_VARIANTS", 0)
    assert recalled == judged(path)
