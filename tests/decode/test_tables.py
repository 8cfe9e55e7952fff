"""The opcode tables: generated ones agree with their generator, all can be read, every row can be reached."""

from __future__ import annotations

import re
from typing import Iterator, List, Tuple

import pytest

from baseline_build.decode import instruction
from baseline_build.decode.x86 import generate
from baseline_build.decode.x86.rows import FILES, Index, Place, Row
from baseline_build.errors import InternalError
from baseline_build.isa import X86, Machine

from .synthesis import encoded

INDEX = Index()
#: Rows whose bytes another row stands for.
STAND_INS = (
    r" xchg 90 -> nop ",
    r" reservednop 0f1f\w\w -> nop ",
    r" (knot|kmov|kortest) c4\w+ -> (knot|kmov|kortest)w ",  # Knights Corner's, taken over by AVX-512
    r"'mvex'.*'apxf'",  # the same bytes with X4
    r"'mvex'.* vmovnrngoap\w .* -> vmovnrap",  # told apart by the eviction hint
)
MACHINES = {64: Machine.X86_64, 32: Machine.I386}


def every_row() -> Iterator[Tuple[Place, Row]]:
    for place in INDEX.places():
        for row in INDEX.get(*place):
            yield place, row


def test_generated_tables_agree_with_the_generator() -> None:
    for name, text in generate.tables().items():
        assert (generate.HERE / name).read_text(encoding="utf-8") == text, name
    assert generate.main(["--check"]) == 0


def test_hand_written_tables_repeat_no_generated_row() -> None:
    generated = {line for text in generate.tables().values() for line in text.splitlines()}
    for name in ("supplement", "apx"):
        lines = (generate.HERE / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        rows = [line for line in lines if not line.startswith("#")]
        assert not generated.intersection(rows)
        assert len(rows) == len(set(rows))


def test_every_row_can_be_read() -> None:
    assert len(list(every_row())) > 4500


def test_every_feature_is_one_of_the_isa() -> None:
    used = {feature for _, row in every_row() for feature in row.features}
    assert used <= set(X86.features)
    in_levels = {feature for level in X86.levels for feature in level.features}
    assert in_levels <= set(X86.features)
    assert "unknown" not in in_levels
    assert set(generate.read_features().values()) - {"-", "absent"} <= set(X86.features)


def test_no_vector_encoding_is_of_the_baseline() -> None:
    """The lowest CPUs fault on all that VEX, EVEX, XOP, MVEX or REX2 begins, whatever the legacy form of it does."""
    lowest = X86.level("x86-64").features
    found = [
        (place, row.mnemonic)
        for place, row in every_row()
        if place[0] in ("vex", "evex", "xop", "mvex", "rex2") and lowest.issuperset(row.features)
    ]
    assert found == []


def test_levels_are_those_of_the_psabi() -> None:
    names = [level.name for level in X86.levels]
    assert names == ["i686", "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"]
    for lower, higher in zip(X86.levels, X86.levels[1:]):
        assert lower.features < higher.features
    assert X86.lowest_level(frozenset({"sse3"})) == X86.level("x86-64-v2")
    assert X86.lowest_level(frozenset({"avx512vl", "avx512f"})) == X86.level("x86-64-v4")
    assert X86.lowest_level(frozenset({"aes"})) is None


def test_every_row_can_be_reached() -> None:
    """Bytes made from each row decode to it, in each of its modes, but for the few that another row stands for."""
    lost: List[str] = []
    count = 0
    for place, row in every_row():
        for mode in (64, 32) if row.mode == -1 else (row.mode,):
            code = encoded(place, row, mode)
            if code is None:
                continue
            count += 1
            found = instruction(MACHINES[mode], code + bytes(15), 0)
            if not found.valid or found.mnemonic != row.mnemonic or found.features != set(row.features):
                lost.append(f"{mode} {place} {row.mnemonic} {code.hex()} -> {found.mnemonic} {sorted(found.features)}")
    unexpected = [line for line in lost if not any(re.search(pattern, line) for pattern in STAND_INS)]
    assert count > 7000
    assert not unexpected, "\n".join(unexpected[:40])


@pytest.mark.parametrize("line", ["vex | 1 | np", "vex | x | np | 00 | 0 | 0 | * | * | - | - | next | - | nop | -"])
def test_an_unreadable_row_is_told(line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from pathlib import Path

    from baseline_build.decode.x86 import rows

    folder = Path(str(tmp_path))
    for name in FILES:
        (folder / f"{name}.txt").write_text(f"# nothing\n{line if name == 'vex' else ''}\n", encoding="utf-8")
    monkeypatch.setattr(rows, "_HERE", folder)
    with pytest.raises(InternalError, match=r"BB910: vex.txt:2"):
        Index()
