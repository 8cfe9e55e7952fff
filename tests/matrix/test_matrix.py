"""Every combination of compiler, optimisation, level, kind of file and stripping: the verdict is known beforehand.

What is compiled for the baseline has nothing above it; a static program brings its C library's own dispatched code,
which must come out guarded or unproven. What is compiled above it runs unguarded code from ``main`` on.
"""

from __future__ import annotations

import itertools
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import FrozenSet, Iterator, List, Optional, Set, Tuple

import pytest

from baseline_build.scan import FileReport, Verdict, scan_path
from tests.tools import require_tool

SOURCE = r"""
#if defined(__AVX512F__)
typedef int vector __attribute__((vector_size(64)));
#elif defined(__AVX2__)
typedef int vector __attribute__((vector_size(32)));
#else
typedef int vector __attribute__((vector_size(16)));
#endif
#if defined(__ARM_FEATURE_SVE)
#include <arm_sve.h>
#endif
volatile vector left, right;
volatile unsigned long long number = 12345;
int counter;
__attribute__((noinline)) int vectors(void) { vector sum = left + right; left = sum; return sum[0]; }
__attribute__((noinline)) int bits(void) { return __builtin_popcountll(number); }
__attribute__((noinline)) int atomics(void) { return __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST); }
__attribute__((noinline)) int scalable(void) {
#if defined(__ARM_FEATURE_SVE)
  return (int)svcntw();
#else
  return 4;
#endif
}
int work(void) { return vectors() + bits() + atomics() + scalable(); }
int main(void) { return work() < 0; }
"""

CLEAN, GUARDED, UNPROVEN, VIOLATION = Verdict.CLEAN, Verdict.GUARDED, Verdict.UNPROVEN, Verdict.VIOLATION
COMPILERS = {
    "x86-64": {"gcc": ("gcc",), "clang": ("clang",)},
    "aarch64": {"gcc": ("aarch64-linux-gnu-gcc",), "clang": ("clang", "--target=aarch64-linux-gnu")},
}
LEVELS = {
    "x86-64": ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "native"),
    "aarch64": ("armv8-a", "armv8.1-a", "armv8.2-a+sve", "armv9-a"),
}
OPTIMISATIONS = {"O0": ("-O0",), "O2": ("-O2",), "O3": ("-O3",), "LTO": ("-O2", "-flto")}
KINDS = {"shared": ("-shared", "-fPIC"), "pie": ("-fPIE", "-pie"), "static": ("-static",)}
OLDEST = {"x86-64": ("qemu-x86_64", "-cpu", "Opteron_G1,-sse3"), "aarch64": ("qemu-aarch64", "-cpu", "cortex-a53")}
SIGILL = 4


@dataclass(frozen=True)
class Case:
    """One file of the matrix."""

    machine: str
    compiler: str
    optimisation: str
    level: str
    kind: str
    stripped: bool

    @property
    def title(self) -> str:
        ending = "-stripped" if self.stripped else ""
        return f"{self.machine}-{self.compiler}-{self.optimisation}-{self.level}-{self.kind}{ending}"

    @property
    def baseline(self) -> bool:
        return self.level in ("x86-64", "armv8-a")

    def build(self, folder: Path) -> Path:
        compiler = COMPILERS[self.machine][self.compiler]
        require_tool(compiler[0])
        if self.machine == "aarch64":
            require_tool("aarch64-linux-gnu-gcc")
        place, target = folder / "sample.c", folder / "sample"
        place.write_text(SOURCE)
        options = [*OPTIMISATIONS[self.optimisation], f"-march={self.level}", *KINDS[self.kind]]
        if self.compiler == "clang" and self.optimisation == "LTO":
            require_tool("ld.lld")
            options.append("-fuse-ld=lld")
        if self.stripped:
            options.append("-s")
        result = subprocess.run(
            [*compiler, *options, str(place), "-o", str(target)], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return target

    def expected(self) -> FrozenSet[Verdict]:
        if not self.baseline:
            # A static program has a detector (the C library's), so that only the way from its entry is a proof.
            return frozenset((VIOLATION, UNPROVEN) if self.kind == "static" else (VIOLATION,))
        if self.kind == "static":
            return frozenset((GUARDED, UNPROVEN))
        # Compilers for ARM64 call helpers for atomics, which test for LSE.
        return frozenset((CLEAN, GUARDED) if self.machine == "aarch64" else (CLEAN,))


def cases() -> Iterator[Case]:
    for machine in COMPILERS:
        for row in itertools.product(COMPILERS[machine], OPTIMISATIONS, LEVELS[machine], KINDS, (False, True)):
            yield Case(machine, *row)


ALL = list(cases())
DIMENSIONS = ("machine", "compiler", "optimisation", "level", "kind", "stripped")


def covering(pairs: int = 2) -> List[Case]:
    """Few files in which every value of a dimension meets every value of another within one machine."""

    def meetings(case: Case) -> Set[Tuple[Tuple[str, object], ...]]:
        values = [(name, getattr(case, name)) for name in DIMENSIONS]
        return {(values[0], *group) for group in itertools.combinations(values[1:], pairs)}

    missing: Set[Tuple[Tuple[str, object], ...]] = set().union(*map(meetings, ALL))
    chosen: List[Case] = []
    while missing:
        best = max(ALL, key=lambda case: len(meetings(case) & missing))
        chosen.append(best)
        missing -= meetings(best)
    return chosen


# Static programs bring all of the C library, and many seconds of analysis each: two of them by default.
SLICE = [case for case in covering() if case.kind != "static"]
SLICE += [
    Case("x86-64", "gcc", "O2", "x86-64", "static", False),
    Case("aarch64", "gcc", "O2", "armv8-a", "static", True),
]


def check(case: Case, folder: Path) -> FileReport:
    path = case.build(folder)
    (file,) = scan_path(path).inputs[0].files
    findings = [(f.verdict.value, f.feature, f.function, f.ground) for f in file.findings][:8]
    assert file.verdict in case.expected(), (case.title, file.verdict, findings)
    if not case.baseline and not case.stripped:
        own = {
            f.function: f.verdict
            for f in file.findings
            if f.function in ("vectors", "bits", "atomics", "scalable", "work", "main")
        }
        assert own, f"nothing found in the sample's own functions: {findings}"
        assert GUARDED not in own.values(), own
    return file


def outcome(case: Case, path: Path) -> Optional[int]:
    """The exit status on the oldest CPU of the machine; negative for a signal; ``None`` for libraries."""
    if case.kind == "shared":
        return None
    command = [*OLDEST[case.machine]]
    command[0] = require_tool(command[0])
    if case.machine == "aarch64":
        command += ["-L", "/usr/aarch64-linux-gnu"]
    return subprocess.run([*command, str(path)], capture_output=True, check=False, timeout=60).returncode


def test_the_matrix_is_large_enough() -> None:
    assert len(ALL) >= 400
    assert len(set(ALL)) == len(ALL)
    assert len(SLICE) < 60


def check_and_run(case: Case, folder: Path) -> None:
    file = check(case, folder)
    status = outcome(case, folder / "sample")
    if status is not None:
        died = status in (-SIGILL, 128 + SIGILL)
        assert died == (not case.baseline), f"{case.title} ended with {status}; the verdict is {file.verdict}"
        assert died or status == 0


@pytest.mark.parametrize("case", SLICE, ids=lambda case: case.title)
def test_a_slice(case: Case, tmp_path: Path) -> None:
    check_and_run(case, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.title)
def test_all(case: Case, tmp_path: Path) -> None:
    check_and_run(case, tmp_path)
