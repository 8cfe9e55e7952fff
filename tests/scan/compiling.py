"""Libraries and wheels compiled for the scanner's tests."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Dict, Mapping

from tests.tools import require_tool
from tests.wheel import builders

PLAIN = "int plain(int x) { return x + 1; }\n"
POPCNT = "int counted(unsigned long long x) { return __builtin_popcountll(x); }\n"
DETECTS = """
int has(void) {
  unsigned a = 7, b, c = 0, d;
  __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  return b >> 5 & 1;
}
"""
AVX2 = """
typedef int vector __attribute__((vector_size(32)));
void kernel(vector *a, vector *b) { *a += *b; }
"""


def library(folder: Path, name: str, source: str, *options: str, compiler: str = "gcc", suffix: str = ".c") -> Path:
    """A shared library *name* compiled from *source*."""
    require_tool(compiler)
    place = folder / f"{name}{suffix}"
    place.write_text(source)
    target = folder / f"{name}.so"
    command = [compiler, "-shared", "-fPIC", "-O2", *options, place.name, "-o", target.name]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return target


def wheel(folder: Path, files: Mapping[str, Path], platform: str = "linux_x86_64") -> Path:
    """A wheel with *files* in it."""
    contents: Dict[str, bytes] = {name: path.read_bytes() for name, path in files.items()}
    return builders.honest(folder, contents, f"sample-1.0-cp311-cp311-{platform}.whl")
