"""Builds that go on without their native parts, or without a compiler."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

from tests.tools import require_tool

from .conftest import Project, members, unpacked

Copy = Callable[[str], Project]
KERNELS = '[{ sources = ["*_avx2.c"], level = "x86-64-v3", reason = "sum.c asks for AVX2 before it calls them" }]'


@pytest.fixture(autouse=True)
def _x86_only() -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the kernels are x86-64's")


def settings(project: Project, text: str) -> None:
    with (project.path / "pyproject.toml").open("a", encoding="utf-8") as stream:
        stream.write(f"\n[tool.baseline-build]\n{text}\n")


def test_an_extension_that_vanished_is_an_error(project: Copy) -> None:
    one = project("optional")
    settings(one, "strict = false")
    outcome = one.refused()
    assert "BB608" in outcome.err
    assert "sum_avx2.c without -mavx2" in outcome.err
    assert "kernels" in outcome.err


def test_an_extension_that_the_assembler_refused_is_one_too(project: Copy) -> None:
    one = project("optional")
    source = one.path / "sum_avx2.c"
    source.write_text(source.read_text().replace("int sum", '__attribute__((target("avx2"))) int sum'))
    settings(one, "strict = true")
    outcome = one.refused()
    assert "BB608" in outcome.err
    assert "sum_avx2.c" in outcome.err


def test_declared_as_kernels_they_come_out_and_are_proven_guarded(project: Copy, tmp_path: Path) -> None:
    one = project("optional")
    settings(one, f"strict = false\nkernels = {KERNELS}")
    wheel = one.wheel()
    assert any(name.startswith("optional/_sum") for name in members(wheel))
    from baseline_build.scan import scan_path

    report = scan_path(wheel)
    assert report.verdict.value == "guarded"
    files = [path for path in unpacked(wheel, tmp_path / "unpacked") if path.suffix == ".so"]
    assert len(files) == 1


def test_kernels_that_are_called_without_a_test_are_refused(project: Copy) -> None:
    one = project("optional")
    source = one.path / "sum.c"
    source.write_text(source.read_text().replace('__builtin_cpu_supports("avx2")', "self"))
    settings(one, f"strict = false\nkernels = {KERNELS}")
    outcome = one.refused()
    assert "sum_avx2" in outcome.err
    assert "does not keep its promise" in outcome.err


def test_where_native_code_is_left_it_is_a_warning(project: Copy) -> None:
    one = project("optional")
    setup = one.path / "setup.py"
    plain = 'Extension("optional._more", ["more.c"])'
    setup.write_text(setup.read_text().replace("[kernel]", f"[kernel, {plain}]"))
    code = (one.path / "sum.c").read_text().replace("_sum", "_more").replace("sum_avx2(numbers)", "0")
    (one.path / "more.c").write_text(code)
    settings(one, "strict = false")
    outcome = one.call("build_wheel", str(one.output))
    assert outcome.status == 0, outcome.err
    assert "warning BB608" in outcome.err


def test_no_compiler_for_a_wrapped_backend_is_one_message(project: Copy, tmp_path: Path) -> None:
    folder = tmp_path / "tools"
    folder.mkdir()
    for tool in ("sh", "meson", "ninja"):
        (folder / tool).symlink_to(require_tool(tool))
    outcome = project("meson").refused(PATH=str(folder))
    assert outcome.status == 5
    assert "BB705" in outcome.err


def test_an_editable_install_is_verified(project: Copy) -> None:
    one = project("attribute")
    settings(one, "strict = false")
    outcome = one.call("build_editable", str(one.output))
    assert outcome.status == 1
    assert "needs avx" in outcome.err
    assert list(one.output.iterdir()) == []


def test_what_an_earlier_build_left_counts_for_an_editable_install(project: Copy) -> None:
    one = project("extension")
    foreign = project("attribute")
    plain = "from setuptools import build_meta; build_meta.build_editable('.')"

    subprocess.run([sys.executable, "-c", plain], cwd=foreign.path, check=True, capture_output=True)
    (built,) = foreign.path.glob("attribute_module*.so")
    for folder, status in ((one.path / ".cache", 0), (one.path / "left", 1)):
        folder.mkdir()
        (folder / built.name).write_bytes(built.read_bytes())
        os.utime(folder / built.name, (1, 1))
        outcome = one.call("build_editable", str(one.output))
        assert outcome.status == status, outcome.err
    assert "attribute_module" in outcome.err


def test_what_lies_in_a_package_counts_for_an_editable_install(project: Copy) -> None:
    """A program or a library with a version in its name that somebody put there is run from there."""
    one = project("extension")
    package = one.path / "tools"
    program = package / "data" / "libwide.so.1"
    program.parent.mkdir(parents=True)
    line = ["gcc", "-shared", "-fPIC", "-O3", "-mavx2", "-x", "c", "-", "-o", str(program)]
    text = "void f(int *a) { for (int i = 0; i < 64; i++) a[i] *= 3; }"
    subprocess.run([require_tool(line[0]), *line[1:]], input=text, text=True, check=True)
    os.utime(program, (1, 1))
    assert one.call("build_editable", str(one.output)).status == 0
    (package / "__init__.py").touch()
    outcome = one.call("build_editable", str(one.output))
    assert outcome.status == 1
    assert "libwide.so.1: f" in outcome.err


def test_a_build_that_ends_for_want_of_an_option_says_so(project: Copy) -> None:
    one = project("optional")
    setup = one.path / "setup.py"
    setup.write_text(setup.read_text().replace(", optional=True", ""))
    settings(one, "strict = false")
    outcome = one.refused()
    assert "BB609" in outcome.err
    assert re.search(r"the build failed where options had been taken off: \S+ sum_avx2\.c without -mavx2", outcome.err)
    assert "kernels" in outcome.err


def test_a_build_that_ends_for_another_reason_is_not_blamed_on_options(project: Copy) -> None:
    one = project("optional")
    setup = one.path / "setup.py"
    setup.write_text(setup.read_text() + "\nraise RuntimeError('no luck')\n")
    settings(one, f"strict = false\nkernels = {KERNELS}")
    outcome = one.refused()
    assert "BB609" not in outcome.err
    assert "BB706: setuptools.build_meta: the wrapped backend failed: RuntimeError: no luck" in outcome.err
