"""Cases that go round the shims, or bring code that was compiled elsewhere: what cannot be filtered must be refused.

Each is a few lines of shell, as a project's own script would have them. ``foreign.o`` is compiled where no shim stands.
"""

from __future__ import annotations

import shlex
from typing import Dict, Tuple

from .case import Case

_O3 = "-O3 -fPIC"
_MAKE = "-shared loop.c -o libwork.so"
_OUTSIDE = "env -i PATH=/usr/bin:/bin"
_FOREIGN = f"{_OUTSIDE} gcc {_O3} -mavx2"
_CC1 = f"$({_OUTSIDE} gcc -print-prog-name=cc1)"
_LINK = "gcc -shared loop.o -o libwork.so"
_REFUSED = "work/libwork.so: work_scale"


def _written(name: str, *lines: str) -> str:
    """Shell code that writes *lines* into the file *name*."""
    return f"printf '%s\\n' {shlex.join(lines)} >{name}"


_ADDING = (
    _written("add.sh", "#!/bin/sh", 'case $1 in *cc1) exec "$@" -mavx2 ;; esac', 'exec "$@"') + "; chmod +x add.sh"
)
_SPECS = _written("x.specs", "*cc1:", "+ -mavx2")
_NESTED = _written("outer", "-O3 -fPIC @inner") + "; " + _written("inner", '"-mavx2" "-mpopcnt"')
_TOOLCHAIN = _written("tools.cmake", "set(CMAKE_C_COMPILER /usr/bin/gcc)", "set(CMAKE_C_FLAGS_INIT -mavx2)")
_LISTS = _written(
    "CMakeLists.txt",
    "cmake_minimum_required(VERSION 3.15)",
    "project(work C)",
    "add_compile_options(-O3)",
    "add_library(work SHARED loop.c)",
)
_CMAKE = "cmake -S . -B out -DCMAKE_TOOLCHAIN_FILE=$PWD/tools.cmake; cmake --build out; cp out/libwork.so ."
_MESON = _written("meson.build", "project('work', 'c')", "shared_library('work', 'loop.c')")
_NATIVE = _written("native.ini", "[binaries]", "c = '/usr/bin/gcc'", "[built-in options]", "c_args = ['-O3', '-mavx2']")
_STALE = _written("Makefile", f"libwork.so: loop.o\n\t{_LINK}\nloop.o: loop.c\n\tgcc {_O3} -c loop.c")
_CRATE = _written(
    "Cargo.toml",
    *("[package]", 'name = "work"', 'version = "1.0.0"', 'edition = "2021"'),
    *("[lib]", 'path = "loop.rs"', 'crate-type = ["cdylib"]'),
)
_ELSEWHERE = "env -u RUSTC_WRAPPER PATH=${PATH#*:}"
_CARGO_LIBRARY = "cp target/release/libwork.so ."
_CARGO = "cargo build --release --offline"
_NASM = _written("a.asm", "global work_scale", "section .text", "work_scale:", "vpaddd ymm0,ymm1,ymm2", "ret")

