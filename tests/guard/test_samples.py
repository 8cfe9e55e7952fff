"""Dispatch samples compiled here, each with broken twins; the verdict is compared with emulated CPUs, old and new."""

from __future__ import annotations

from pathlib import Path

import pytest

from .dispatching import ALL, Build, Target, twins

X86 = Target(
    name="x86",
    compilers={"gcc": ("gcc",), "clang": ("clang",)},
    twins=twins('__builtin_cpu_supports("sse4.2")', '__builtin_cpu_supports("avx2")'),
    raw="-DRAW=(1u<<3)",
    emulator=("qemu-x86_64",),
    old="Opteron_G1,-sse3",
    new="Haswell-noTSX",
    olds={"lower": "Haswell-noTSX,-avx2"},
    unfollowed=frozenset((Build(compiler, "-O0", "fixed"), "asked") for compiler in ("gcc", "clang")),
)  # fmt: skip

AARCH64 = Target(
    name="aarch64",
    compilers={"gcc": ("aarch64-linux-gnu-gcc",), "clang": ("clang", "--target=aarch64-linux-gnu", "-fuse-ld=lld")},
    twins=twins("(HWCAP&1ul<<7)", "HWCAP&1ul<<20"),
    raw="-DRAW=16",
    emulator=("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"),
    old="cortex-a53",
    new="max",
    olds={},
    unfollowed=frozenset(),
)

TARGETS = {target.name: target for target in (X86, AARCH64)}
SLICE = [(target.name, *case) for target in TARGETS.values() for case in target.slice()]

# What compilers write at -O0 and never else: all goes through the stack.
UNOPTIMISED = [
    ("x86", "gcc", "raw"),
    ("x86", "clang", "raw"),
    ("aarch64", "gcc", "asked"),
    ("aarch64", "gcc", "threaded"),
    ("aarch64", "clang", "cached"),
    ("aarch64", "clang", "levels"),
    ("aarch64", "clang", "versions"),
]


@pytest.mark.parametrize(("target", "name", "twin"), SLICE)
def test_sample(tmp_path: Path, target: str, name: str, twin: str) -> None:
    TARGETS[target].check(tmp_path, name, twin, Build("gcc", "-O2", "pie"))


@pytest.mark.parametrize("twin", ["good", "lower"])
@pytest.mark.parametrize(("target", "compiler", "name"), UNOPTIMISED)
def test_without_optimisation(tmp_path: Path, target: str, compiler: str, name: str, twin: str) -> None:
    TARGETS[target].check(tmp_path, name, twin, Build(compiler, "-O0", "pie"))


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("build", ALL, ids=lambda build: build.title)
def test_all_builds(tmp_path: Path, target: str, build: Build) -> None:
    for name in TARGETS[target].names:
        for twin in TARGETS[target].twins:
            for strip in (False, True):
                TARGETS[target].check(tmp_path, name, twin, build, strip=strip)
