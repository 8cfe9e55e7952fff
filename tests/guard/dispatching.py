"""The dispatch samples, their broken twins, and how each machine compiles and runs them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, FrozenSet, List, Mapping, NamedTuple, Tuple

from baseline_build.elf import parse
from baseline_build.isa import baseline_of
from baseline_build.scan import guard
from baseline_build.scan.code import decode_image
from baseline_build.scan.model import Verdict, gravest
from tests.tools import require_tool

SAMPLES = Path(__file__).parent / "samples"
SIGILL = 4
# Twins in which a ground of the design surely applies.
SURE = {"above", "initialiser"}
# What a library exports may be called after a test of the caller's. Where its own test stands in the same function, as
# compilers inline it, there was none; in these samples the loader runs the test, or it is kept in a structure, or stays
# in another function without optimisation.
APART = {"extended", "resolver", "versions", "structure"}
APART_UNOPTIMISED = {"lazy", "object", "pointer", "table"}


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


@dataclass(frozen=True)
class Target:
    """What differs between machines.

    :param twins: broken twins: what is defined differently. None of them may ever be called guarded.
    :param raw: for samples that test a field of a register by hand, what defines the lower one.
    :param old: the oldest CPU, as the emulator calls it; *olds* where a twin fails on another one.
    :param new: a CPU with everything.
    :param unfollowed: right samples whose test cannot be followed yet: they stay ``unproven``, which is safe, and are
        not what we want.
    """

    name: str
    compilers: Mapping[str, Tuple[str, ...]]
    twins: Mapping[str, Tuple[str, ...]]
    raw: str
    emulator: Tuple[str, ...]
    old: str
    new: str
    olds: Mapping[str, str]
    unfollowed: FrozenSet[Tuple[Build, str]]

    @property
    def names(self) -> List[str]:
        """The samples for all machines, and those for this one."""
        return sorted(path.stem for path in (*SAMPLES.glob("*.c"), *(SAMPLES / self.name).glob("*.c")))

    def compiled(self, folder: Path, name: str, twin: str, build: Build, *, strip: bool = False) -> Path:
        """The program (or library) that *twin* of sample *name* becomes."""
        compiler, *given = self.compilers[build.compiler]
        target = folder / f"{name}-{twin}"
        options = [*given, build.level, "-w", "-I", str(SAMPLES), *KINDS[build.kind], *self.twins[twin]]
        if twin == "lower" and name == "raw":
            options = [*(option for option in options if not option.startswith("-DTEST")), self.raw]
        if strip:
            options.append("-s")
        own = SAMPLES / self.name / f"{name}.c"
        source = own if own.exists() else SAMPLES / f"{name}.c"
        command = [require_tool(compiler), *options, str(source), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return target

    def survives(self, path: Path, cpu: str) -> bool:
        """Whether the program runs to its end, with the right answer, on an emulated CPU."""
        command = [require_tool(self.emulator[0]), *self.emulator[1:], "-cpu", cpu, str(path)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        assert done.returncode in (0, -SIGILL, 128 + SIGILL), done.stderr
        return done.returncode == 0

    def check(self, folder: Path, name: str, twin: str, build: Build, *, strip: bool = False) -> None:
        """The verdict is what it should be, and what the emulated CPU says."""
        path = self.compiled(folder, name, twin, build, strip=strip)
        verdict, found = judged(path)
        told = "\n".join(f"{j.verdict.value} {sorted(j.features)} {j.ground} {j.path} {j.guard}" for j in found)
        if twin == "good" and (build, name) in self.unfollowed:
            assert verdict is Verdict.UNPROVEN, told
        elif twin == "good":
            assert verdict is Verdict.GUARDED, told
            assert all(j.guard for j in found), told
        else:
            assert verdict in (Verdict.UNPROVEN, Verdict.VIOLATION), told
        if twin in SURE and not (twin == "above" and build.kind == "shared" and self._tests_apart(name, build)):
            assert verdict is Verdict.VIOLATION, told
        if build.kind != "shared":
            assert self.survives(path, self.olds.get(twin, self.old)) == (twin == "good"), told
            assert self.survives(path, self.new), told

    def _tests_apart(self, name: str, build: Build) -> bool:
        """Whether the test of sample *name* stands in another function than its exported one."""
        return name in APART or (build.level == "-O0" and name in APART_UNOPTIMISED)

    def slice(self) -> List[Tuple[str, str]]:
        """Every sample as it should be, and one broken twin of each, so that all twins occur; the rest is ``long``."""
        broken = [twin for twin in self.twins if twin != "good"]
        return [(name, "good") for name in self.names] + [
            (name, broken[index % len(broken)]) for index, name in enumerate(self.names)
        ]


def judged(path: Path) -> Tuple[Verdict, List[guard.Judgement]]:
    """The gravest verdict on *path*, and all judgements."""
    image = parse(path.read_bytes(), path.name)
    code = decode_image(image)
    marks = code.marks_above(baseline_of(image.machine))
    assert marks, "the sample has code above the baseline"
    found = guard.judge(image, code, marks, detected_elsewhere=False)
    assert sorted(mark for judgement in found for mark in judgement.marks) == sorted(marks)
    return gravest([judgement.verdict for judgement in found]), list(found)


def twins(lower: str, inverted: str) -> Dict[str, Tuple[str, ...]]:
    """The broken twins, for the tests *lower* (of a lower feature) and *inverted*."""
    return {
        "good": (),
        "removed": ("-DTEST=1",),
        "lower": (f"-DTEST={lower}",),
        "inverted": (f"-DTEST=!({inverted})",),
        "late": ("-DBEFORE(out,in)=fast(out,in)",),
        "above": ("-DBEFORE(out,in)=FAST_HERE(out,in)",),
        "initialiser": ("-include", str(SAMPLES / "initialiser.h")),
    }
