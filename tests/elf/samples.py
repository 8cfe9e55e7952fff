"""Programs compiled here, each kind once a run."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Tuple

from tests.tools import require_tool

SOURCE = r"""
#include <stdio.h>
static int started;
__attribute__((constructor)) static void begin(void) { started = 1; }
__attribute__((destructor)) static void finish(void) { started = 0; }
static int plain(void) { return 1; }
static int special(void) { return 2; }
static int (*choose(void))(void) { __builtin_cpu_init(); return __builtin_cpu_supports("avx2") ? special : plain; }
int chosen(void) __attribute__((ifunc("choose")));
__thread int counter = 3;
__attribute__((noinline)) int work(int x) { return chosen() + counter++ * x; }
int (*table[])(int) = { work };
int main(int argc, char **argv) { (void)argv; printf("%d\n", table[argc & 0](argc) + started); return 0; }
"""

PORTABLE = r"""
#include <stdio.h>
static int started;
__attribute__((constructor)) static void begin(void) { started = 1; }
__thread int counter = 3;
__attribute__((noinline)) int work(int x) { return counter++ * x; }
int (*table[])(int) = { work };
int main(int argc, char **argv) { (void)argv; printf("%d\n", table[argc & 0](argc) + started); return 0; }
"""

LINKERS = {"bfd": "ld.bfd", "gold": "ld.gold", "lld": "ld.lld", "mold": "mold"}
KINDS = {
    "shared": ("-shared", "-fPIC"),
    "pie": ("-pie", "-fPIE"),
    "fixed": ("-no-pie", "-fno-pie"),
    "static": ("-static",),
    "static-pie": ("-static-pie", "-fPIE"),
}


def run(*command: str, cwd: Path | None = None) -> str:
    result = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"
    return result.stdout


@cache
def built(
    folder: Path, compiler: str, linker: str, kind: str, options: Tuple[str, ...] = ("-O2",), source: str = SOURCE
) -> Path:
    """The sample, compiled by *compiler* and linked by *linker*."""
    require_tool(compiler)
    require_tool(LINKERS[linker])
    tag = f"{compiler}-{linker}-{kind}{''.join(options)}".replace("/", "_").replace("=", "_")
    target = folder / f"{tag}-{abs(hash(source)) % 10**8}"
    place = target.with_suffix(".c")
    place.write_text(source)
    run(compiler, *options, *KINDS[kind], f"-fuse-ld={linker}", str(place), "-o", str(target))
    return target


def stripped(path: Path) -> Path:
    target = path.with_name(path.name + ".stripped")
    run("strip", "-o", str(target), str(path))
    return target


def without_headers(path: Path) -> Path:
    """*path* without section headers: its ELF header says that there are none, as after ``sstrip``."""
    raw = bytearray(path.read_bytes())
    offset, counts = (40, 60) if raw[4] == 2 else (32, 48)
    raw[offset : offset + (8 if raw[4] == 2 else 4)] = bytes(8 if raw[4] == 2 else 4)
    raw[counts : counts + 4] = bytes(4)
    target = path.with_name(path.name + ".bare")
    target.write_bytes(raw)
    return target
