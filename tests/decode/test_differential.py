"""Ours against iced-x86, Capstone, objdump and LLVM: a slice in every run, 100 million instructions when asked for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import List

import pytest
from elftools.elf.elffile import ELFFile

from baseline_build.decode import instruction, sweep

from ..tools import missing, require_tool
from .differential import MACHINES, Code, Comparison, Oracle, collect, rules, run
from .encodings import Collection, build
from .oracles import oracle

SLICE = 600_000  # bytes for each oracle
PART = 1_200_000  # bytes whose distinct encodings each oracle is asked about
LONG = 100_000_000  # instructions for each oracle


def made(name: str) -> Oracle:
    if name == "objdump":
        return oracle(name, require_tool("objdump"))
    if name == "llvm":
        return oracle(name, require_tool("llvm-objdump-22"))
    return oracle(name)


def told(comparison: Comparison) -> str:
    return "\n".join(comparison.report())


@pytest.mark.parametrize("name", ["iced", "capstone", "objdump", "llvm"])
def test_slice(name: str, real_code: Code) -> None:
    comparison = Comparison(made(name))
    middle = len(real_code.data) // 2
    for part in (real_code.data[: SLICE // 2], real_code.data[middle : middle + SLICE // 2]):
        comparison.compare(real_code._replace(data=part))
    assert comparison.instructions > 100_000
    assert not comparison.unexplained, told(comparison)


@pytest.fixture(scope="module")
def encodings(tmp_path_factory: pytest.TempPathFactory, real_code: Code) -> Collection:
    folder = tmp_path_factory.mktemp("collector")
    found = Collection(build(folder, require_tool("cc", "gcc", "clang")), room=1 << 8)
    found.add(real_code.bits, real_code.data[:PART])
    return found


@pytest.mark.parametrize("name", ["iced", "capstone", "objdump", "llvm"])
def test_distinct_encodings(name: str, encodings: Collection) -> None:
    """A larger part of a real file, each distinct encoding asked about once."""
    (comparison,) = run(encodings, [made(name)])
    assert comparison.instructions == encodings.instructions > 3 * comparison.distinct > 30_000
    assert not comparison.unexplained, told(comparison)


def test_encodings_count_what_a_pass_counts(encodings: Collection, real_code: Code) -> None:
    swept = sweep(MACHINES[real_code.bits], real_code.data[:PART], real_code.address)
    found = list(encodings.encodings())
    assert len(found) == len(encodings)
    assert sum(one.times for one in found if one.length) == encodings.instructions == swept.instructions
    assert sum(one.times for one in found if one.requirement) == len(swept.mark_addresses)
    assert sum(one.times for one in found if not one.length) == encodings.undecoded
    assert all(instruction(MACHINES[one.bits], one.data, 0).length == max(one.length, 1) for one in found[:2000])


SOURCE = """
typedef unsigned long long wide;
double mean(const float *v, int n) { double s = 0; for (int i = 0; i < n; i++) s += v[i]; return s / n; }
wide product(wide a, wide b, int k) { return k ? a * b >> k : a / b % 1000; }
int choose(int k, int a, int b) {
    switch (k) { case 0: return a + b; case 1: return a - b; case 2: return a * b; case 3: return a / b;
    case 4: return a ^ b; case 5: return a << (b & 7); default: return a > b ? a : b; } }
