"""The battery's cases: a way by which options reach a compiler, and what is asked for on it."""

from __future__ import annotations

from typing import Tuple

from .case import Case
from .hostile import hostile

# Every machine can compile for it, and what it brings is seen in the disassembly wherever the battery runs.
V3 = "-march=x86-64-v3"
BOTH = "-march=x86-64-v3 -mavx2 -mpopcnt -mtune=native"
CLANG = "-Xclang -target-feature -Xclang +avx2 -Xclang -target-feature -Xclang +popcnt"


def _setuptools() -> Tuple[Case, ...]:
    spellings = (
        *("-march=native -mavx2", "-mavx2", BOTH, "-mavx -mfma -mbmi2", "-msse4.2 -mpopcnt", "-mavx512f", "-Wp,-mavx2"),
        *(
            "--machine=avx2",
            "--machine-avx2",
            "-Xpreprocessor -mavx2",
            "-O3 -mavx2 -flto",
            "-Wa,-msse2avx",
            "-msse2avx",
        ),
    )
    clang = {"CC": "clang", "CXX": "clang++"}
    return (
        *(Case("setuptools_c", f"-O3 {flags}") for flags in spellings),
        Case("setuptools_c", "-O3", environ={"CFLAGS": f"-O3 {BOTH}"}),
        Case("setuptools_c", "-O3", environ={"CPPFLAGS": "-mavx2"}),
        Case("setuptools_c", "-O3", environ={"CC": f"gcc {BOTH}"}),
        Case("setuptools_c", "-O3", environ={"CC": "/usr/bin/gcc -mavx2"}),
        Case("setuptools_c", "-O3 -mavx2", environ={"CC": "/usr/bin/gcc"}),
        Case("setuptools_c", "-O3 -mavx2", environ={"CC": "ccache gcc"}, tools=("ccache",)),
        Case("setuptools_c", f"-O3 {BOTH}", environ=clang, tools=("clang",)),
        Case("setuptools_c", f"-O3 {CLANG}", environ=clang, tools=("clang",)),
        Case("setuptools_c", "-O3", environ={**clang, "CCC_OVERRIDE_OPTIONS": "# +-mavx2"}, tools=("clang",)),
        Case("setuptools_c", "-O3 -mavx2", environ={"CC": "/usr/bin/clang"}, tools=("clang",)),
        Case("setuptools_c", f"-O3 {CLANG}", environ={"CC": "/usr/bin/clang"}, tools=("clang",)),
        Case("setuptools_c", "-O3 -include pragma.h", refused="needs avx"),
        Case("setuptools_c", "-O3 -include pragma.h", strict=True, refused="module.c"),
        Case("setuptools_cxx", f"-O3 {BOTH}"),
        Case("setuptools_cxx", "-O3 -mavx2", environ={"CXX": "/usr/bin/g++", "CC": "/usr/bin/gcc"}),
        Case("setuptools_cxx", "-O3 -mavx2", environ={**clang}, tools=("clang++",)),
        Case("setuptools_link", "-Wl,-z,x86-64-v3", harmless=True),
        Case("setuptools_link", "-Wl,-z -Wl,x86-64-v2", environ={"CC": "/usr/bin/gcc"}, harmless=True),
        Case("cffi", f"-O3 {BOTH}"),
        Case("cffi", "-O3 -mavx2", environ=clang, tools=("clang",)),
        Case("cffi", "-O3 -mavx2", environ={"CC": "/usr/bin/gcc"}),
        Case("cython", f"-O3 {BOTH}"),
        Case("cython_header", "-O3 -mavx2"),
        Case("cython", "-O3 -mavx2", environ={"CFLAGS": "-O3 -march=native -mavx2"}),
        Case("pybind11", f"-O3 {BOTH}"),
        Case("pybind11", "-O3 -mavx2", environ={"CC": "/usr/bin/gcc", "CXX": "/usr/bin/g++"}),
    )


