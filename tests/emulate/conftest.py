"""Extension modules that hold one instruction each, and an ARM64 Python to run one of them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List

import pytest

from tests.foreign_python import unpacked_python
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
    root = unpacked_python(shared_cache / "arm64-python")
    program = min((root / "usr/bin").glob("python3.*"))
    headers = root / "usr/include"
    return ForeignPython(root, program, [str(headers / program.name), str(headers)])


@pytest.fixture
def interpreter() -> str:
    """The running interpreter's program: an ELF file, not a shell wrapper."""
    return os.path.realpath(sys.executable)
