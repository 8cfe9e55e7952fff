"""Tables of pairs of functions, read at twice a number nobody knows plus a flag: proven, and no way to break it is."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path

import pytest

from baseline_build.scan.guard import arithmetic
from baseline_build.scan.guard.values import Bits, Value, as_bits, join, stepped
from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import KINDS, SAMPLES, judged
from .test_samples import X86

SOURCE = Path(__file__).parent / "structures" / "pairs.c"
RIGHT = ("RIGHT", "BIASED", "PACKED", "WIDE", "ORED", "LESS")
BROKEN = ("LOWER", "INVERTED", "SWAPPED", "SHIFTED", "ODD", "SINGLE", "TRIPLE", "BOTH", "WRITTEN", "SECOND", "MERGED",
          "DOUBLED", "TWICE", "RAISED")  # fmt: skip
# Clang adds up the address, or makes the index of more than the flag: right, and not followed yet.
UNFOLLOWED = {("clang", "PACKED"), ("clang", "LESS")}


def check(folder: Path, how: str, compiler: str, level: str, kind: str) -> None:
    path = folder / f"{how.lower()}-{kind}"
    command = [require_tool(compiler), level, *KINDS[kind], "-w", "-s", "-I", str(SAMPLES)]
    command += [*(f"-D{name}={number}" for number, name in enumerate(RIGHT + BROKEN)), f"-DHOW={how}"]
    done = subprocess.run([*command, str(SOURCE), "-o", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    verdict, found = judged(path)
    told = "\n".join(f"{j.verdict.value} {j.ground} {j.path} {j.guard}" for j in found)
    proven = how in RIGHT and (compiler, how) not in UNFOLLOWED
    assert verdict is (Verdict.GUARDED if proven else Verdict.UNPROVEN), told
    assert X86.survives(path, X86.olds["lower"]) == (how in RIGHT)
    assert X86.survives(path, X86.new)


@pytest.mark.parametrize("how", RIGHT + BROKEN)
def test_only_the_flag_chooses(tmp_path: Path, how: str) -> None:
    check(tmp_path, how, "gcc", "-O2", "pie")


@pytest.mark.long
@pytest.mark.parametrize("level", ["-O1", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_all_builds(tmp_path: Path, compiler: str, level: str) -> None:
    for how, kind in product(RIGHT + BROKEN, ("pie", "fixed")):
        check(tmp_path, how, compiler, level, kind)


def _admits(bits: Bits, number: int, facts: int) -> bool:
    """Whether the pattern holds *number* and tells no more of it than *facts*."""
    if number & bits.zero or ~number & bits.one:
        return False
    told = 0
    for bit, known in bits.ones.items():
        told |= known if number >> bit & 1 else 0
    for bit, known in bits.zeros.items():
        told |= known if not number >> bit & 1 else 0
    return not told & ~facts


@pytest.mark.parametrize("name", ["add", "sub", "or", "xor", "and", "mul", "shl"])
def test_sums_hold_every_number_they_may_be(name: str) -> None:
    others = [{1: 2, 0: 1}, {0: 0, 1: 4}, {3: 1, 4: 0, 6: 2}, {5: 0}, {255: 1, 0: 2}, {12: 0}]
    concrete = {"add": int.__add__, "sub": int.__sub__, "or": int.__or__, "xor": int.__xor__, "and": int.__and__,
                "mul": int.__mul__, "shl": int.__lshift__}[name]  # fmt: skip
    steps = [(count, rest) for count in range(4) for rest in range(1 << count)]
    for (count, rest), keys, turned, width in product(steps, others, (False, True), (8, 32)):
        if turned and name == "shl":
            continue
        value = stepped(count, rest)
        found = arithmetic.binary(name, Value(keys), value, width) if turned else None
        found = found or arithmetic.binary(name, value, Value(keys), width)
        known = as_bits(found)
        if found.plain:
            low = getattr(found, "count", 0), getattr(found, "rest", 0)
            known = Bits((1 << low[0]) - 1 & ~low[1], low[1], {}, {})
        assert known is not None
        for key, more in product(keys, range(20)):
            number = rest + (more << count)
            result = concrete(key, number) if turned else concrete(number, key & 31 if name == "shl" else key)
            assert _admits(known, result & (1 << width) - 1, keys[key]), (found, number, key)


def test_what_may_be_either_keeps_the_common_bits() -> None:
    assert join(stepped(3, 5), 0, stepped(2, 1), 0) is stepped(2, 1)
    assert join(stepped(3, 5), 0, stepped(3, 1), 0) is stepped(2, 1)
    assert join(stepped(3, 4), 0, stepped(3, 1), 0) is stepped(0, 0)


def test_what_is_cut_off_is_not_known_any_more() -> None:
    assert arithmetic.resized(stepped(3, 5), 32) is stepped(3, 5)
    assert arithmetic.resized(stepped(3, 5), 2) is stepped(2, 1)
    assert arithmetic.extended(stepped(3, 5), 1, 64) is stepped(1, 1)
    assert arithmetic.taken(stepped(3, 5), 1, 32) is stepped(0, 0)
