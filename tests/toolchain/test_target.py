"""Targets: what they are, what they change, and real builds for them with cross gcc and zig."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Dict, Tuple

import pytest

from baseline_build import elf
from baseline_build.errors import BaselineBuildError, ConfigError, ToolError
from baseline_build.toolchain.target import crossing, read_target, require_machines, variables, wrong_machines
from baseline_build.toolchain.unwinder import make_unwinder
from baseline_build.toolchain.zig import find_zig
from tests.tools import missing, require_tool

ROOT = Path(__file__).resolve().parents[2]

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
name = "tiny._plain"
sources = ["tiny/plain.c"]
extra-compile-args = ["-march=native"]
[tool.baseline-build]
cffi-modules = ["tiny/build.py:ffibuilder"]
[[tool.baseline-build.executables]]
name = "hello"
source = "hello"
destination = "tiny"
""",
    "tiny/__init__.py": "",
    "tiny/plain.c": """
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_plain", NULL, -1, NULL};
PyMODINIT_FUNC PyInit__plain(void) { return getenv("NOTHING") ? NULL : PyModule_Create(&module); }
""",
    "tiny/build.py": """
import cffi
ffibuilder = cffi.FFI()
ffibuilder.cdef("size_t strlen(const char *);")
ffibuilder.set_source("tiny._one", "#include <string.h>")
""",
    "hello/CMakeLists.txt": """
cmake_minimum_required(VERSION 3.16)
project(hello C)
set(CMAKE_C_FLAGS "${CMAKE_C_FLAGS} -march=native")
add_executable(hello hello.c)
""",
    "hello/hello.c": '#include <stdio.h>\nint main(void) { puts("hello from afar"); return 0; }\n',
}


@pytest.mark.parametrize(
    ("text", "toolchain", "machine", "zig", "tag"),
    [
        ("aarch64-linux-gnu", "system", "aarch64", "aarch64-linux-gnu", "aarch64"),
        ("aarch64-unknown-linux-gnu", "system", "aarch64", "aarch64-linux-gnu", "aarch64"),
        ("x86_64-linux-gnu.2.17", "zig", "x86_64", "x86_64-linux-gnu.2.17", "x86_64"),
        ("x86_64-linux-musl", "zig", "x86_64", "x86_64-linux-musl", "x86_64"),
        ("powerpc64le-linux-gnu", "system", "powerpc64le", "powerpc64le-linux-gnu", "ppc64le"),
    ],
)
def test_targets(text: str, toolchain: str, machine: str, zig: str, tag: str) -> None:
    target = read_target(text, toolchain)
    assert target is not None
    assert (target.machine, target.zig_target, target.tag_machine) == (machine, zig, tag)


def test_no_target() -> None:
    assert read_target("", "system") is None
    own = read_target("", "zig")
    assert own is not None
    assert own.tag_machine == sysconfig.get_platform().rpartition("-")[2]


@pytest.mark.parametrize(
    ("text", "toolchain"),
    [
        ("aarch64", "system"),
        ("arm64-apple-darwin", "system"),
        ("aarch64-linux-gnu.2.17", "system"),
        ("aarch64-linux-gnu.2.", "zig"),
        ("i686-linux-gnu", "system"),
        ("s390x-linux-gnu", "system"),
        ("z80-linux-gnu", "zig"),
        ("aarch64-linux-gnu;rm", "zig"),
    ],
)
def test_what_is_no_target_here(text: str, toolchain: str) -> None:
    with pytest.raises(ConfigError, match="BB680"):
        read_target(text, toolchain)


def test_the_suffix_is_the_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    target = read_target("aarch64-linux-musl", "zig")
    assert target is not None
    for own, theirs in (
        (".cpython-311-x86_64-linux-gnu.so", ".cpython-311-aarch64-linux-musl.so"),
        (".pypy39-pp73-x86_64-linux-gnu.so", ".pypy39-pp73-aarch64-linux-musl.so"),
        (".cpython-313t-x86_64-linux-gnu.so", ".cpython-313t-aarch64-linux-musl.so"),
    ):
        monkeypatch.setattr(sysconfig, "get_config_var", lambda name, own=own: own if name == "EXT_SUFFIX" else None)
        assert target.extension_suffix == theirs


def test_variables_are_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_tool("aarch64-linux-gnu-gcc")
    monkeypatch.setenv("LDSHARED", "before")
    monkeypatch.delenv("CC", raising=False)
    before = dict(os.environ)
    with crossing(read_target("aarch64-linux-gnu", "system"), tmp_path, cplusplus=False):
        assert os.environ["CC"] == "aarch64-linux-gnu-gcc"
        assert sysconfig.get_platform() == "linux-aarch64"
    assert dict(os.environ) == before


