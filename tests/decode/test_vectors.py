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
