"""Kernels that one function hands out by address, where nothing asks the CPU."""

from __future__ import annotations

from pathlib import Path

from baseline_build.scan import Verdict, scan_path
from tests.scan import compiling

KERNEL = """
__attribute__((noinline)) static int plain{n}(int *a) {{ return a[{n}] * {n}; }}
__attribute__((noinline, target("avx2"))) static int fast{n}(int *a) {{
  for (int i = 0; i < 8; i++) a[i] += a[i + 8 * {n}];
  return a[{n}];
}}
"""
CHOOSER = """
typedef int (*Kernel)(int *);
static unsigned allowed = 1;
void allow(unsigned number) { allowed = number & 1; }
Kernel find(int kind) {
  if (allowed & 2)
    switch (kind) { case 0: return fast0; case 1: return fast1; case 2: return fast2; case 3: return fast3; }
  switch (kind) { case 0: return plain0; case 1: return plain1; case 2: return plain2; default: return plain3; }
}
"""


def judged(folder: Path, *more: str) -> Verdict:
    source = "".join(KERNEL.format(n=n) for n in range(4)) + CHOOSER + "".join(more)
    return scan_path(compiling.library(folder, "kernels", source, "-O3", "-fno-jump-tables")).verdict


def test_kernels_that_are_only_handed_out_are_not_proven_to_run(tmp_path: Path) -> None:
    assert judged(tmp_path) is Verdict.UNPROVEN


def test_a_kernel_that_is_called_is_a_violation(tmp_path: Path) -> None:
    assert judged(tmp_path, "int use(int *a) { return fast1(a) + 1; }\n") is Verdict.VIOLATION


def test_a_kernel_in_a_table_is_a_violation(tmp_path: Path) -> None:
    assert judged(tmp_path, "Kernel table[] = {fast2};\n") is Verdict.VIOLATION