def test_a_compiler_for_another_machine(tmp_path: Path) -> None:
    target = read_target("aarch64-linux-gnu", "system")
    assert target is not None
    with pytest.raises(BaselineBuildError, match=r"BB683: CC: .*compiles for x86_64"):
        variables(target, tmp_path, {**os.environ, "CC": require_tool("x86_64-linux-gnu-gcc")}, cplusplus=False)


def test_a_compiler_that_is_missing(tmp_path: Path) -> None:
    target = read_target("loongarch64-linux-gnu", "system")
    assert target is not None
    with pytest.raises(BaselineBuildError, match=r"BB681.*loongarch64-linux-gnu-gcc is not on PATH"):
        variables(target, tmp_path, {"PATH": os.environ["PATH"]}, cplusplus=False)


def test_tags_and_machines() -> None:
    require_machines("manylinux_2_17_aarch64.manylinux2014_aarch64", {"a.so": "aarch64"})
    require_machines("linux_riscv64", {"a.so": "riscv64"})
    assert wrong_machines("linux_x86_64", {"a.so": "aarch64", "b.so": "x86-64"}) == ("a.so is for aarch64",)
    with pytest.raises(BaselineBuildError, match="BB684"):
        require_machines("linux_x86_64", {"a.so": "aarch64"})


def _project(folder: Path) -> Path:
    for name, content in PROJECT.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def _build(folder: Path, settings: Dict[str, str], **environ: str) -> subprocess.CompletedProcess[str]:
    script = (
        "import sys; from baseline_build import build_wheel\n"
        "print('WHEEL', build_wheel(sys.argv[1], dict(a.split('=', 1) for a in sys.argv[2:])))\n"
    )
    (folder / "dist").mkdir()
    command = [sys.executable, "-c", script, "dist", *(f"{key}={value}" for key, value in settings.items())]
    variables_ = {**os.environ, "PYTHONPATH": str(ROOT), "BASELINE_BUILD_CACHE": "off", **environ}
    return subprocess.run(command, cwd=folder, env=variables_, capture_output=True, text=True, check=False)


CATCHES = """
#include <cstdio>
#include <stdexcept>
#include <vector>
extern "C" int caught(int place) {
  struct Counts { int &left; ~Counts() { left++; } };
  int left = 0;
  try { Counts counts{left}; return std::vector<int>().at(place); } catch (const std::out_of_range &) { return left; }
}
int main() { return caught(1) == 1 && std::puts("caught") >= 0 ? 0 : 1; }
"""


