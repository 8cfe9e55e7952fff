"""What Go's compiler makes: the dispatch of its run-time library is proven, stripped or not; a broken twin is not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict

import pytest

from baseline_build.elf import parse
from baseline_build.elf.formats import PT_LOAD
from baseline_build.scan.model import Verdict
from tests.tools import require_tool

from .dispatching import judged
from .test_samples import AARCH64, X86

PROGRAM = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("made by Go", len("made by Go")) }\n'
LIBRARY = 'package main\n\nimport "C"\n\n//export answer\nfunc answer() C.int { return 42 }\n\nfunc main() {}\n'
# Stores of the run-time library that switch a feature on or off as the user says: not where the CPU lacks it. In the
# broken twin the test before the store is gone.
TEST, BROKEN = b"\x80\x3e\x00", b"\x38\xd8\x90"  # cmp byte [rsi], 0; cmp al, bl and nop
APX = bytes.fromhex("d5c10100")  # sgdt [r16]


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


def test_section_headers_among_the_code_are_none(tmp_path: Path) -> None:
    """Go's linker puts them behind the program headers; the sizes in them look like code of any kind (here APX)."""
    path = built(tmp_path, PROGRAM)
    raw = bytearray(path.read_bytes())
    image = parse(raw, "made")
    table = int.from_bytes(raw[40:48], "little")
    load = next(s for s in image.segments if s.type == PT_LOAD and s.executable)
    assert load.offset <= table < load.offset + load.file_size
    entry_size = table + 64 * next(s.index for s in image.sections if s.name == ".debug_line") + 56
    raw[entry_size : entry_size + 8] = APX.ljust(8, b"\0")
    path.write_bytes(raw)
    assert judged(path)[0] is Verdict.GUARDED
    address = load.address - load.offset + entry_size
    assert not parse(raw, "made").is_code(address)
    raw[24:32] = address.to_bytes(8, "little")
    entered = parse(raw, "made")
    assert entered.is_code(address), "a program that starts there runs what is there"
    path.write_bytes(raw)
    assert judged(path)[0] is Verdict.VIOLATION


def test_program_for_arm64_is_looked_through(tmp_path: Path) -> None:
    """Each of its functions may begin again after its stack grew: slots must not wander off with the stack pointer."""
    path = built(tmp_path, PROGRAM, GOARCH="arm64", CGO_ENABLED="0")
    verdict, found = judged(path)
    assert verdict is Verdict.UNPROVEN, [(j.ground, j.path) for j in found]
    command = [require_tool(AARCH64.emulator[0]), "-cpu", AARCH64.old, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "made by Go" in done.stdout