short narrow(short *p, int n) { short s = 0; while (n--) s ^= *p++ * 3; return s; }
void copy(char *d, const char *s, unsigned n) { __builtin_memcpy(d, s, n); __builtin_memset(d + n, 7, 99); }
wide swap(wide *p, wide q) { return __sync_val_compare_and_swap(p, *p, q) + __builtin_bswap64(q); }
"""
FLAGS = ("-O0 -march=i686", "-O2 -march=i686", "-O3 -march=i686 -msse2 -mfpmath=sse", "-Os -fPIC -march=i686 -mavx2")


@pytest.mark.parametrize("name", ["iced", "capstone", "objdump", "llvm"])
def test_32_bit_code(name: str, tmp_path: Path) -> None:
    compiler = require_tool("gcc", "clang")
    comparison = Comparison(made(name))
    for flags in FLAGS:
        command = [compiler, "-m32", "-c", "-x", "c", "-", "-o", str(tmp_path / "code.o"), *flags.split()]
        subprocess.run(command, input=SOURCE, check=True, text=True)
        with (tmp_path / "code.o").open("rb") as handle:
            text = ELFFile(handle).get_section_by_name(".text").data()
        comparison.compare(Code(tmp_path / "code.o", 32, 0x8048000, text))
    assert comparison.instructions > 500
    assert not comparison.unexplained, told(comparison)


def test_a_difference_is_seen() -> None:
    """The comparison is not blind: lengths and features that are wrong are told, and no rule covers them."""
    code = Code(Path("sample"), 64, 0x1000, bytes.fromhex("c5f458c1 4889e5 f30fb8c1 90 c3") * 4)
    theirs = made("iced")
    honest = Comparison(theirs)
    honest.compare(code)
    assert not honest.unexplained
    assert honest.features == 8

    class Shifted(type(theirs)):  # type: ignore[misc]
        def decode(self, bits: int, data: bytes, address: int) -> object:
            seen = super().decode(bits, data, address)
            return seen._replace(starts=[seen.starts[0], *(start + 1 for start in seen.starts[1:])])

    wrong = Comparison(Shifted())
    wrong.compare(code)
    assert wrong.unexplained
    blind = Comparison(theirs)
    blind._needs = {64: {}, 32: {}}
    blind.compare(code)
    assert sum(blind.unexplained.values()) == 8


def test_a_difference_in_an_encoding_is_seen(tmp_path: Path) -> None:
    """So are those of distinct encodings, weighed by how often each was met."""
    found = Collection(build(tmp_path, require_tool("cc", "gcc", "clang")))
    found.add(64, bytes.fromhex("c5f458c1 4889e5 f30fb8c1 90 e812345678 e878563412 0f04 c3") * 4)
    # The two calls are one encoding; 04 c3 is an add; nothing follows the last 0f.
    assert (found.instructions, len(found), found.undecoded) == (28, 8, 4)
    theirs = made("iced")
    honest = Comparison(theirs)
    honest.compare_encodings(found.encodings())
    assert (honest.instructions, honest.distinct, honest.features) == (28, 8, 8)
    assert not honest.unexplained, told(honest)

    class Longer(type(theirs)):  # type: ignore[misc]
        def decode(self, bits: int, data: bytes, address: int) -> object:
            seen = super().decode(bits, data, address)
            call = data.find(b"\xe8")
            kept = [start for start in seen.starts if call < 0 or not call < start < call + 9]
            return seen._replace(starts=kept, numbers=[n for s, n in zip(seen.starts, seen.numbers) if s in kept])

    wrong = Comparison(Longer())
    wrong.compare_encodings(found.encodings())
    assert sum(wrong.unexplained.values()) >= 8
    blind = Comparison(theirs)
    blind._needs = {64: {}, 32: {}}
    blind.compare_encodings(found.encodings())
    assert sum(blind.unexplained.values()) == 8


def test_every_rule_is_readable() -> None:
    found = rules()
    assert len(found) > 10
    assert all(rule.why for rule in found)


@pytest.mark.long
@pytest.mark.parametrize("name", ["iced", "capstone", "objdump", "llvm"])
def test_hundred_million_instructions(name: str) -> None:
    """``BASELINE_BUILD_TEST_BINARIES``: folders of large x86 files, colons between (default /usr/lib:/usr/bin)."""
    paths: List[Path] = [
        Path(item) for item in os.environ.get("BASELINE_BUILD_TEST_BINARIES", "/usr/lib:/usr/bin").split(":")
    ]
    found = collect([path for path in paths if path.exists()], LONG, require_tool("cc", "gcc", "clang"))
    (comparison,) = run(found, [made(name)])
    if comparison.instructions < LONG:
        missing(f"only {comparison.instructions:,} instructions below {paths}")
    assert not comparison.unexplained, told(comparison)
