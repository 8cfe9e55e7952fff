"""Unmodified cibuildwheel on local images: the example project, and the trap of AlmaLinux 9 based images."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from tests.checkout import copy_checkout
from tests.cibuildwheel.copies import extension_alone
from tests.cibuildwheel.images import Image, Workshop
from tests.conftest import ROOT

pytestmark = pytest.mark.cibuildwheel

PYPY_IMAGE = Image("trixie")
OLD_IMAGE = Image("bullseye")
TRAP_IMAGE = Image("bookworm", trap=True)


def step_seconds(output: str) -> Dict[str, List[float]]:
    """Seconds of each of cibuildwheel's steps, by the step's title, in order of appearance."""
    steps: Dict[str, List[float]] = {}
    title = ""
    for line in output.splitlines():
        if re.match(r"[A-Z][\w ]+\.\.\.$", line):
            title = line.strip(" .")
        took = re.search(r"✓ ([0-9.]+)s", line)
        if took and title:
            steps.setdefault(title, []).append(float(took.group(1)))
    return steps


def scan(wheel: Path) -> Tuple[int, str]:
    command = [sys.executable, "-m", "baseline_build", "scan", str(wheel)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


def test_example_project_on_every_interpreter(workshop: Workshop, tool: Path, tmp_path: Path) -> None:
    """From CPython 3.9 to 3.13, as many as Debian and this machine have, and PyPy, in one run; one program for all."""
    project = copy_checkout(tmp_path / "project")
    out = tmp_path / "wheelhouse"
    result = workshop.cibuildwheel(tool, PYPY_IMAGE, project, out, PYPY_IMAGE.pythons, {})
    (workshop.home / "example.log").write_text(result.stdout)
    assert result.returncode == 0, result.stdout[-6000:]
    tags = sorted(wheel.name.split("-")[2] for wheel in out.glob("*.whl"))
    assert tags == ["cp39", "pp311"]  # the CPython wheel is abi3, good for 3.9 and newer
    for wheel in out.glob("*.whl"):
        assert "manylinux" in wheel.name
        status, text = scan(wheel)
        assert status == 0, text
    print(f"tested on {', '.join(PYPY_IMAGE.pythons)}")
    assert result.stdout.count("a buffer was written and read") == len(PYPY_IMAGE.pythons)
    first, second = step_seconds(result.stdout)["Building wheel"]
    print(f"first interpreter {first:.1f} s, second {second:.1f} s: {second / first:.0%}")
    calls = [int(number) for number in re.findall(r"compile log: (\d+) compiler calls", result.stdout)]
    assert calls[1] < calls[0] / 4, "the second interpreter compiled flatc again"
    assert second <= 0.15 * first


def test_the_oldest_python_on_the_oldest_image(workshop: Workshop, tool: Path, tmp_path: Path) -> None:
    project = copy_checkout(tmp_path / "project")
    settings = extension_alone(project)
    out = tmp_path / "wheelhouse"
    result = workshop.cibuildwheel(tool, OLD_IMAGE, project, out, OLD_IMAGE.pythons, settings)
    (workshop.home / "oldest.log").write_text(result.stdout)
    assert result.returncode == 0, result.stdout[-6000:]
    (wheel,) = out.glob("*.whl")
    oldest = re.search(r"-cp39-abi3-.*manylinux_2_(\d+)_x86_64\.whl", wheel.name)
    assert oldest is not None
    assert int(oldest[1]) <= 31
    status, text = scan(wheel)
    assert status == 0, text


PROGRAM = {
    "pyproject.toml": """
        [build-system]
        requires = ["setuptools>=77"]
        build-backend = "setuptools.build_meta"
        [project]
        name = "marked"
        version = "1"
        [tool.setuptools]
        packages = ["marked"]
    """,
    "setup.py": """
        import subprocess
        from setuptools import Distribution, setup
        from setuptools.command.build_py import build_py

        class Build(build_py):
            def run(self):
                super().run()
                flags = ["-O2", "-march=x86-64", "-no-pie"]
                subprocess.run(["gcc", *flags, "hello.c", "-o", self.build_lib + "/marked/hello"], check=True)

        class Binary(Distribution):
            def has_ext_modules(self):
                return True

        setup(cmdclass={"build_py": Build}, distclass=Binary)
    """,
    "hello.c": """
        #include <stdio.h>
        int main(void) { puts("hello"); return 0; }
    """,
    "marked/__init__.py": "",
}


def test_trap_plain_auditwheel_refuses_and_ours_delivers(workshop: Workshop, tool: Path, tmp_path: Path) -> None:
    project = tmp_path / "marked-project"
    for name, text in PROGRAM.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
    copy_checkout(project, "baseline_build")
    builds = TRAP_IMAGE.pythons
    plain = {"CIBW_REPAIR_WHEEL_COMMAND_LINUX": "auditwheel repair -w {dest_dir} {wheel}"}
    refused = workshop.cibuildwheel(tool, TRAP_IMAGE, project, tmp_path / "plain", builds, plain)
    assert refused.returncode != 0
    assert "unsupported ISA extensions" in refused.stdout, refused.stdout[-4000:]

    ours = {
        "CIBW_BEFORE_BUILD": "python -m pip install {project}/baseline_build",
        "CIBW_REPAIR_WHEEL_COMMAND_LINUX": "baseline-build repair -w {dest_dir} {wheel}",
        "CIBW_TEST_COMMAND": "$(python -c 'import marked; print(marked.__path__[0])')/hello",
    }
    delivered = workshop.cibuildwheel(tool, TRAP_IMAGE, project, tmp_path / "ours", builds, ours)
    assert delivered.returncode == 0, delivered.stdout[-6000:]
    (wheel,) = (tmp_path / "ours").glob("*.whl")
    status, text = scan(wheel)
    assert status == 0, text
