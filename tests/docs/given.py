"""What a page takes for given: files that its reader has, made here with a real compiler."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Callable, Dict

from tests.checkout import copy_checkout
from tests.repair.wheels import compile_file, make_wheel, x86_only

_PYTHON = """
#include <Python.h>
static long total(const int *values, int count)
{
    long sum = 0;
    for (int i = 0; i < count; i++)
        sum += values[i];
    return sum;
}
static PyObject *run(PyObject *self, PyObject *nothing)
{
    int values[256] = {1, 2, 3};
    return PyLong_FromLong(total(values, 256));
}
static PyMethodDef methods[] = {{"total", run, METH_NOARGS, 0}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_sum", 0, -1, methods};
PyMODINIT_FUNC PyInit__sum(void) { return PyModule_Create(&module); }
"""
_DISPATCHED = """
static int plain(int value) { return value + value; }
__attribute__((noinline)) static int fast_avx2(int value)
{
    __asm__ volatile("vpaddd %%ymm0, %%ymm0, %%ymm1" ::: "xmm1");
    return value + value;
}
int twice(int value) { return __builtin_cpu_supports("avx2") ? fast_avx2(value) : plain(value); }
"""
_PROGRAM = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'


def _fastsum(folder: Path, name: str) -> None:
    """A wheel whose extension module was compiled with -mavx2."""
    paths = sysconfig.get_paths()
    headers = [f"-I{paths['include']}", f"-I{paths['platinclude']}"]
    flags = ["-shared", "-fPIC", "-O3", "-mavx2", "-g", f"-ffile-prefix-map={folder}=src", *headers]
    flags += ["-Wl,--no-as-needed", "-lc"]
    _wheel(folder, name, "fastsum/_sum.abi3.so", compile_file(folder / "_sum.abi3.so", _PYTHON, *flags))


def _chooser(folder: Path, name: str) -> None:
    """A wheel whose library asks the CPU before it uses AVX2."""
    library = compile_file(folder / "_twice.so", _DISPATCHED, "-shared", "-fPIC", "-Wl,--no-as-needed", "-lc")
    _wheel(folder, name, "chooser/_twice.so", library)


def _marked(folder: Path, name: str) -> None:
    """A wheel with a program of baseline code that declares x86-64-v2, as start files of AlmaLinux 9 make it."""
    tool = compile_file(folder / "tool", _PROGRAM, "-Wl,-z,x86-64-v2")
    _wheel(folder, name, "marked/_bin/tool", tool)


def _wheel(folder: Path, name: str, member: str, file: Path) -> None:
    project, _, rest = name.partition("-")
    made = make_wheel(folder, {member: file}, name=project, tag=rest.partition("-")[2][: -len(".whl")])
    assert made.name == name
    file.unlink()
    for left in (*folder.glob("*.c"), *folder.glob("*-tree")):
        _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir():
        for inner in path.iterdir():
            _remove(inner)
        path.rmdir()
    else:
        path.unlink()


def _checkout(folder: Path, name: str) -> None:
    """The tool's own folder, as a checkout has it."""
    copy_checkout(folder, name)


_MAKERS: Dict[str, Callable[[Path, str], None]] = {
    "fastsum": _fastsum,
    "chooser": _chooser,
    "marked": _marked,
    "baseline_build": _checkout,
}


def give(name: str, folder: Path) -> None:
    """Make the file *name* in *folder*; the part before the first dash says what it is."""
    if name.endswith(".whl"):
        x86_only()
    _MAKERS[name.partition("-")[0]](folder, name)