# Title -> shell code whose library must come out without a foreign instruction.
_FILTERED: Dict[str, str] = {
    "gcc -B with parts of its own": f"mkdir parts; ln -s {_CC1} parts/cc1; gcc -Bparts/ {_O3} -mavx2 {_MAKE}",
    "gcc -wrapper that adds": f"{_ADDING}; gcc -wrapper ./add.sh {_O3} {_MAKE}",
    "/usr/bin/gcc -wrapper that adds": f"{_ADDING}; /usr/bin/gcc -wrapper ./add.sh {_O3} {_MAKE}",
    "/usr/bin/gcc -no-integrated-cpp": f"/usr/bin/gcc -no-integrated-cpp {_O3} -mavx2 {_MAKE}",
    "gcc -specs=FILE": f"{_SPECS}; gcc -specs=x.specs {_O3} {_MAKE}",
    "/usr/bin/gcc -specs=FILE": f"{_SPECS}; /usr/bin/gcc -specs=x.specs {_O3} {_MAKE}",
    "gcc @FILE in @FILE": f"{_NESTED}; gcc @outer {_MAKE}",
    "/usr/bin/gcc @FILE in @FILE": f"{_NESTED}; /usr/bin/gcc @outer {_MAKE}",
    "GCC_EXEC_PREFIX": f"GCC_EXEC_PREFIX=/usr/lib/gcc/ gcc {_O3} -mavx2 {_MAKE}",
    "a link to the compiler": f"ln -s /usr/bin/gcc ./mygcc; ./mygcc {_O3} -mavx2 {_MAKE}",
    "quoted options": f"gcc {_O3} \"-mavx2\" '-march=x86-64-v3' -m'popcnt' {_MAKE}",
    "-Xassembler -msse2avx": f"gcc {_O3} -mavx2 -Xassembler -msse2avx {_MAKE}",
    "--param and tuning": f"gcc {_O3} --param=vect-epilogues-nomask=0 -mprefer-vector-width=256 -mavx2 {_MAKE}",
    "a precompiled header": f"true >h.h; gcc {_O3} -mavx2 -c h.h -o h.h.gch; gcc {_O3} -mavx2 -include h.h {_MAKE}",
    "PATH with /usr/bin first": f"PATH=/usr/bin:$PATH gcc {_O3} -mavx2 {_MAKE}",
    "c99": f"c99 {_O3} -mavx2 {_MAKE}",
    "ccache by path after a build elsewhere": f"{_OUTSIDE} CCACHE_DIR=$CCACHE_DIR ccache gcc {_O3} -mavx2 -c loop.c"
    f"; /usr/bin/ccache gcc {_O3} -mavx2 -c loop.c; {_LINK}",
    "ccache's folder of compilers": f"/usr/lib/ccache/gcc {_O3} -mavx2 -c loop.c; {_LINK}",
    "cmake toolchain file": f"{_TOOLCHAIN}; {_LISTS}; {_CMAKE}",
    "meson native file": f"{_NATIVE}; {_MESON}; meson setup out --native-file native.ini"
    "; meson compile -C out; cp out/libwork.so .",
    "clang, bitcode, llc": f"clang {_O3} -mavx2 -emit-llvm -c loop.c -o a.bc"
    f"; llc-19 -relocation-model=pic -filetype=obj a.bc -o loop.o; {_LINK}",
}
# Title -> shell code whose library no shim can keep clean, and what the refusal must say.
_UNFILTERED: Dict[str, Tuple[str, str]] = {
    "env -i gcc": (f"{_FOREIGN} {_MAKE}", _REFUSED),
    "/usr/bin/gcc without COMPILER_PATH": (f"env -u COMPILER_PATH /usr/bin/gcc {_O3} -mavx2 {_MAKE}", _REFUSED),
    "/usr/bin/gcc with GCC_EXEC_PREFIX": (f"GCC_EXEC_PREFIX=/usr/lib/gcc/ /usr/bin/gcc {_O3} -mavx2 {_MAKE}", _REFUSED),
    "/usr/bin/gcc -B with parts of its own": (
        f"mkdir parts; ln -s {_CC1} parts/cc1; /usr/bin/gcc -Bparts/ {_O3} -mavx2 {_MAKE}",
        _REFUSED,
    ),
    "/usr/bin/gcc -wrapper env,-i": (f"/usr/bin/gcc -wrapper env,-i {_O3} -mavx2 {_MAKE}", "BB601: cc1"),
    "cc1 by path": (f"{_CC1} -quiet {_O3} -mavx2 loop.c -o loop.s; gcc -shared loop.s -o libwork.so", "loop.s:15"),
    "as by path": (
        f"{_CC1} -quiet {_O3} -mavx2 loop.c -o loop.s; /usr/bin/as -o loop.o loop.s; {_LINK}",
        "project/loop.o",
    ),
    "ld -r of an object": (f"{_FOREIGN} -c loop.c -o one.o; ld -r one.o -o loop.o; {_LINK}", "project/one.o"),
    "a stale object": (f"{_FOREIGN} -c loop.c; {_STALE}; make", "project/loop.o"),
    "a stale target folder of cargo": (
        f"{_CRATE}; export RUSTFLAGS='-C target-cpu=x86-64-v3'; {_ELSEWHERE} {_CARGO}; {_CARGO}; {_CARGO_LIBRARY}",
        "work/libwork.so: work_",
    ),
    "an LTO object": (f"{_FOREIGN} -flto -c loop.c; gcc {_O3} -flto -shared loop.o -o libwork.so", "loop.c:3"),
    "bitcode": (
        f"{_OUTSIDE} clang {_O3} -mavx2 -emit-llvm -c loop.c -o a.bc; clang {_O3} -shared a.bc -o libwork.so",
        _REFUSED,
    ),
    "nasm": (f"{_NASM}; nasm -f elf64 a.asm -o loop.o; {_LINK}", "vpaddd"),
}
# Title -> what puts the file into the package, and its name in the refusal.
_BROUGHT: Dict[str, Tuple[str, str]] = {
    "an object": ("cp foreign.o work/extra.o", "work/extra.o: work_scale"),
    "a static archive": ("ar rcs work/libextra.a foreign.o", "work/libextra.a(foreign.o): work_scale"),
    "a library with a version": ("gcc -shared foreign.o -o work/libextra.so.1", "work/libextra.so.1: work_scale"),
    "a library called data": ("gcc -shared foreign.o -o work/extra.dat", "work/extra.dat: work_scale"),
    "a library without suffix": ("gcc -shared foreign.o -o work/extra", "work/extra: work_scale"),
    "an old extension module": ("gcc -shared foreign.o -o work/_old.so", "work/_old.so: work_scale"),
    "an object of link-time optimisation": (
        f"{_FOREIGN} -flto -c loop.c -o work/lto.o",
        "work/lto.o: the object holds code for link-time optimisation",
    ),
    "a library in a zip archive": (
        "gcc -shared foreign.o -o extra.so; python3 -m zipfile -c work/plugin.zip extra.so",
        "work/plugin.zip!extra.so: work_scale",
    ),
    "a library in a packed tar archive": (
        "gcc -shared foreign.o -o extra.so; tar czf work/plugin.tar.gz extra.so",
        "work/plugin.tar.gz!plugin.tar!extra.so: work_scale",
    ),
    "a packed library": (
        "gcc -shared foreign.o -o extra.so; gzip -c extra.so >work/extra.so.gz",
        "work/extra.so.gz!extra.so: work_scale",
    ),
}
_NEEDS = ("ccache", "cmake", "meson", "clang", "llc-19", "nasm", "cargo")


def _tools(text: str) -> Tuple[str, ...]:
    return tuple(tool for tool in _NEEDS if f"{tool} " in text)


def hostile() -> Tuple[Case, ...]:
    """All of them."""
    return (
        *(Case("commands", text, title=title, tools=_tools(text)) for title, text in _FILTERED.items()),
        *(
            Case("commands", text, title=title, refused=told, tools=_tools(text))
            for title, (text, told) in _UNFILTERED.items()
        ),
        *(Case("package_data", text, title=title, refused=told) for title, (text, told) in _BROUGHT.items()),
    )
