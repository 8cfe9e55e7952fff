"""Runs the suite of the example package where the package is installed, never on the source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Dict

import pytest

from tests.tools import missing

SUITE = Path(__file__).with_name("suite")

# The suite is copied and run by the interpreter under test; see test_installed.py.
collect_ignore = ["suite"]


@dataclass(frozen=True)
class Outcome:
    """What one run of the suite gave: the state of each test by name, and the output."""

    status: int
    tests: Dict[str, str]
    output: str


def run_suite(python: Path, folder: Path, *arguments: str) -> Outcome:
    """Run a copy of the suite in *folder* with *python*, which has the package and what the tests need."""
    shutil.copytree(SUITE, folder / "suite", ignore=shutil.ignore_patterns("__pycache__"))
    report = folder / "report.xml"
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments, "."]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    environ["PYTHONDONTWRITEBYTECODE"] = "1"
    result = subprocess.run(command, cwd=folder / "suite", env=environ, capture_output=True, text=True, check=False)
    tests = {}
    if report.is_file():
        for case in ET.parse(report).iter("testcase"):
            bad = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
            tests[f"{case.get('classname')}::{case.get('name')}"] = bad[0] if bad else "passed"
    return Outcome(result.returncode, tests, result.stdout + result.stderr)


NEEDS = ("pytest>=8", "hypothesis", "lmdb>=1.6", "cffi>=1.17; platform_python_implementation != 'PyPy'")


def install(python: Path, wheel: str) -> None:
    """Put *wheel* and what the suite needs into the environment of *python*.

    An index that is not there ends the test; a wheel that cannot be installed fails it.
    """
    pip = [str(python), "-m", "pip"]
    result = subprocess.run([*pip, "install", "-q", *NEEDS], capture_output=True, text=True, check=False)
    if result.returncode:
        missing(f"pip cannot install {', '.join(NEEDS)}: {result.stderr[-800:]}")
    for command in ([*pip, "install", "-q", "--no-deps", wheel], [*pip, "check"]):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="session")
def equipped(example_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of this version with the example wheel and the tests' own needs."""
    home = tmp_path_factory.mktemp("equipped") / "venv"
    venv.create(home, with_pip=True, symlinks=True)
    python = home / "bin" / "python"
    install(python, str(example_wheel))
    return python


@pytest.fixture(scope="session")
def outcome(equipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The whole suite, once, in that environment."""
    return run_suite(equipped, tmp_path_factory.mktemp("suite"))
