"""Dispatch samples compiled here, each with broken twins; the verdict is compared with an emulated old CPU."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

import pytest

from baseline_build.elf import parse
from baseline_build.isa import baseline_of
from baseline_build.scan import guard
from baseline_build.scan.code import decode_image
from baseline_build.scan.model import Verdict, gravest
from tests.tools import require_tool

SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.c"))

# Broken twins: what is defined differently. None of them may ever be called guarded.
TWINS: Dict[str, Tuple[str, ...]] = {
    "good": (),
    "removed": ("-DTEST=1",),
    "lower": ('-DTEST=__builtin_cpu_supports("sse4.2")', "-DRAW=(1u<<3)"),
    "inverted": ('-DTEST=!__builtin_cpu_supports("avx2")',),
    "late": ("-DBEFORE(out,in)=fast(out,in)",),
    "above": ("-DBEFORE(out,in)=FAST_HERE(out,in)",),
    "initialiser": ("-include", str(SAMPLES / "initialiser.h")),
}
# Twins in which a ground of the design surely applies.
SURE = {"above", "initialiser"}
# The CPU on which a twin fails: the lowest level, or one with the lower feature and without the needed one.
OLD_CPU = "Opteron_G1,-sse3"
CPUS = {"lower": "Haswell-noTSX,-avx2"}
SIGILL = 4
# Right samples whose test cannot be followed yet: they stay ``unproven``, which is safe, and are not what we want.
UNFOLLOWED = {
    ("gcc", "-O0", "moved"), ("gcc", "-O0", "raw"), ("gcc", "-O0", "same"),
    ("clang", "-O0", "lazy"), ("clang", "-O0", "moved"), ("clang", "-O0", "raw"),
    ("clang", "-O2", "levels"), ("clang", "-O2", "mask"), ("clang", "-O2", "table"),
    ("clang", "-O3", "levels"), ("clang", "-O3", "mask"), ("clang", "-O3", "table"),
}  # fmt: skip


class Build(NamedTuple):
    """How a sample is compiled."""

    compiler: str
    level: str
    kind: str

    @property
    def title(self) -> str:
        return f"{self.compiler}{self.level}-{self.kind}"


KINDS = {"pie": ("-fPIE", "-pie"), "fixed": ("-fno-pie", "-no-pie"), "shared": ("-fPIC", "-shared")}
ALL = [Build(c, o, k) for c in ("gcc", "clang") for o in ("-O0", "-O2", "-O3") for k in KINDS]


def compiled(tmp_path: Path, name: str, twin: str, build: Build, *, strip: bool = False) -> Path:
    compiler = require_tool(build.compiler)
    target = tmp_path / f"{name}-{twin}"
    options = [*KINDS[build.kind], *TWINS[twin], *(("-s",) if strip else ())]
    if twin == "lower" and name == "raw":
        options = [option for option in options if not option.startswith("-DTEST")]
    command = [compiler, build.level, "-w", "-I", str(SAMPLES), *options, str(SAMPLES / f"{name}.c"), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def judged(path: Path) -> Tuple[Verdict, List[guard.Judgement]]:
    image = parse(path.read_bytes(), path.name)
    code = decode_image(image)
    marks = code.marks_above(baseline_of(image.machine))
    assert marks, "the sample has code above the baseline"
    found = guard.judge(image, code, marks, detected_elsewhere=False)
    assert sorted(mark for judgement in found for mark in judgement.marks) == sorted(marks)
    return gravest([judgement.verdict for judgement in found]), list(found)


def survives(path: Path, twin: str) -> bool:
    """Whether the program runs to its end on an emulated old CPU."""
    emulator = require_tool("qemu-x86_64", "qemu-x86_64-static")
    done = subprocess.run(
        [emulator, "-cpu", CPUS.get(twin, OLD_CPU), str(path)], capture_output=True, check=False, timeout=60
    )
    assert done.returncode in (0, -SIGILL, 128 + SIGILL), done.stderr
    return done.returncode == 0


def check(tmp_path: Path, name: str, twin: str, build: Build, *, strip: bool = False) -> None:
    path = compiled(tmp_path, name, twin, build, strip=strip)
    verdict, found = judged(path)
    told = "\n".join(f"{j.verdict.value} {sorted(j.features)} {j.ground} {j.path} {j.guard}" for j in found)
    if twin == "good" and (build.compiler, build.level, name) in UNFOLLOWED:
        assert verdict is Verdict.UNPROVEN, told
    elif twin == "good":
        assert verdict is Verdict.GUARDED, told
        assert all(j.guard for j in found), told
    else:
        assert verdict in (Verdict.UNPROVEN, Verdict.VIOLATION), told
    if twin in SURE:
        assert verdict is Verdict.VIOLATION, told
    if build.kind != "shared":
        assert survives(path, twin) == (twin == "good"), told


def _slice() -> List[Tuple[str, str]]:
    """Every sample as it should be, and one broken twin of each, so that all twins occur; the rest is ``long``."""
    broken = [twin for twin in TWINS if twin != "good"]
    return [(name, "good") for name in NAMES] + [
        (name, broken[index % len(broken)]) for index, name in enumerate(NAMES)
    ]


@pytest.mark.parametrize(("name", "twin"), _slice())
def test_sample(tmp_path: Path, name: str, twin: str) -> None:
    check(tmp_path, name, twin, Build("gcc", "-O2", "pie"))


@pytest.mark.long
@pytest.mark.parametrize("build", ALL, ids=lambda build: build.title)
def test_all_builds(tmp_path: Path, build: Build) -> None:
    for name in NAMES:
        for twin in TWINS:
            for strip in (False, True):
                check(tmp_path, name, twin, build, strip=strip)
