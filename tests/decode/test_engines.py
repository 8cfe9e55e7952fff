"""The compiled engine gives the portable one's answers: on random bytes, on encodings, on real code."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from array import array
from pathlib import Path
from typing import List, Sequence, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseline_build.decode import Sweep, instruction, requirement
from baseline_build.decode.engine import library
from baseline_build.decode.x86 import compiled, engine
from baseline_build.decode.x86.automaton import states
from baseline_build.errors import InternalError
from baseline_build.isa import Machine

from ..tools import missing, require_tool
from .differential import Code

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FIRST = [
    bytes.fromhex(text) for text in ("", "0f", "0f38", "0f3a", "0f0f", "c5", "c4e2", "62f17c", "62f4", "8fe9", "d5")
]
PREFIXES = [b"", b"", b"", b"\x66", b"\xf3", b"\xf2", b"\x67", b"\xf0", b"\x64", b"\x48", b"\x41"]

pieces = st.tuples(st.sampled_from(PREFIXES), st.sampled_from(PREFIXES), st.sampled_from(FIRST), st.binary(max_size=9))
codes = st.lists(pieces, max_size=20).map(lambda found: b"".join(b"".join(piece) for piece in found))


def both(
    mode: int, code: bytes, address: int, entries: Sequence[int] = (), data: Sequence[Tuple[int, int]] = ()
) -> Tuple[Sweep, Sweep]:
    built = library()
    if built is None:
        missing("the compiled engine is not built: python -m baseline_build.decode._engine_build")
    assert built is not None
    ours = engine.sweep(mode, code, address, entries, data)
    return ours, compiled.sweep(built, mode, code, address, entries, data)


@settings(max_examples=120, deadline=None)
@given(
    mode=st.sampled_from([64, 32]),
    code=codes,
    address=st.sampled_from([0, 0x1000, 0xFFFFFFF0, 2**64 - 64]),
    entries=st.lists(st.integers(0, 200), max_size=6),
    data=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 20)), max_size=3),
)
def test_same_answers_on_random_encodings(
    mode: int, code: bytes, address: int, entries: List[int], data: List[Tuple[int, int]]
) -> None:
    ranges = [(address + start, address + start + length) for start, length in sorted(data)]
    python, c = both(mode, code, address, [address + entry for entry in sorted(entries)], ranges)
    assert python == c


@settings(max_examples=100, deadline=None)
@given(mode=st.sampled_from([64, 32]), code=codes)
def test_sweep_and_instruction_agree(mode: int, code: bytes) -> None:
    machine = Machine.X86_64 if mode == 64 else Machine.I386
    found = engine.sweep(mode, code, 0)
    skipped = {place for start, length in found.undecoded for place in range(start, start + length)}
    marks = dict(zip(found.mark_addresses, found.mark_requirements))
    targets = dict(zip(found.branch_addresses, found.branch_targets))
    references = dict(zip(found.reference_addresses, found.reference_targets))
    lowest = states(mode).lowest
    offset = count = 0
    while offset < len(code):
        one = instruction(machine, code, 0, offset)
        assert one.valid == (offset not in skipped)
        if one.valid:
            count += 1
            above = frozenset() if one.features <= lowest else one.features
            assert (requirement(machine, marks[offset]) if offset in marks else frozenset()) == above
            assert (one.target or 0) == targets.get(offset, 0)
            assert one.memory == references.get(offset)
        elif all(place in skipped for place in range(offset, len(code))):
            break  # it runs over the end: the sweep gives up all that is left
        offset += one.length
    assert count == found.instructions


@pytest.mark.fuzz
def test_same_answers_on_megabytes_of_noise() -> None:
    noise = random.Random(20250101)
    for mode in (64, 32):
        for _ in range(20):
            code = noise.randbytes(1 << 18)
            entries = sorted(noise.sample(range(1 << 18), 2000))
            python, c = both(mode, code, 0, entries)
            assert python == c


def test_same_answers_on_real_code(real_code: Code) -> None:
    entries = list(range(real_code.address, real_code.address + len(real_code.data), 4096))
    python, c = both(real_code.bits, real_code.data[: 1 << 20], real_code.address, entries)
    assert python == c
    assert python.instructions > 100_000


@pytest.mark.build
def test_compiled_engine_stays_within_its_buffers(tmp_path: Path) -> None:
    compiler = require_tool("gcc", "cc")
    program = tmp_path / "harness"
    flags = ["-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [str(HERE / "harness.c"), f"-I{ROOT / 'baseline_build' / 'decode'}"]
    subprocess.run([compiler, *flags, *sources, "-o", str(program)], check=True)
    noise = random.Random(7)
    for mode in (64, 32):
        samples = [noise.randbytes(noise.choice([1, 2, 3, 15, 16, 4096, 60000])) for _ in range(12)]
        samples += [bytes.fromhex("660f1f84"), b"\x66" * 40, bytes.fromhex("62f17c4858"), b"\x0f\x0f\x05"]
        for number, sample in enumerate(samples):
            expected = engine.sweep(mode, sample, 0x1000)
            table = tmp_path / "table"
            table.write_bytes(array("i", states(mode).entries).tobytes())
            suffixes = tmp_path / "suffixes"
            suffixes.write_bytes(array("i", states(mode).suffixes).tobytes())
            code = tmp_path / f"code{number}"
            code.write_bytes(sample)
            command = [str(program), str(mode), str(table), str(suffixes), str(code)]
            environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
            assert done.returncode == 0, done.stderr
            counts = [int(word) for word in done.stdout.split()]
            assert counts == [
                expected.instructions,
                len(expected.mark_addresses),
                len(expected.branch_addresses),
                len(expected.reference_addresses),
                sum(length for _, length in expected.undecoded),
            ]


PROBE = """
import hashlib, sys
from baseline_build.decode import engine_name, requirement, sweep
from baseline_build.isa import Machine
code = open(sys.argv[1], "rb").read()
found = sweep(Machine.X86_64, code, 0x1000, range(0x1000, 0x1000 + len(code), 512))
needs = [sorted(requirement(Machine.X86_64, number)) for number in found.mark_requirements]
facts = [found.instructions, list(found.mark_addresses), needs, list(found.branch_targets), found.undecoded,
         list(found.reference_targets)]
