"""A waiver names a function: it still counts in the stripped wheel, and in the repaired one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable, List

import pytest

from baseline_build.cli import main
from baseline_build.scan import Verdict, scan_path
from tests.tools import require_tool

from .conftest import Project, unpacked

Copy = Callable[[str], Project]
pytestmark = pytest.mark.build


def names(file: Path) -> List[str]:
    told = subprocess.run([require_tool("nm"), str(file)], capture_output=True, text=True, check=True)
    return [line.split()[-1] for line in told.stdout.splitlines()]


def test_the_names_that_waivers_need_stay(project: Copy, tmp_path: Path) -> None:
    one = project("waived")
    wheel = one.wheel()
    module = next(path for path in unpacked(wheel, tmp_path / "out") if path.suffix == ".so")
    assert names(module) == ["sum_avx2"]
    assert scan_path(wheel).verdict is Verdict.UNPROVEN


def test_repair_keeps_to_the_projects_waivers(
    project: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = project("waived")
    wheel = str(one.wheel())
    out = tmp_path / "wheelhouse"
    assert main(["repair", "-w", str(out), wheel]) == 3
    assert "sum_avx2" in capsys.readouterr().err
    assert main(["repair", "--project", str(one.path), "-w", str(out), wheel]) == 0
    (repaired,) = out.iterdir()
    assert "manylinux" in repaired.name
    assert main(["scan", "--project", str(one.path), str(repaired)]) == 0
    assert "the capsule's flag is set from cpuid in make()" in capsys.readouterr().out


def test_a_stripped_name_waives_nothing(project: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = project("waived")
    wheel = one.wheel()
    module = next(path for path in unpacked(wheel, tmp_path / "out") if path.suffix == ".so")
    subprocess.run([require_tool("strip"), "--strip-all", str(module)], check=True)
    assert main(["scan", "--project", str(one.path), str(module)]) == 2
    assert "is gone, renamed, stripped of its name, now proven" in capsys.readouterr().err
