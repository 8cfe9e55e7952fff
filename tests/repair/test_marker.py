"""The declared level: wrong above baseline code it is set right, over code that needs it the wheel is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import List

import pytest

from baseline_build import elf
from baseline_build.elf import marker
from baseline_build.errors import ToolError, ViolationError
from baseline_build.repair import RepairOptions, repair_wheel
from tests.tools import require_tool

from .wheels import (
    NOTE,
    POPCNT,
    PROGRAM,
    compile_file,
    make_wheel,
    marked_start_files,
    plain_auditwheel,
    unpacked,
    x86_only,
)

MEMBER = "thing/_bin/tool"
WAYS = ["bfd-flag", "bfd", "gold", "mold", "lld"]


def build(folder: Path, way: str, code: str = "") -> Path:
    """A program that declares x86-64-v2, made by one of :data:`WAYS`."""
    x86_only()
    text = PROGRAM.format(code=code)
    if way == "bfd-flag":
        return compile_file(folder / "tool", text, "-Wl,-z,x86-64-v2")
    linker = {"bfd": "ld.bfd", "gold": "ld.gold", "mold": "mold", "lld": "ld.lld"}[way]
    require_tool(linker)
    if way == "lld":
        # lld drops the property notes of its inputs, so the note comes in a section of another name.
        clang = require_tool("clang")
        note = folder / "note.s"
        note.write_text(NOTE.format(section=".note.isa"))
        return compile_file(folder / "tool", text, "-fuse-ld=lld", str(note), compiler=clang)
    start = folder / "start"
    start.mkdir()
    return compile_file(folder / "tool", text, f"-fuse-ld={way}", f"-B{marked_start_files(start)}/")


def on_old_cpu(program: Path) -> subprocess.CompletedProcess[str]:
    qemu = require_tool("qemu-x86_64", "qemu-x86_64-static")
    return subprocess.run([qemu, "-cpu", "Opteron_G1,-sse3", str(program)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("way", WAYS)
def test_marker_over_baseline_code_is_set_right(tmp_path: Path, way: str) -> None:
    program = build(tmp_path, way)
    assert marker.needed(elf.parse(program.read_bytes(), "tool")) == "x86-64-v2"
    refused = on_old_cpu(program)
    assert refused.returncode != 0
    assert "CPU ISA level is lower than required" in refused.stderr
    wheel = make_wheel(tmp_path, {MEMBER: program})
    out = tmp_path / "plain"
    plain = plain_auditwheel(wheel, out)
    assert plain.returncode != 0
    assert "depends on unsupported ISA extensions" in plain.stderr
    result = repair_wheel(wheel, tmp_path / "wheelhouse")
    assert [(fix.file, fix.declared, fix.proven) for fix in result.markers] == [(MEMBER, "x86-64-v2", "x86-64")]
    assert "manylinux" in result.wheel.name
    assert list((tmp_path / "wheelhouse").iterdir()) == [result.wheel]
    ran = on_old_cpu(unpacked(result.wheel, MEMBER, tmp_path / "wheelhouse"))
    assert (ran.returncode, ran.stdout) == (0, "hello\n")


@pytest.mark.parametrize("way", WAYS)
def test_marker_over_v2_code_stays_and_the_wheel_is_refused(tmp_path: Path, way: str) -> None:
    wheel = make_wheel(tmp_path, {MEMBER: build(tmp_path, way, POPCNT)})
    with pytest.raises(ViolationError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse")
    assert caught.value.code == "BB520"
    assert caught.value.where == f"{wheel.name}!{MEMBER}"
    assert caught.value.what == (
        "the wheel did not pass: it needs x86-64-v2 (Nehalem 2008, Bulldozer 2011, Silvermont 2013 or newer)"
    )
    assert caught.value.why == f"popcnt (popcnt) in main of {MEMBER} is not behind a test of the CPU"
    assert not (tmp_path / "wheelhouse").exists()


def test_without_the_fix_the_marker_refuses_the_wheel(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, {MEMBER: build(tmp_path, "bfd-flag")})
    with pytest.raises(ViolationError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse", RepairOptions(fix_marker=False))
    assert caught.value.why == f"{MEMBER} declares it"


@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v3"])
def test_a_promise_of_the_declared_level_needs_no_fix(tmp_path: Path, level: str) -> None:
    from baseline_build.scan import ScanOptions

    wheel = make_wheel(tmp_path, {MEMBER: build(tmp_path, "bfd-flag")})
    options = RepairOptions(scan=ScanOptions(level=level))
    with pytest.raises(ToolError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse", options)
    assert caught.value.code == "BB536"  # auditwheel itself refuses: it knows no other promise than the baseline
    passed: List[str] = ["--disable-isa-ext-check"]
    options = RepairOptions(scan=ScanOptions(level=level), arguments=tuple(passed))
    assert repair_wheel(wheel, tmp_path / "wheelhouse", options).markers == ()