def _sub_builds() -> Tuple[Case, ...]:
    clang = ("clang",)
    return (
        Case("make", BOTH),
        Case("make", "-mavx2", "/usr/bin/gcc"),
        Case("make", "-march=native -mavx2", "/usr/bin/gcc"),
        Case("make", f"-flto {BOTH}", "/usr/bin/gcc"),
        Case("make", "-mavx2", "clang", tools=clang),
        Case("make", BOTH, "/usr/bin/clang", tools=clang),
        Case("make", "-mavx2", "x86_64-linux-gnu-gcc"),
        Case("make", "-mavx2", "ccache gcc", tools=("ccache",)),
        Case("make", "-mavx2", "/usr/bin/ccache /usr/bin/gcc", tools=("ccache",)),
        Case("make", "-mavx2", "distcc gcc", environ={"DISTCC_HOSTS": "localhost"}, tools=("distcc",)),
        Case("make", "-mavx2", "/usr/bin/distcc gcc", environ={"DISTCC_HOSTS": "farm.invalid"}, tools=("distcc",)),
        Case("make", "-mavx2", "icecc gcc", tools=("icecc",)),
        Case("make", "-mavx2", "/usr/bin/icecc /usr/bin/gcc", tools=("icecc",)),
        Case("make", "-mavx2", "sccache gcc", tools=("sccache",)),
        Case("make_config", "-mavx2", "clang", tools=clang),
        Case("make_config", "-mavx2", "/usr/bin/clang", refused="needs avx", tools=clang),
        Case("make", "", environ={"MAKEFLAGS": "CFLAGS=-O3\\ -fPIC\\ -mavx2"}),
        Case("make_response", BOTH),
        Case("make_response", "-mavx2", "/usr/bin/gcc"),
        Case("make_response", "-mavx2", "clang", tools=clang),
        Case("make_response", "-mavx2", "/usr/bin/clang", tools=clang),
        Case("make_specs", "-mavx2"),
        Case("make_specs", "-mavx2", "/usr/bin/gcc"),
        Case("make_objects", "-mavx2"),
        Case("make_objects", "-mavx2", "/usr/bin/gcc"),
        Case("make_assembler", "-mavx2"),
        Case("make_assembler", "-mavx2", "/usr/bin/gcc"),
        Case("make_fortran", BOTH, "gfortran", tools=("gfortran",)),
        Case("make_fortran", "-mavx2", "/usr/bin/gfortran", tools=("gfortran",)),
        Case("make_objc", "-mavx2"),
        Case("make_objc", "-mavx2", "/usr/bin/gcc"),
        Case("cmake", BOTH, "", tools=("cmake",)),
        Case("cmake", "-mavx2", "", generator="Ninja", tools=("cmake", "ninja")),
        Case("cmake", "-mavx2", "/usr/bin/gcc", tools=("cmake",)),
        Case("cmake", "-mavx2", "/usr/bin/clang", tools=("cmake", "clang")),
        Case("cmake", "", "", environ={"CFLAGS": "-mavx2"}, tools=("cmake",)),
        Case("cmake", "-mavx2", "", environ={"CMAKE_C_COMPILER_LAUNCHER": "ccache"}, tools=("cmake", "ccache")),
        Case("cmake", "-mavx2", "", environ={"CMAKE_C_COMPILER_LAUNCHER": "sccache"}, tools=("cmake", "sccache")),
        Case("cmake_check", "-mavx2", tools=("cmake",)),
        Case("autotools", BOTH, tools=("autoconf",)),
        Case("meson_sub", "-mavx2 -O3", tools=("meson", "ninja")),
        Case("meson_sub", "-mavx2 -O3", environ={"CC": "/usr/bin/gcc"}, tools=("meson", "ninja")),
        Case("script", "-mavx2"),
        Case("script", BOTH, "/usr/bin/x86_64-linux-gnu-gcc-12", tools=("x86_64-linux-gnu-gcc-12",)),
        Case("script_path", "-mavx2"),
        Case("script_path", BOTH, "clang", tools=clang),
        Case("launcher", "-mavx2", "ccache gcc", tools=("ccache",)),
    )


