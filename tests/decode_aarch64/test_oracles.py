"""The table against LLVM, objdump and capstone: samples of every row, random words, real code.

The long tier over 100 million words is ``python -m tests.decode_aarch64.differential`` (see there).
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Callable, Iterator, List, Sequence

import pytest

from baseline_build.decode.aarch64.table import rows
from tests.tools import missing, require_tool

from . import differential, llvm
from .differential import Capstone, Difference, Llvm, Objdump, explain, explanations

CROSS = Path("/usr/aarch64-linux-gnu/lib")
KNOWN = explanations()


def _of_every_row() -> List[int]:
    chance = random.Random(2024)
    return [row.value | chance.getrandbits(32) & ~row.mask for row in rows() for _ in range(3)]


def _at_random() -> List[int]:
    chance = random.Random(5)
    return [chance.getrandbits(32) for _ in range(15_000)]


def _of_real_code() -> List[int]:
    words = set()
    for name in ("libgcc_s.so.1", "libatomic.so.1", "libm.so.6"):
        path = CROSS / name
        if not path.exists():
            missing(f"{path} (Debian's libc6-arm64-cross) is not installed")
        for code in differential.code_of(path):
            words.update(memoryview(code).cast("I").tolist())
    return sorted(words)


SOURCES = [_of_every_row, _at_random, _of_real_code]


def _unexplained(found: Iterator[Difference]) -> List[Difference]:
    return [difference for difference in found if explain(difference, KNOWN) is None]


@pytest.mark.parametrize("words", SOURCES)
def test_llvm(words: Callable[[], List[int]]) -> None:
    if llvm.library() is None:
        missing("libLLVM 22 (Debian's llvm-22) is not installed")
    require_tool("llvm-mc-22")
    assert _unexplained(Llvm().differences(words())) == []


@pytest.mark.parametrize("words", SOURCES)
def test_objdump(words: Callable[[], Sequence[int]]) -> None:
    require_tool("aarch64-linux-gnu-objdump")
    assert _unexplained(Objdump().differences(words())) == []


@pytest.mark.parametrize("words", SOURCES)
def test_capstone(words: Callable[[], List[int]]) -> None:
    assert _unexplained(Capstone().differences(words())) == []
