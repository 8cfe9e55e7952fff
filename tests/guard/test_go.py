"""What Go's compiler makes: the dispatch of its run-time library is proven, stripped or not; a broken twin is not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict

import pytest

from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import judged
from .test_samples import AARCH64, X86

PROGRAM = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("made by Go", len("made by Go")) }\n'
LIBRARY = 'package main\n\nimport "C"\n\n//export answer\nfunc answer() C.int { return 42 }\n\nfunc main() {}\n'
# Stores of the run-time library that switch a feature on or off as the user says: not where the CPU lacks it. In the
# broken twin the test before the store is gone.
TEST, BROKEN = b"\x80\x3e\x00", b"\x38\xd8\x90"  # cmp byte [rsi], 0; cmp al, bl and nop


def built(folder: Path, source: str, *options: str, **more: str) -> Path:
    (folder / "go.mod").write_text("module made\n\ngo 1.19\n", encoding="utf-8")
    (folder / "main.go").write_text(source, encoding="utf-8")
    target = folder / "made"
    environ: Dict[str, str] = {**os.environ, "GOAMD64": "v1", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "1", **more}
    command = [require_tool("go"), "build", *options, "-o", str(target), "."]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.parametrize("options", [(), ("-ldflags=-s -w",)], ids=["symbols", "stripped"])
def test_program_is_guarded(tmp_path: Path, options: tuple[str, ...]) -> None:
    path = built(tmp_path, PROGRAM, *options)
    verdict, found = judged(path)
    assert verdict is Verdict.GUARDED, [(j.ground, j.path) for j in found if j.verdict is not Verdict.GUARDED]
    assert all(judgement.guard for judgement in found)
    assert X86.survives(path, X86.old)
    assert X86.survives(path, X86.new)


def test_library_is_guarded(tmp_path: Path) -> None:
    verdict, found = judged(built(tmp_path, LIBRARY, "-buildmode=c-shared"))
    assert verdict is Verdict.GUARDED, [(j.ground, j.path) for j in found if j.verdict is not Verdict.GUARDED]


def test_features_that_are_switched_on_untested_are_not(tmp_path: Path) -> None:
    path = built(tmp_path, PROGRAM)
    data = path.read_bytes()
    assert data.count(TEST) == 1
    path.write_bytes(data.replace(TEST, BROKEN))
    assert judged(path)[0] is Verdict.UNPROVEN


def test_program_for_arm64_is_looked_through(tmp_path: Path) -> None:
    """Each of its functions may begin again after its stack grew: slots must not wander off with the stack pointer."""
    path = built(tmp_path, PROGRAM, GOARCH="arm64", CGO_ENABLED="0")
    verdict, found = judged(path)
    assert verdict is Verdict.UNPROVEN, [(j.ground, j.path) for j in found]
    command = [require_tool(AARCH64.emulator[0]), "-cpu", AARCH64.old, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "made by Go" in done.stdout
