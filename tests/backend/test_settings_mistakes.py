"""Settings that name what is not there, and the one message each gets: exact text, no wheel, no traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable, Tuple

import pytest

from baseline_build.artifacts.reporter import reporting
from baseline_build.artifacts.running import run_tool
from baseline_build.errors import ToolError

from .conftest import Project
from .test_mistakes import message

Copy = Callable[[str], Project]
DATA = '\n[[tool.baseline-build.data]]\nfrom = "{}"\nto = "{}"\n'


def add(one: Project, text: str) -> None:
    with (one.path / "pyproject.toml").open("a", encoding="utf-8") as stream:
        stream.write(text)


NAMES = {
    "nothing there": (
        ("nowhere", "data"),
        (
            "BB711: data: from = 'nowhere': names no file\n"
            "  why: the file or folder is not there, or include and exclude leave nothing of it\n"
            "  fix: write a path relative to the project, as it is after the sources were fetched\n"
        ),
    ),
    "out of the project": (
        ("../secret", "data"),
        "BB711: from = '../secret': leads out of the project\n  fix: name a place within the project\n",
    ),
    "out of the wheel": (
        ("pyproject.toml", "../../etc"),
        "BB711: to = '../../etc': leads out of the wheel\n  fix: name a place relative to the wheel's root\n",
    ),
}


@pytest.mark.parametrize("case", NAMES)
def test_data_that_names(project: Copy, case: str) -> None:
    names, expected = NAMES[case]
    one = project("extension")
    (one.path.parent / "secret").write_text("not of the project\n", encoding="utf-8")
    add(one, DATA.format(*names))
    outcome = one.refused()
    assert outcome.status == 2
    assert message(outcome.err) == expected


def test_cffi_module_that_is_not_there(project: Copy) -> None:
    one = project("extension")
    add(one, '\n[tool.baseline-build]\ncffi-modules = ["build_it.py:ffi"]\n')
    outcome = one.refused()
    if sys.implementation.name != "pypy":
        pytest.importorskip("cffi")
    assert outcome.status == 2
    assert message(outcome.err) == (
        "BB712: cffi-modules: 'build_it.py:ffi': names a file that is not there\n  fix: create build_it.py\n"
    )


def test_cffi_is_not_installed(project: Copy) -> None:
    one = project("extension")
    add(one, '\n[tool.baseline-build]\ncffi-modules = ["build_it.py:ffi"]\n')
    # An import that fails, as where nothing of the name is installed.
    (one.path / "cffi.py").write_text("raise ImportError('no cffi')\n", encoding="utf-8")
    outcome = one.refused(PYTHONPATH=str(one.path))
    assert outcome.status == 2
    assert message(outcome.err) == (
        "BB712: cffi-modules are set, but cffi is not installed\n"
        "  fix: add \"cffi>=1.17; platform_python_implementation != 'PyPy'\" to build-system.requires\n"
    )


def test_wrapped_backend_without_the_hook(project: Copy) -> None:
    one = project("extension")
    add(one, '\n[tool.baseline-build]\nbackend = "plain_backend"\n')
    (one.path / "plain_backend.py").write_text(
        "def build_sdist(folder, config_settings=None):\n    return 'nothing.tar.gz'\n", encoding="utf-8"
    )
    outcome = one.refused()
    assert outcome.status == 2
    assert message(outcome.err) == (
        "BB714: the wrapped backend plain_backend has no build_wheel\n"
        "  fix: use a frontend or a command that does without, or another backend\n"
    )


@pytest.fixture
def program(tmp_path: Path) -> Tuple[Path, Path]:
    """A file that is not executable, and one that names an interpreter that is not there."""
    plain, lost = tmp_path / "plain", tmp_path / "lost"
    plain.write_text("#!/bin/sh\n", encoding="utf-8")
    lost.write_text("#!/nowhere/interpreter\n", encoding="utf-8")
    lost.chmod(0o755)
    return plain, lost


@pytest.mark.parametrize(
    ("index", "rest"),
    [
        (0, "Permission denied\n  fix: make it executable, or name another program"),
        (1, "No such file or directory\n  fix: install the program, or the interpreter that its first line names"),
    ],
)
def test_program_that_cannot_be_started(tmp_path: Path, program: Tuple[Path, Path], index: int, rest: str) -> None:
    with reporting({}, verbose=False) as reporter, pytest.raises(ToolError) as caught:
        run_tool([str(program[index]), "--version"], log=tmp_path / "log", reporter=reporter)
    assert str(caught.value) == f"BB701: {program[index]}: cannot be started: {rest}"
    assert (tmp_path / "log").read_text(encoding="utf-8") == f"$ {program[index]} --version\n"