@pytest.mark.platforms  # zig compiles its C++ library first
@pytest.mark.parametrize("text", ["aarch64-linux-gnu.2.17", "aarch64-linux-musl"])
def test_zigs_unwinder_stays_out(tmp_path: Path, text: str) -> None:
    """C++ for ARM64 unwinds with the system's libgcc_s, or with what is made of zig's unwinder; both are baseline."""
    _need_zig()
    target = read_target(text, "zig")
    assert target is not None
    (tmp_path / "catches.cc").write_text(CATCHES)
    environ = {**os.environ, **variables(target, tmp_path / "tools", os.environ, cplusplus=True)}
    steps = (
        ["-fPIC", "-c", "catches.cc", "-o", "catches.o"],
        ["catches.o", "-o", "catches"],
        ["-shared", "catches.o", "-o", "catches.so"],
    )
    for words in steps:
        done = subprocess.run(
            [tmp_path / "tools" / "bin" / environ["CXX"], "-mcpu=generic", *words],
            cwd=tmp_path, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    program, library = tmp_path / "catches", tmp_path / "catches.so"
    needed = [elf.parse(path.read_bytes(), path.name).needed for path in (program, library)]
    musl = target.libc == "musl"
    assert [names[:1] for names in needed] == ([(), ("libc.musl-aarch64.so.1",)] if musl else [("libgcc_s.so.1",)] * 2)
    command = [sys.executable, "-m", "baseline_build", "scan", "--strict", str(program), str(library)]
    scanned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert scanned.returncode == 0, scanned.stdout
    emulator = [require_tool("qemu-aarch64"), "-cpu", "cortex-a53", "-L", "/usr/aarch64-linux-gnu"]
    ran = subprocess.run([*emulator, str(program)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "caught\n"), ran.stderr


def test_a_zig_without_the_unwinders_sources_is_told(tmp_path: Path) -> None:
    """A distribution may leave out what compiles without it."""
    _need_zig()
    script = f'#!/bin/sh\n[ "$1" != env ] || exec echo \'.lib_dir = "{tmp_path}"\'\nexec {find_zig(os.environ)} "$@"\n'
    (tmp_path / "zig").write_text(script)
    (tmp_path / "zig").chmod(0o755)
    with pytest.raises(ToolError) as caught:
        make_unwinder(str(tmp_path / "zig"), "aarch64-linux-musl", tmp_path / "unwinder")
    text = str(caught.value)
    assert "BB682" in text
    assert "zig cannot compile its unwinder for the ARM64 baseline" in text
    assert "'config.h' file not found" in text
    assert "pip install ziglang" in text


def _need_zig() -> None:
    if not (shutil.which("zig") or importlib.util.find_spec("ziglang")):
        missing("zig is neither on PATH nor installed as ziglang")


@pytest.mark.build
@pytest.mark.parametrize(
    ("target", "machine", "suffix", "emulator"),
    [
        ("aarch64-linux-gnu", 183, "aarch64-linux-gnu", ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")),
        ("zig x86_64-linux-gnu.2.17", 62, "x86_64-linux-gnu", ("qemu-x86_64",)),
        ("zig aarch64-linux-musl", 183, "aarch64-linux-musl", ("qemu-aarch64",)),
    ],
)
def test_real_builds(tmp_path: Path, target: str, machine: int, suffix: str, emulator: Tuple[str, ...]) -> None:
    """A module, a CFFI module and a program that ask for -march=native, for another machine, proven baseline."""
    settings = {"target": target.split()[-1]}
    if target.startswith("zig"):
        _need_zig()
        settings["toolchain"] = "zig"
    else:
        require_tool("aarch64-linux-gnu-g++")
    result = _build(_project(tmp_path), settings)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "removed -march=native" in result.stdout + result.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel.name.endswith(f"-linux_{'aarch64' if machine == 183 else 'x86_64'}.whl")
    with zipfile.ZipFile(wheel) as archive:
        natives = {name: archive.read(name) for name in archive.namelist() if archive.read(name)[:4] == b"\x7fELF"}
    assert {int.from_bytes(content[18:20], "little") for content in natives.values()} == {machine}
    assert any(name.startswith("tiny/_plain.") and name.endswith(f"-{suffix}.so") for name in natives)
    assert "tiny/_one.abi3.so" in natives or any(name.endswith(f"-{suffix}.so") and "_one" in name for name in natives)
    program = tmp_path / "hello-program"
    program.write_bytes(natives["tiny/hello"])
    program.chmod(0o755)
    cpu = ["-cpu", "cortex-a53"] if machine == 183 else ["-cpu", "Opteron_G1,-sse3"]
    command = [require_tool(emulator[0]), *cpu, *emulator[1:], str(program)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stdout) == (0, "hello from afar\n"), ran.stderr
    if target == "zig aarch64-linux-musl":
        needed = set(re.findall(rb"\0(libc\.[\w.-]+)(?=\0)", natives["tiny/_one.abi3.so"]))
        assert b"libc.musl-aarch64.so.1" in needed
        assert re.search(r"-musllinux_1_[0-9]+_aarch64\.whl", _repair(tmp_path, wheel))
    if target == "zig x86_64-linux-gnu.2.17":
        oldest = re.search(r"manylinux_2_([0-9]+)_x86_64", _repair(tmp_path, wheel))
        assert oldest
        assert int(oldest.group(1)) <= 17


def _repair(folder: Path, wheel: Path) -> str:
    """The name of the wheel after `baseline-build repair`."""
    require_tool("auditwheel")
    require_tool("patchelf")
    command = [sys.executable, "-m", "baseline_build", "repair", str(wheel), "-w", "repaired"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (repaired,) = (folder / "repaired").glob("*.whl")
    return repaired.name


@pytest.mark.build
def test_a_foreign_compiler_without_a_target_is_noticed(tmp_path: Path) -> None:
    """CC for another machine and nothing said: the tag would be this machine's."""
    cc, cxx = require_tool("aarch64-linux-gnu-gcc"), require_tool("aarch64-linux-gnu-g++")
    result = _build(_project(tmp_path), {}, CC=cc, CXX=cxx, LDSHARED=f"{cc} -shared")
    assert result.returncode != 0
    assert "BB683: CC: " in result.stderr + result.stdout
    assert list((tmp_path / "dist").iterdir()) == []
