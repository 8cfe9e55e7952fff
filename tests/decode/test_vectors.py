"""Bytes whose meaning is written down in ``vectors.txt``: one test each."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, List, NamedTuple

import pytest

from baseline_build.decode import Flow, instruction, requirement, sweep
from baseline_build.isa import X86, Machine

MACHINES = {"64": Machine.X86_64, "32": Machine.I386}
LOWEST = {"64": X86.level("x86-64").features, "32": X86.level("i686").features}


class Vector(NamedTuple):
    mode: str
    code: bytes
    length: int
    mnemonic: str
    features: frozenset[str]
    flow: Flow


def vectors() -> Iterator[Vector]:
    text = Path(__file__).with_name("vectors.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            mode, code, length, mnemonic, features, flow = line.split(" | ")
            names = frozenset() if features == "-" else frozenset(features.split())
            kind = Flow[flow.strip().upper().replace("-", "_")]
            yield Vector(mode, bytes.fromhex(code), int(length), mnemonic, names, kind)


VECTORS: List[Vector] = list(vectors())
IDS = [f"{vector.mode}-{vector.code.hex()}" for vector in VECTORS]


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_instruction(vector: Vector) -> None:
    found = instruction(MACHINES[vector.mode], vector.code, 0x1000)
    assert found.valid == bool(vector.length)
    assert found.length == (vector.length or 1)
    assert found.mnemonic == vector.mnemonic
    assert found.features == vector.features
    assert found.flow == vector.flow
    assert found.address == 0x1000


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
@pytest.mark.parametrize("engine", ["python", "auto"])
def test_sweep_says_the_same(vector: Vector, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASELINE_BUILD_ENGINE", engine)
    machine = MACHINES[vector.mode]
    found = sweep(machine, vector.code, 0x1000, [0x1000, 0x1000 + (vector.length or 1)])
    marked = [
        (place, requirement(machine, number)) for place, number in zip(found.mark_addresses, found.mark_requirements)
    ]
    above = bool(vector.length) and not vector.features <= LOWEST[vector.mode]
    assert [entry for entry in marked if entry[0] == 0x1000] == ([(0x1000, vector.features)] if above else [])
    branches = dict(zip(found.branch_addresses, found.branch_flows))
    assert branches.get(0x1000, Flow.NEXT) == vector.flow
    undecoded_first = any(start == 0x1000 for start, _ in found.undecoded)
    assert undecoded_first != bool(vector.length)


#: The levels' own features; with any other one an instruction is above every level.
OWN = {
    "x86-64": "cmov cx8 fxsr mmx sse sse2",
    "x86-64-v2": "cx16 popcnt sahf sse3 sse4.1 sse4.2 ssse3",
    "x86-64-v3": "avx avx2 bmi bmi2 f16c fma lzcnt movbe xsave",
    "x86-64-v4": "avx512bw avx512cd avx512dq avx512f avx512vl",
}


def test_every_feature_has_a_vector_and_its_level() -> None:
    seen = {name for vector in VECTORS for name in vector.features}
    assert seen == X86.features.keys() - {"avx10.1"}  # a sum of others, without an instruction of its own
    levels = {name: level for level, names in OWN.items() for name in names.split()}
    for vector in VECTORS:
        expected = max((levels.get(name, "x86-64-v9") for name in vector.features), default="x86-64")
        lowest = X86.lowest_level(X86.closure(vector.features) | X86.level("x86-64").features)
        assert (lowest.name if lowest else "x86-64-v9") == expected, vector
