"""A test of data that the compilers' run-time library shares: followed, and not where it tests something else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import List, Tuple

import pytest

from baseline_build.scan.guard.facts import rows
from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import KINDS, judged
from .test_samples import X86

SOURCE = Path(__file__).parent / "structures" / "foreign.c"
ROWS: List[Tuple[str, ...]] = rows("data-x86.txt", 4)
BROKEN = {
    "lower feature": "-DBIT=9",
    "another bit": "-DBIT=16",
    "another word": "-DWORD=subtype",
    "inverted": "-DTEST=!(__cpu_model.features>>10&1)",
    "removed": "-DTEST=1",
    "written by the file itself": "-DWRITTEN=~0u",
}


def built(folder: Path, *options: str, kind: Tuple[str, ...] = ("-fPIE", "-pie")) -> Path:
    path = folder / "foreign"
    libraries = ["-nodefaultlibs", "-l:libgcc_s.so.1", "-lc"]
    command = [require_tool("gcc"), "-O2", "-w", *kind, *options, str(SOURCE), "-o", str(path), *libraries]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("relocation", ["relro", "norelro"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_data_of_the_run_time_library_is_a_test(tmp_path: Path, kind: Tuple[str, ...], relocation: str) -> None:
    path = built(tmp_path, f"-Wl,-z,{relocation}", kind=kind)
    verdict, found = judged(path)
    assert verdict is Verdict.GUARDED, [(j.ground, j.path) for j in found]
    assert all(judgement.guard for judgement in found)
    if "-shared" not in kind:
        assert X86.survives(path, X86.old)
        assert X86.survives(path, X86.new)


@pytest.mark.parametrize("twin", BROKEN)
def test_broken_twin_is_not_guarded(tmp_path: Path, twin: str) -> None:
    verdict, found = judged(built(tmp_path, BROKEN[twin]))
    assert verdict is not Verdict.GUARDED, [(j.ground, j.guard) for j in found]


@pytest.mark.parametrize(("name", "offset", "bit", "feature"), ROWS, ids=[row[3] for row in ROWS])
def test_the_compiler_reads_the_same_bit(name: str, offset: str, bit: str, feature: str) -> None:
    text = f'int f(void) {{ return __builtin_cpu_supports("{feature}") != 0; }}\n'
    command = [require_tool("gcc"), "-O0", "-fno-pic", "-S", "-xc", "-", "-o", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{name}+{offset}(%rip)" in done.stdout
    masks = {int(number) & 0xFFFFFFFF for number in re.findall(r"\b(?:and|test)l\s+\$(-?\d+)", done.stdout)}
    assert masks == ({1 << int(bit)} if int(bit) < 31 else set())
    if int(bit) == 31:
        assert re.search(r"\b(?:shr|sar)l\s+\$31|\btestl\s+%eax, %eax|\bsets\b", done.stdout), done.stdout
