"""What the surroundings refuse, and the one message it gets: exact text, exact exit status."""

from __future__ import annotations

import venv
from pathlib import Path

import pytest

from tests.repair.wheels import compile_file, make_wheel, x86_only
from tests.tools import bare_needs

from .conftest import ROOT, Call


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with an extension that any CPU runs."""
    x86_only()
    module = compile_file(tmp_path / "_x.so", "int x;\n", "-shared", "-fPIC", "-Wl,--no-as-needed", "-lc")
    return make_wheel(tmp_path, {"thing/_x.so": module})


def test_folder_below_a_file(baseline: Call, wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("a file\n", encoding="utf-8")
    said = baseline("repair", str(wheel), "-w", "notes/wheelhouse")
    assert said.status == 4
    assert said.err.endswith(
        "BB480: notes/wheelhouse: a part of this path is a file, not a folder\n  fix: name a path below a folder\n"
    )


def test_working_folder_is_gone(baseline: Call, wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    leave = ("sh", "-c", 'cd gone && rmdir ../gone && exec "$@"', "sh")
    said = baseline("repair", str(wheel), "-w", "wheelhouse", prefix=leave)
    assert said.status == 4
    assert said.err.endswith("BB480: wheelhouse: there is no such file\n  fix: check the spelling of the path\n")


def test_no_pip_to_fetch_with(baseline: Call, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    needed = bare_needs(tmp_path / "needed")
    # env starts the bare interpreter in place of the one that runs the tests.
    bare = ("sh", "-c", f'shift; exec "{tmp_path}/bare/bin/python" "$@"', "sh")
    environ = {"PATH": str(tmp_path / "bare" / "bin") + ":/usr/lib/none", "PYTHONPATH": f"{ROOT}:{needed}"}
    said = baseline("scan", "numpy==2.4.6", prefix=("/bin/sh", *bare[1:]), environ=environ)
    assert said.status == 5
    assert said.err == (
        "BB256: numpy==2.4.6: pip is not installed, and it is what fetches wheels\n"
        "  fix: install pip, or fetch the wheel yourself and name the file\n"
    )


def test_every_code_stands_in_some_test() -> None:
    codes = {path.stem for path in (ROOT / "baseline_build" / "codes").glob("BB*.txt")}
    assert len(codes) > 100
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    assert sorted(code for code in codes if code not in text) == []