print(engine_name(), hashlib.sha256(repr(facts).encode()).hexdigest())
"""


def test_pypy_agrees(real_code: Code, tmp_path: Path) -> None:
    pypy = require_tool("pypy3", "pypy3.11", "pypy3.10")
    path = tmp_path / "code"
    path.write_bytes(real_code.data[:200_000] + random.Random(1).randbytes(50_000))
    answers = set()
    for program in (sys.executable, pypy):
        environment = {"PYTHONPATH": str(ROOT), "BASELINE_BUILD_ENGINE": "python", "PATH": os.environ["PATH"]}
        command = [program, "-c", PROBE, str(path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        answers.add(done.stdout)
    assert len(answers) == 1, answers


def test_a_damaged_table_is_told_and_never_read_on() -> None:
    built = library()
    if built is None:
        missing("the compiled engine is not built: python -m baseline_build.decode._engine_build")
    assert built is not None
    one = compiled.Pass(built, 64, b"\x90\x0f\xa2\xc3", 0x1000, [(0, 4)])
    whole = one.mirror
    one.mirror = compiled.Mirror(whole.machine)
    one.mirror.entries = array("i", [-(1 << 30)] * len(whole.entries))  # every state leads out of the table
    with pytest.raises(InternalError) as caught:
        one.run()
    assert str(caught.value) == "BB913: offset 0x0: the decoder's table is damaged"


def test_a_walk_to_no_instruction_has_no_name() -> None:
    with pytest.raises(InternalError) as caught:
        states(64).identity([(-1, 0x0F), (-1, 0xA2)])
    assert str(caught.value) == "BB914: 0f a2: an instruction without name"
