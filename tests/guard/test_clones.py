"""target_clones: the compiler's own resolver is followed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import KINDS, judged
from .test_samples import X86

SOURCE = Path(__file__).parent / "structures" / "clones.c"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_clones_are_guarded(tmp_path: Path, compiler: str, kind: str) -> None:
    path = tmp_path / "clones"
    command = [require_tool(compiler), "-O3", "-w", *KINDS[kind], str(SOURCE), "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    verdict, found = judged(path)
    told = [(j.verdict.value, j.ground, j.path) for j in found]
    if (compiler, kind) == ("clang", "shared"):
        # clang exports each version by a name of its own, so that others may call it without the resolver.
        assert verdict is Verdict.UNPROVEN, told
        assert any("entered from outside" in ground for _, ground, _ in told)
        return
    assert verdict is Verdict.GUARDED, told
    assert all(judgement.guard for judgement in found)
    if kind != "shared":
        assert X86.survives(path, X86.old)
        assert X86.survives(path, X86.new)
