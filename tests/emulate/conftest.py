"""Extension modules that hold one instruction each, and an ARM64 Python to run one of them."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List

import pytest

from tests.tools import missing, require_tool

MODULE = """
#include <Python.h>
__attribute__((noinline)) long {function}(long value) {{ long result = value; {code} return result; }}
static PyObject *run(PyObject *self, PyObject *none) {{ return PyLong_FromLong({function}(2)); }}
static PyMethodDef methods[] = {{{{"run", run, METH_NOARGS, 0}}, {{0}}}};
static struct PyModuleDef definition = {{PyModuleDef_HEAD_INIT, "{name}", 0, -1, methods}};
PyMODINIT_FUNC PyInit_{name}(void) {{ return PyModule_Create(&definition); }}
"""

MOVDDUP = '__asm__ volatile ("movddup %%xmm1, %%xmm0" ::: "xmm0");'
VPADDD = '__asm__ volatile ("vpaddd %%ymm1, %%ymm1, %%ymm0" ::: "xmm0");'
LDADDAL = (
    '__asm__ volatile (".arch_extension lse\\n ldaddal %1, %0, [%2]" : "=r"(result) : "r"(1L), "r"(&value) : "memory");'
)


def compile_module(
    folder: Path, name: str, function: str, code: str, *, compiler: str, include: List[str], suffix: str = ".so"
) -> Path:
    """Compile the extension module *name*, whose function *function* holds *code*, into *folder*."""
    source = folder / f"{name}.c"
    source.write_text(MODULE.format(name=name, function=function, code=code))
    target = folder / f"{name}{suffix}"
    flags = [f"-I{path}" for path in include]
    subprocess.run([compiler, "-O1", "-fPIC", "-shared", *flags, str(source), "-o", str(target)], check=True)
    return target


@pytest.fixture
def native_module(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """Compiles a module for the running interpreter: ``native_module(name, function, code)``."""
    if os.uname().machine != "x86_64":
        missing("the instructions of these modules are x86-64's")
    compiler = require_tool("gcc", "cc", "clang")
    include = [sysconfig.get_paths()["include"], sysconfig.get_paths()["platinclude"]]

    def build(name: str, function: str, code: str) -> Path:
        suffix = sysconfig.get_config_var("EXT_SUFFIX")  # PyPy imports no other
        return compile_module(tmp_path, name, function, code, compiler=compiler, include=include, suffix=suffix)

    return build


@dataclass(frozen=True)
class ForeignPython:
    """An interpreter of another machine, unpacked into *root*."""

    root: Path
    program: Path
    include: List[str]


@pytest.fixture(scope="session")
def arm_python(shared_cache: Path) -> ForeignPython:
    """Debian's ARM64 Python, fetched with apt into a folder of its own and unpacked there; nothing is installed."""
    require_tool("apt-get")
    require_tool("dpkg-deb")
    home = shared_cache / "arm64-python"
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = home / "root"
        if not (home / "complete").exists():
            _unpack_python(home, root)
            (home / "complete").touch()
    program = min((root / "usr/bin").glob("python3.*"))
    headers = root / "usr/include"
    return ForeignPython(root, program, [str(headers / program.name), str(headers)])


def _unpack_python(home: Path, root: Path) -> None:
    for name in ("lists/partial", "cache/archives/partial", "debs"):
        (home / name).mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures::": "arm64",
        "Dir::State::lists": home / "lists",
        "Dir::State::status": home / "status",
        "Dir::Cache": home / "cache",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    options = [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]

    def apt(*command: str) -> str:
        done = subprocess.run([*command, *options], cwd=home / "debs", capture_output=True, text=True, check=False)
        if done.returncode != 0:
            missing(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1:]}")
        return done.stdout

    apt("apt-get", "update")
    match = re.search(r"python3\.(\d+)-minimal", apt("apt-cache", "show", "python3-minimal:arm64"))
    assert match is not None
    version = f"3.{match.group(1)}"
    packages = ["libc6", "zlib1g", "libexpat1", f"python{version}-minimal"]
    packages += [f"libpython{version}-{part}" for part in ("minimal", "stdlib", "dev")]
    apt("apt-get", "download", *(f"{name}:arm64" for name in packages))
    for package in sorted((home / "debs").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)


@pytest.fixture
def interpreter() -> str:
    """The running interpreter's program: an ELF file, not a shell wrapper."""
    return os.path.realpath(sys.executable)
