"""A flag in a large structure on the heap is proven, and every way to give it another value ends the proof."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Sequence

import pytest

from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import SAMPLES, Target, judged
from .test_samples import AARCH64, X86

SOURCE = Path(__file__).parent / "structures" / "context.c"
BROKEN = ("MEMBER", "ADDRESS", "FILLED", "COPIED", "PART", "OWNER", "VARIABLE", "STACK", "LOWER", "BYTES", "LENT")
BROKEN += ("CHOSEN", "LOST", "TAIL", "SENT", "REPEATED", "KEPT", "STORED")


# On ARM64 compilers write displacements, pairs and small members in more than one way.
ARM_BROKEN = (*BROKEN, "INDEXED", "PAIR", "VECTOR", "STRUCTURES")
ARM_GCC = ("aarch64-linux-gnu-gcc",)
ARM_CLANG = ("clang", "--target=aarch64-linux-gnu", "-fuse-ld=lld")


def compiled(folder: Path, how: str, command: Sequence[str], level: str, flag: str) -> Path:
    target = folder / f"{how}-{flag}".lower()
    options = [level, "-w", "-I", str(SAMPLES), f"-DHOW={how}", f"-DFLAG={flag}"]
    options += ["-DCHOOSING"] if how == "CHOSEN" else []
    full = [require_tool(command[0]), *command[1:], *options, str(SOURCE), "-o", str(target)]
    done = subprocess.run(full, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def check(
    folder: Path, how: str, command: Sequence[str], level: str, *, target: Target = X86, flag: str = "int"
) -> None:
    path = compiled(folder, how, command, level, flag)
    verdict, found = judged(path)
    told = "\n".join(f"{j.verdict.value} {j.ground} {j.path} {j.guard}" for j in found)
    assert verdict is (Verdict.GUARDED if how == "RIGHT" else Verdict.UNPROVEN), told
    assert target.survives(path, target.olds.get("lower", target.old)) == (how == "RIGHT")
    assert target.survives(path, target.new)


def test_the_right_one_is_guarded(tmp_path: Path) -> None:
    check(tmp_path, "RIGHT", ("gcc",), "-O2")


@pytest.mark.parametrize("how", BROKEN)
def test_another_value_ends_the_proof(tmp_path: Path, how: str) -> None:
    check(tmp_path, how, ("gcc",), "-O2")


@pytest.mark.parametrize("target", [X86, AARCH64], ids=["x86", "arm64"])
def test_a_part_that_two_functions_jump_to(tmp_path: Path, target: Target) -> None:
    """run() is jumped to by work(), with the flag, and by choose(), with what may be something else."""
    command = ("clang",) if target is X86 else ARM_CLANG
    check(tmp_path, "CHOSEN", command, "-O2", target=target)


@pytest.mark.parametrize("target", [X86, AARCH64], ids=["x86", "arm64"])
@pytest.mark.parametrize("how", ["RIGHT", "COPIED", "VARIABLE", "KEPT", "STORED", "LOST"])
def test_at_a_fixed_address(tmp_path: Path, how: str, target: Target) -> None:
    command = ("gcc",) if target is X86 else ARM_GCC
    check(tmp_path, how, (*command, "-fno-pie", "-no-pie"), "-O2", target=target)


@pytest.mark.parametrize("how", ["RIGHT", "COPIED", "SENT"])
def test_copied_by_a_function_called_through_its_slot(tmp_path: Path, how: str) -> None:
    check(tmp_path, how, ("gcc", "-fno-plt"), "-O2")


@pytest.mark.parametrize("flag", ["int", "char"])
@pytest.mark.parametrize("how", ["RIGHT", *ARM_BROKEN])
def test_arm64(tmp_path: Path, how: str, flag: str) -> None:
    check(tmp_path, how, ARM_GCC, "-O2", target=AARCH64, flag=flag)


@pytest.mark.long
@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_all_builds(tmp_path: Path, compiler: str, level: str) -> None:
    for how in ("RIGHT", *BROKEN):
        check(tmp_path, how, (compiler,), level)


@pytest.mark.long
@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("command", [ARM_GCC, ARM_CLANG], ids=["gcc", "clang"])
def test_all_arm64_builds(tmp_path: Path, command: Sequence[str], level: str) -> None:
    for how in ("RIGHT", *ARM_BROKEN):
        for flag in ("int", "char"):
            check(tmp_path, how, command, level, target=AARCH64, flag=flag)
