"""The example project's wheel through a repair: accepted by everybody, the same twice, alive on the oldest CPU."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from baseline_build import reproduce
from baseline_build.repair import RepairOptions, repair_wheel
from tests.conftest import ROOT
from tests.tools import missing, require_tool

from .wheels import x86_only

pytestmark = pytest.mark.build
PROOF = """
import os, subprocess, sys, tempfile
import example_pkg.lmdb as lmdb
with tempfile.TemporaryDirectory() as folder:
    with lmdb.open(folder) as environment:
        with environment.begin(write=True) as transaction:
            transaction.put(b"key", b"value")
        with environment.begin() as transaction:
            assert transaction.get(b"key") == b"value"
assert b"flatc version" in subprocess.check_output(["flatc", "--version"])
"""


@pytest.fixture(scope="session")
def repaired(example_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    x86_only()
    return repair_wheel(example_wheel, tmp_path_factory.mktemp("wheelhouse")).wheel


def test_it_gets_a_portable_tag(repaired: Path, example_wheel: Path) -> None:
    assert "linux_x86_64" in example_wheel.name
    assert "manylinux" in repaired.name


@pytest.mark.parametrize(
    "checker",
    [["twine", "check", "--strict"], ["check_wheel_contents"], ["abi3audit", "--strict"]],
    ids=["twine", "check-wheel-contents", "abi3audit"],
)
def test_other_tools_accept_it(repaired: Path, checker: List[str]) -> None:
    if importlib.util.find_spec(checker[0]) is None:
        missing(f"{checker[0]} is not installed")
    done = subprocess.run([sys.executable, "-m", *checker, str(repaired)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_the_same_twice(repaired: Path, example_wheel: Path, tmp_path: Path) -> None:
    assert repair_wheel(example_wheel, tmp_path).wheel.read_bytes() == repaired.read_bytes()


@pytest.mark.long
def test_it_is_the_same_from_two_folders_and_an_hour_apart(tmp_path: Path) -> None:
    """Wheel, sdist and repaired wheel; everything is compiled twice."""
    x86_only()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    made, differences = reproduce.build_twice(ROOT, scratch)
    assert differences == ()
    assert {path.suffix for path in made} == {".whl", ".gz"}
    wheels = sorted(scratch.glob("*/out/*.whl"))
    assert len(wheels) == 2
    repaired = [repair_wheel(wheel, tmp_path / str(number)).wheel for number, wheel in enumerate(wheels)]
    assert repaired[0].name == repaired[1].name
    assert repaired[0].read_bytes() == repaired[1].read_bytes()


def test_it_lives_on_the_oldest_cpu(example_wheel: Path, tmp_path: Path) -> None:
    require_tool("qemu-x86_64", "qemu-x86_64-static")
    result = repair_wheel(example_wheel, tmp_path, RepairOptions(prove=("python", "-c", PROOF)))
    assert result.notes == ("this emulator cannot trap: lzcnt and tzcnt (run as bsr and bsf), fisttp, prefetchw",)