def _languages() -> Tuple[Case, ...]:
    cargo, v3 = ("cargo",), "-C target-cpu=x86-64-v3"
    return (
        Case("rustc", v3, tools=("rustc",), functions="work_"),
        Case("rustc", "-Ctarget-feature=+avx2,+popcnt", tools=("rustc",), functions="work_"),
        Case("cargo", "", "build", environ={"RUSTFLAGS": v3}, tools=cargo, functions="work_"),
        Case(
            "cargo",
            "",
            "build",
            environ={"CARGO_ENCODED_RUSTFLAGS": "-Ctarget-cpu=x86-64-v3"},
            tools=cargo,
            functions="work_",
        ),
        Case("cargo", "", "build", environ={"CARGO_BUILD_RUSTFLAGS": v3}, tools=cargo, functions="work_"),
        Case("cargo_build", "-mavx2", "cc", tools=cargo, functions="work_"),
        Case("cargo_build", "-mavx2", "/usr/bin/gcc", tools=cargo, functions="work_"),
        Case("cargo", f"-- {v3}", "rustc", tools=cargo, functions="work_"),
        Case("cargo_config", "target-cpu=x86-64-v3", tools=cargo, functions="work_"),
        Case("cargo_config", "target-feature=+avx2", tools=cargo, functions="work_"),
        Case("setuptools_rust", v3, tools=cargo, functions="work_"),
        Case("maturin", "target-cpu=x86-64-v3", tools=(*cargo, "maturin"), functions="work_"),
        Case("golang", "GOAMD64=v3", tools=("go",), functions="main.workShift"),
        Case("golang", "", environ={"GOAMD64": "v3"}, tools=("go",), functions="main.workShift"),
        Case("zig", "-mcpu=x86_64_v3", "zig cc", tools=("zig",)),
        Case("zig", "-march=native", "zig cc", tools=("zig",)),
        Case("zig", "-target native", "zig cc", tools=("zig",)),
    )


def _backends() -> Tuple[Case, ...]:
    return (
        Case("meson_python", "-mavx2 -O3", tools=("meson", "ninja")),
        Case("meson_python", "-mavx2 -O3", environ={"CC": "/usr/bin/gcc"}, tools=("meson", "ninja")),
        Case("scikit_build", BOTH, tools=("cmake", "ninja")),
        Case("scikit_build", "-mavx2", environ={"CC": "/usr/bin/clang"}, tools=("cmake", "ninja", "clang")),
        Case("hatch_hook", "-mavx2"),
        Case("hatch_hook", "-mavx2", "/usr/bin/gcc"),
    )


def _sources() -> Tuple[Case, ...]:
    clang = ("clang",)
    return (
        Case("make_source", "attribute.c", refused="attribute.c:3"),
        Case("make_source", "attribute.c", strict=True, refused="attribute.c:3"),
        Case("make_source", "attribute.c", "/usr/bin/gcc", strict=True, refused="attribute.c:3"),
        Case("make_source", "attribute.c", "/usr/bin/clang", strict=True, refused="attribute.c:", tools=clang),
        Case("make_source", "pragma.c", refused="pragma.c:"),
        Case("make_source", "pragma.c", strict=True, refused="pragma.c:"),
        Case("make_source", "assembly.c", refused="assembly.c:2"),
        Case("make_source", "assembly.c", strict=True, refused="assembly.c:2"),
        Case("make_source", "assembly.c", "clang", strict=True, refused="assembly.c:2", tools=clang),
        Case("make_source", "arch.c", strict=True, refused="arch.c:4"),
    )


CASES = (*_setuptools(), *_sub_builds(), *_languages(), *_backends(), *_sources(), *hostile())

# One case a kind of route, for the default run of the tests.
SLICE = ("setuptools_c | -O3 -mavx2", "make | /usr/bin/gcc | -mavx2", "make_source | attribute.c | strict")
