"""For each single feature a program that uses just it; and the levels, against LLVM's idea of the versions."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import List, NamedTuple, Set

import pytest

from baseline_build import elf
from baseline_build.decode.aarch64.table import rows
from baseline_build.isa import AARCH64, Machine
from baseline_build.scan.code import decode_image
from tests.tools import require_tool

BASELINE = AARCH64.level("armv8-a")


class Sample(NamedTuple):
    feature: str
    attributes: str
    instruction: str


def _samples() -> List[Sample]:
    found = []
    for line in Path(__file__).with_name("programs.txt").read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip() if line.startswith("#") else line.strip()
        if text:
            feature, attributes, instruction = (cell.strip() for cell in text.split("|", 2))
            found.append(Sample(feature, attributes, instruction))
    return found


SAMPLES = _samples()
FIRST = {sample.feature: sample for sample in reversed(SAMPLES)}


def _assembled(folder: Path, source: str, attributes: str) -> bytes:
    """The object file LLVM's assembler makes of *source*, knowing nothing but the baseline and *attributes*."""
    names = ",".join(f"+{name}" for name in ("fp-armv8", "neon", *filter(None, attributes.split(","))))
    target = folder / "x.o"
    subprocess.run(
        [require_tool("llvm-mc-22"), "-triple=aarch64-linux-gnu", f"-mattr={names}", "-filetype=obj", "-o", "x.o"],
        input=source, cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return target.read_bytes()


def _linked(folder: Path, data: bytes) -> bytes:
    (folder / "y.o").write_bytes(data)
    linker = require_tool("aarch64-linux-gnu-ld")
    subprocess.run([linker, "-shared", "-o", "y.so", "y.o"], cwd=folder, check=True, capture_output=True)
    return (folder / "y.so").read_bytes()


def _source(instruction: str) -> str:
    return f".globl f\n.type f,%function\nf:\n add x9, x9, #1\n fadd d16, d16, d17\n{instruction}\n ret\n.size f,.-f\n"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.instruction.replace(" ", "_"))
def test_program_that_uses_just_one_feature(tmp_path: Path, sample: Sample) -> None:
    data = _assembled(tmp_path, _source(sample.instruction), sample.attributes)
    images = [elf.parse(data, "x.o")]
    if sample is FIRST[sample.feature]:
        images.append(elf.parse(_linked(tmp_path, data), "y.so"))
    for image in images:
        assert image.machine is Machine.AARCH64
        code = decode_image(image)
        assert code.undecoded() == ()
        marks = code.marks_above(BASELINE)
        assert len(marks) == 1
        needed = AARCH64.reduced(marks[0].features - BASELINE.features)
        assert needed == AARCH64.reduced(frozenset(sample.feature.split("+")))


def test_program_of_the_baseline(tmp_path: Path) -> None:
    source = _source(
        "bti c\n paciasp\n autiasp\n csdb\n yield\n hint #16\n"
        "ldxp x0, xzr, [x1]\n stxp w0, x1, xzr, [x2]\n ldar x0, [x1]"
    )
    code = decode_image(elf.parse(_linked(tmp_path, _assembled(tmp_path, source, "")), "y.so"))
    assert code.marks_above(BASELINE) == ()
    assert code.undecoded() == ()


def test_every_feature_of_the_table_has_a_program() -> None:
    in_table: Set[str] = {feature for row in rows() for feature in row.features} - {"unknown"}
    assert in_table - BASELINE.features == {sample.feature.split("+")[0] for sample in SAMPLES}
    assert in_table <= set(AARCH64.features)


# armvX.Y-a -> LLVM's name; what LLVM 22 says otherwise, and why the table is right.
VERSIONS = [(f"armv8.{minor}-a", f"v8.{minor}a") for minor in range(1, 10)] + [
    ("armv9-a", "v9a"), *((f"armv9.{minor}-a", f"v9.{minor}a") for minor in range(1, 5)),
]  # fmt: skip
NOT_IN_LLVM = {
    "armv9-a": {"sve", "sve2", "fp16"},  # llvm-mc's +v9a switches on what is mandatory without SVE
    "armv9.4-a": {"sve2p1"},  # mandatory with SVE2 from Armv9.4 (DDI 0487, FEAT_SVE2p1); gcc 15 agrees
}
ONLY_IN_LLVM: Set[str] = set()


@pytest.mark.parametrize(("level", "version"), VERSIONS)
def test_levels_hold_what_llvm_says(level: str, version: str) -> None:
    features = AARCH64.level(level).features
    told = _accepted(version)
    absent: Set[str] = set()
    for name, missing in NOT_IN_LLVM.items():
        if name <= level and level.startswith("armv9"):
            absent |= missing
    assert told - ONLY_IN_LLVM == features - BASELINE.features - absent


def _accepted(version: str) -> Set[str]:
    """Features of the programs that LLVM's assembler takes for *version*: those without an error at their line.

    It is not asked about what it takes for every version.
    """
    samples = list({sample.feature: sample for sample in SAMPLES if sample.attributes}.values())
    done = subprocess.run(
        [require_tool("llvm-mc-22"), "-triple=aarch64-linux-gnu", f"-mattr=+fp-armv8,+neon,+{version}"],
        input="\n".join(sample.instruction for sample in samples), check=False, capture_output=True, text=True,
    )  # fmt: skip
    refused = {int(number) for number in re.findall(r"<stdin>:(\d+):\d+: error", done.stderr)}
    return {sample.feature for line, sample in enumerate(samples, 1) if line not in refused}


def test_levels_only_grow() -> None:
    for family in ("armv8", "armv9"):
        levels = [level for level in AARCH64.levels if level.name.startswith(family)]
        for lower, upper in zip(levels, levels[1:]):
            assert lower.features < upper.features
    assert AARCH64.level("armv8.5-a").features < AARCH64.level("armv9-a").features
    assert not {"crc", "aes", "sha2"} & BASELINE.features
