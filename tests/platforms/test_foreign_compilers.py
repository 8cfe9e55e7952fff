"""CC that is a cross toolchain of its own, as Yocto and Buildroot set it: its target decides, nothing is guessed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Dict

import pytest

from tests.tools import require_tool

from .building import ROOT

pytestmark = pytest.mark.build

PROJECT = {
    "pyproject.toml": """
[build-system]
requires = []
build-backend = "baseline_build"
[project]
name = "tiny"
version = "1"
[tool.setuptools]
packages = ["tiny"]
[[tool.setuptools.ext-modules]]
name = "tiny._sums"
sources = ["tiny/sums.c"]
extra-compile-args = ["-O3", "-march=armv8.2-a+sve+fp16"]
[[tool.baseline-build.executables]]
name = "hello"
source = "hello"
destination = "tiny"
""",
    "tiny/__init__.py": "",
    "tiny/sums.c": """
#include <Python.h>
void add(float *restrict a, const float *restrict b, int n) { for (int i = 0; i < n; i++) a[i] += b[i]; }
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_sums", NULL, -1, NULL};
PyMODINIT_FUNC PyInit__sums(void) { return PyModule_Create(&module); }
""",
    "hello/CMakeLists.txt": """
cmake_minimum_required(VERSION 3.16)
project(hello C)
add_executable(hello hello.c)
""",
    "hello/hello.c": '#include <stdio.h>\nint main(void) { puts("hello from afar"); return 0; }\n',
}


def foreign(**more: str) -> Dict[str, str]:
    """What a Yocto or Buildroot recipe exports: compilers with options, CPython's words for the platform."""
    gcc = require_tool("aarch64-linux-gnu-gcc")
    return {
        "CC": f"{gcc} -march=armv8-a -fstack-protector-strong",
        "CXX": f"{require_tool('aarch64-linux-gnu-g++')} -march=armv8-a",
        "LDSHARED": f"{gcc} -march=armv8-a -shared",
        "_PYTHON_HOST_PLATFORM": "linux-aarch64",
        "SETUPTOOLS_EXT_SUFFIX": ".cpython-311-aarch64-linux-gnu.so",
        **more,
    }


def build(folder: Path, environ: Dict[str, str], **settings: str) -> subprocess.CompletedProcess[str]:
    for name, content in PROJECT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "dist").mkdir()
    # Such an environment has the target's headers; Debian's Python would otherwise look for those of its packages.
    general = Path(sysconfig.get_paths()["include"])
    own = general.parent / str(sysconfig.get_config_var("MULTIARCH")) / general.name / "pyconfig.h"
    if own.is_file():
        headers = folder / "headers" / "aarch64-linux-gnu" / general.name
        headers.mkdir(parents=True)
        shutil.copy(own, headers)
        environ = {**environ, "CPATH": str(folder / "headers")}
    script = (
        "import sys; from baseline_build import build_wheel\n"
        "build_wheel('dist', dict(a.split('=', 1) for a in sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", script, *(f"{key}={value}" for key, value in settings.items())]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "BASELINE_BUILD_CACHE": "off", **environ}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_its_own_target_decides(tmp_path: Path) -> None:
    done = build(tmp_path, foreign())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "removed -march=armv8.2-a+sve+fp16" in done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel.name.endswith("-linux_aarch64.whl")
    with zipfile.ZipFile(wheel) as archive:
        natives = {name: archive.read(name) for name in archive.namelist() if archive.read(name)[:4] == b"\x7fELF"}
    assert sorted(natives) == ["tiny/_sums.cpython-311-aarch64-linux-gnu.so", "tiny/hello"]
    assert {int.from_bytes(content[18:20], "little") for content in natives.values()} == {183}
    command = [sys.executable, "-m", "baseline_build", "scan", "--strict", str(wheel)]
    scanned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert scanned.returncode == 0, scanned.stdout


@pytest.mark.parametrize(
    ("more", "settings", "code"),
    [
        ({"_PYTHON_HOST_PLATFORM": "linux-x86_64"}, {}, "BB683"),  # compiler against tag
        ({}, {"target": "x86_64-linux-gnu"}, "BB683"),  # target against compiler
        ({"CXX": "x86_64-linux-gnu-g++"}, {"target": "aarch64-linux-gnu"}, "BB683"),  # compiler against compiler
    ],
)
def test_what_does_not_fit_together_is_an_error(
    tmp_path: Path, more: Dict[str, str], settings: Dict[str, str], code: str
) -> None:
    done = build(tmp_path, foreign(**more), **settings)
    assert done.returncode != 0
    assert code in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "dist").iterdir()) == []
