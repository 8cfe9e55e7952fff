"""The portable and the compiled engine give the same answers; the traps of the encoding space."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Sequence, Tuple

import pytest

from baseline_build import decode, elf
from baseline_build.decode.aarch64 import instruction, requirement, sweep
from baseline_build.decode.aarch64.table import rows
from baseline_build.decode.engine import VARIABLE, library
from baseline_build.decode.model import Flow, Sweep
from baseline_build.errors import InternalError
from baseline_build.isa import AARCH64, Machine
from tests.tools import missing

CROSS = Path("/usr/aarch64-linux-gnu/lib")
BASELINE = AARCH64.level("armv8-a").features


def _both(
    monkeypatch: pytest.MonkeyPatch, code: bytes, address: int, data: Sequence[Tuple[int, int]] = ()
) -> Tuple[Sweep, Sweep]:
    if library() is None:
        missing("the compiled engine is not built (python -m baseline_build.decode._engine_build)")
    monkeypatch.setenv(VARIABLE, "python")
    portable = sweep(code, address, (), data)
    monkeypatch.setenv(VARIABLE, "c")
    return portable, sweep(code, address, (), data)


@pytest.mark.parametrize("seed", range(12))
def test_engines_agree_on_random_bytes(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    code = chance.randbytes(chance.randrange(60_000))
    address = chance.randrange(1 << 40)
    starts = sorted(chance.randrange(len(code) + 1) for _ in range(chance.randrange(4)))
    data = [(address + start, address + start + chance.randrange(1, 90)) for start in starts]
    portable, compiled = _both(monkeypatch, code, address, data)
    assert portable == compiled


@pytest.mark.parametrize("name", ["libc.so.6", "libgcc_s.so.1", "libatomic.so.1"])
def test_engines_agree_on_real_code(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = CROSS / name
    if not path.exists():
        missing(f"{path} (Debian's libc6-arm64-cross and libgcc-s1-arm64-cross) is not installed")
    image = elf.parse(path.read_bytes(), name)
    for region in image.regions:
        portable, compiled = _both(monkeypatch, bytes(region.data), region.address, image.data_ranges)
        assert portable == compiled


@pytest.mark.parametrize("engine", ["python", "c"])
def test_every_word_is_told_of_once(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    if engine == "c" and library() is None:
        missing("the compiled engine is not built (python -m baseline_build.decode._engine_build)")
    monkeypatch.setenv(VARIABLE, engine)
    chance = random.Random(7)
    code = b"".join(
        (row.value | chance.getrandbits(32) & ~row.mask).to_bytes(4, "little") for row in rows() for _ in range(3)
    )
    found = sweep(code, 0x1000)
    assert found.instructions + sum(length for _, length in found.undecoded) // 4 == len(code) // 4
    marks = dict(zip(found.mark_addresses, found.mark_requirements))
    branches = dict(zip(found.branch_addresses, zip(found.branch_flows, found.branch_targets)))
    for offset in range(0, len(code), 4):
        one = instruction(code, 0x1000, offset)
        place = 0x1000 + offset
        assert one.address == place
        if one.valid:
            assert one.features <= BASELINE or requirement(marks[place]) == one.features
        assert (place in marks) is (one.valid and not one.features <= BASELINE)
        assert (place in branches) is (one.flow is not Flow.NEXT)
        if place in branches:
            assert branches[place] == (one.flow, one.target or 0)


WORDS = [
    # stxp and ldxp whose second register is xzr look like CAS by their bits 14:10.
    (0xC8207C41, "stxp", ""), (0xC87F7C40, "ldxp", ""), (0x88207C41, "stxp", ""), (0xC8A07C41, "cas", "lse"),
    (0x48207C82, "casp", "lse"), (0x08A07C41, "casb", "lse"), (0xC89FFC20, "stlr", ""), (0xC8DFFC20, "ldar", ""),
    (0xC8DF7C20, "ldlar", "lor"),
    # ldapr stands inside the LSE group.
    (0xF8BFC020, "ldapr", "rcpc"), (0xF8A00020, "ldadda", "lse"), (0xF8A08020, "swpa", "lse"),
    # half precision overlaps NEON by the size field.
    (0x4E401420, "fadd", "fp16 simd"), (0x4E20D420, "fadd", "simd"), (0x4E608420, "add", "simd"),
    (0x0EC01420, "fsub", "fp16 simd"), (0x1EE12800, "fadd", "fp16"), (0x1E612800, "fadd", "fp"),
    (0x1EE24020, "fcvt", "fp"), (0x1E23C020, "fcvt", "fp"), (0x0E217820, "fcvtl", "simd"),
    # the hint space is a NOP to CPUs that do not know the hint.
    (0xD503201F, "hint", ""), (0xD503245F, "hint", ""), (0xD503233F, "hint", ""), (0xD50323BF, "hint", ""),
    (0xD503229F, "hint", ""), (0xD50320DF, "hint", ""), (0xD503203F, "hint", ""), (0xD5032FDF, "hint", ""),
    # these are not hints.
    (0xD65F0BFF, "retaa", "pauth"), (0xD63F083F, "blraaz", "pauth"), (0xF8200420, "ldraa", "pauth"),
    # system registers.
    (0xD53B2400, "mrs", "rng"), (0xD53BD040, "mrs", ""), (0xD5380600, "mrs", ""), (0xD53B4200, "mrs", ""),
    (0xD503477F, "msr", "sme"), (0xD50B7423, "sys", ""), (0xD5033BBF, "dmb", ""), (0xD50330FF, "sb", "sb"),
    (0x00000000, "udf", ""), (0x0000FFFF, "udf", ""), (0x04E0E3E0, "cntd", "sve"), (0x9AC12000, "lslv", ""),
    (0xD4200000, "brk", ""), (0x0420BC20, "movprfx", "sve"), (0x05870D77, "sve-encoding", "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "mnemonic", "features"), WORDS, ids=lambda value: f"{value:08x}" if isinstance(value, int) else value
)
def test_traps(word: int, mnemonic: str, features: str) -> None:
    one = instruction(word.to_bytes(4, "little"), 0)
    assert one.valid
    assert (one.mnemonic, one.features) == (mnemonic, frozenset(features.split()))


@pytest.mark.parametrize(
    "word", [0x00010000, 0xFFFFFFFF, 0x12001C00 | 0xFC00, 0x8B20FC00, 0x06000000, 0x1E000000 | 0xC0FC00]
)
def test_unallocated_words_are_not_decoded(word: int) -> None:
    assert not instruction(word.to_bytes(4, "little"), 0).valid


def _words(*words: int) -> bytes:
    return b"".join(word.to_bytes(4, "little") for word in words)


@pytest.mark.parametrize(
    ("word", "flow", "target"),
    [
        (0x14000002, Flow.JUMP, 0x4008), (0x97FFFFFF, Flow.CALL, 0x3FFC), (0x54000040, Flow.BRANCH, 0x4008),
        (0xB4FFFFE0, Flow.BRANCH, 0x3FFC), (0x36000040, Flow.BRANCH, 0x4008), (0x37FFFFE0, Flow.BRANCH, 0x3FFC),
        (0xD61F0000, Flow.JUMP_INDIRECT, None), (0xD63F0000, Flow.CALL_INDIRECT, None), (0xD65F03C0, Flow.RETURN, None),
        (0xD65F0BFF, Flow.RETURN, None), (0xD71F0801, Flow.JUMP_INDIRECT, None), (0xD4200000, Flow.STOP, None),
        (0x00000000, Flow.STOP, None), (0x74200040, Flow.BRANCH, 0x4008), (0xD4000001, Flow.NEXT, None),
    ],
)  # fmt: skip
def test_flow(word: int, flow: Flow, target: int) -> None:
    one = instruction(_words(word), 0x4000)
    assert (one.flow, one.target) == (flow, target)


def test_references() -> None:
    # adrp x16; ldr x17, [x16, #8]; add x16, x16, #8; adr x0; ldr x1, literal; adrp x2; mov x2, x3; add x2, x2, #1
    code = _words(0xD0000010, 0xF9400611, 0x91002210, 0x10000020, 0x58000041, 0x90000002, 0xAA0303E2, 0x91000442)
    found = sweep(code, 0x10000)
    assert list(zip(found.reference_addresses, found.reference_targets)) == [
        (0x10000, 0x12000), (0x10004, 0x12008), (0x10008, 0x12008), (0x1000C, 0x10010), (0x10010, 0x10018),
        (0x10014, 0x10000),
    ]  # fmt: skip
    assert instruction(code, 0x10000, 16).memory == 0x10018


def test_pieces_that_are_no_words() -> None:
    found = sweep(b"\x00" * 3, 0x1001)
    assert (found.instructions, found.undecoded) == (0, ((0x1001, 3),))
    found = sweep(b"\xff" * 2 + _words(0xD503201F) + b"\x00", 0x1002)
    assert (found.instructions, found.undecoded) == (1, ((0x1002, 2), (0x1008, 1)))
    assert not instruction(b"\x00\x00\x00", 0).valid
    assert not instruction(_words(0xD503201F), 2).valid


def test_declared_data_is_passed_over() -> None:
    code = _words(0xD503201F, 0xF8A00020, 0xF8A00020, 0xD503201F)
    assert list(sweep(code, 0, (), [(4, 8)]).mark_addresses) == [8]
    assert decode.sweep(Machine.AARCH64, code, 0, (), [(4, 12)]).instructions == 2


def test_damaged_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "encodings.txt"
    broken.write_text("ffffffff | 00000000 | x | \n", encoding="utf-8")
    monkeypatch.setattr("baseline_build.decode.aarch64.table.PATH", broken)
    rows.cache_clear()
    try:
        with pytest.raises(InternalError) as caught:
            rows()
    finally:
        rows.cache_clear()
    assert caught.value.code == "BB901"
