"""Single files: what is found in them, and what is said of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Tuple

import pytest

from baseline_build import elf
from baseline_build.errors import BrokenInputError, ConfigError
from baseline_build.scan import FileReport, ScanOptions, Verdict, scan_path
from tests.elf import samples
from tests.scan import compiling
from tests.tools import require_tool

DEFAULT = ScanOptions()
ATOMIC = "int counted(int *p) { return __atomic_fetch_add(p, 1, 0); }\n"


def only(path: Path, options: ScanOptions = DEFAULT) -> FileReport:
    (entry,) = scan_path(path, options).inputs
    (file,) = entry.files
    assert entry.verdict is file.verdict
    return file


def test_plain_code_is_clean(tmp_path: Path) -> None:
    file = only(compiling.library(tmp_path, "plain", compiling.PLAIN))
    assert (file.verdict, file.promised, file.emitted, file.machine) == (Verdict.CLEAN, "x86-64", "x86-64", "x86-64")
    assert file.code_bytes > 100
    assert file.findings == ()


@pytest.mark.parametrize("form", ["whole", "stripped", "without section headers"])
def test_code_above_the_level_is_a_violation(tmp_path: Path, form: str) -> None:
    path = compiling.library(tmp_path, "counted", compiling.POPCNT, "-mpopcnt")
    address = samples.run("nm", str(path)).split(" T counted")[0].split()[-1]
    if form == "stripped":
        path = samples.stripped(path)
    elif form == "without section headers":
        path = samples.without_headers(path)
    file = only(path)
    assert file.verdict is Verdict.VIOLATION
    (finding,) = file.findings
    assert finding.code == "BB101"
    assert (finding.feature, finding.level, finding.instruction, finding.count) == ("popcnt", "x86-64-v2", "popcnt", 1)
    assert finding.data.startswith(b"\xf3")
    # The dynamic symbol survives stripping.
    assert finding.function == "counted"
    assert 0 <= finding.address - int(address, 16) < 16
    assert file.features == {"popcnt": 1}
    assert file.emitted == "x86-64+popcnt" or file.emitted == "x86-64-v2"
    assert finding.ground
    assert finding.hint


def test_a_higher_promise_accepts_it(tmp_path: Path) -> None:
    path = compiling.library(tmp_path, "counted", compiling.POPCNT, "-mpopcnt")
    assert only(path, ScanOptions(level="x86-64-v2")).verdict is Verdict.CLEAN
    assert only(path, ScanOptions(levels={"x86-64": "x86-64-v2"})).verdict is Verdict.CLEAN
    # A level of another machine says nothing about this one.
    assert only(path, ScanOptions(level="armv8-a")).verdict is Verdict.VIOLATION
    with pytest.raises(ConfigError) as caught:
        only(path, ScanOptions(levels={"x86-64": "x86-64-v9"}))
    assert caught.value.code == "BB220"


@pytest.mark.parametrize(("compiler", "version"), [("gcc", 4), ("gcc", 5), ("clang", 5)])
def test_source_line_and_flags(tmp_path: Path, compiler: str, version: int) -> None:
    source = "\n\n" + compiling.POPCNT
    options = ("-mpopcnt", f"-gdwarf-{version}")
    file = only(compiling.library(tmp_path, "counted", source, *options, compiler=compiler))
    (finding,) = file.findings
    assert finding.source is not None
    assert (finding.source.file, finding.source.line) == ("counted.c", 3)
    if compiler == "gcc":
        assert "-mpopcnt" in (finding.source.flags or "")


OBJECTS = {
    "x86-64 gcc": ("gcc -mpopcnt", compiling.POPCNT, "popcnt"),
    "x86-64 clang": ("clang -mpopcnt -grecord-command-line", compiling.POPCNT, "popcnt"),
    "arm64 gcc": ("aarch64-linux-gnu-gcc -march=armv8.1-a", ATOMIC, "lse"),
    "arm64 clang": ("clang --target=aarch64-linux-gnu -march=armv8.1-a -grecord-command-line", ATOMIC, "lse"),
}


@pytest.mark.parametrize("name", list(OBJECTS))
@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("form", ["object", "archive"])
def test_source_line_and_flags_of_objects(tmp_path: Path, name: str, version: int, form: str) -> None:
    command, source, feature = OBJECTS[name]
    compiler, *options = command.split()
    require_tool(compiler)
    (tmp_path / "one.c").write_text("int one(int x) { return x; }\n")
    (tmp_path / "counted.c").write_text("\n\n" + source)
    for part in ("one", "counted"):
        flags = (f"-gdwarf-{version}", "-O2", "-ffunction-sections", "-c", f"{part}.c")
        subprocess.run([compiler, *options, *flags], cwd=tmp_path, check=True)
    samples.run("ar", "rcs", "both.a", "one.o", "counted.o", cwd=tmp_path)
    (entry,) = scan_path(tmp_path / ("counted.o" if form == "object" else "both.a")).inputs
    (finding,) = [finding for file in entry.files for finding in file.findings]
    assert (finding.feature, finding.function) == (feature, "counted")
    assert finding.source is not None
    assert (finding.source.file, finding.source.line) == ("counted.c", 3)
    assert options[-1 if compiler.endswith("gcc") else -2] in (finding.source.flags or "")


def test_lzcnt_is_a_silent_difference_and_tzcnt_is_none(tmp_path: Path) -> None:
    source = "int top(unsigned long long x) { return __builtin_clzll(x); }\n"
    (finding,) = only(compiling.library(tmp_path, "top", source, "-mlzcnt")).findings
    assert (finding.code, finding.feature, finding.verdict) == ("BB130", "lzcnt", Verdict.VIOLATION)
    assert "another result" in finding.ground
    low = "int low(unsigned long long x) { return __builtin_ctzll(x); }\n"
    path = compiling.library(tmp_path, "low", low)
    assert "tzcnt" in samples.run("objdump", "-d", str(path)) or "rep bsf" in samples.run("objdump", "-d", str(path))
    assert only(path).verdict is Verdict.CLEAN


def test_declared_above_promised(tmp_path: Path) -> None:
    file = only(compiling.library(tmp_path, "plain", compiling.PLAIN, "-Wl,-z,x86-64-v2"))
    assert file.declared == "x86-64-v2"
    assert (file.verdict, file.emitted) == (Verdict.VIOLATION, "x86-64")
    (finding,) = file.findings
    assert finding.code == "BB132"
    assert only(tmp_path / "plain.so", ScanOptions(level="x86-64-v2")).verdict is Verdict.CLEAN


OLD_NOTE = r"""
__asm__(".pushsection .note.gnu.property, \"a\"\n"
        ".balign 8; .long 4, 16, 5; .asciz \"GNU\"\n"
        ".long 0xc0000001, 4, 0x200, 0\n"
        ".popsection");
"""


def test_the_old_declaration_is_told_and_refuses_nothing(tmp_path: Path) -> None:
    """Libraries of RHEL 8 carry it (here: AVX), and load on any CPU: glibc does not read it, nor does auditwheel."""
    source = compiling.PLAIN + OLD_NOTE
    path = compiling.library(tmp_path, "plain", source, "-Wa,-mx86-used-note=no")
    assert "x86 ISA needed: AVX" in samples.run("readelf", "-n", str(path))
    file = only(path)
    assert (file.verdict, file.declared, file.findings) == (Verdict.CLEAN, None, ())
    assert file.notes == ("an old kind of note asks for x86-64-v3; neither loaders nor auditwheel read it",)
    assert only(path, ScanOptions(level="x86-64-v3")).notes == ()
    load = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    samples.run("qemu-x86_64", "-cpu", "Opteron_G1,-sse3", os.path.realpath(sys.executable), "-c", load, str(path))


ASSEMBLER = """
.text
.globl work
.type work, @function
work:
  .cfi_startproc
  lea table(%rip), %rax
  movzbl (%rax,%rdi), %eax
  ret
  .cfi_endproc
.size work, .-work
{table}
.globl after
.type after, @function
after:
  .cfi_startproc
  mov $1, %eax
  ret
  .cfi_endproc
.size after, .-after
.section .note.GNU-stack,"",@progbits
"""
# VEX, EVEX, 3DNow! and SSE4 shapes among bytes that are no code.
JUNK = ".byte " + ",".join(map(str, bytes.fromhex("c5f5fec20662f17c4828c10e660f3a0fc108ec1627c3")))
TEXT = '.asciz "block to the moon, see https://example.invalid for more of that bunch of words"'


@pytest.mark.parametrize("table", [f"table: {JUNK}", f"table: {TEXT}"], ids=["numbers", "words"])
def test_data_among_the_code_is_no_finding(tmp_path: Path, table: str) -> None:
    file = only(compiling.library(tmp_path, "mixed", ASSEMBLER.format(table=table), suffix=".s"))
    assert file.verdict is Verdict.CLEAN, [(f.feature, f.function, hex(f.address)) for f in file.findings]
    assert file.undecoded_bytes > 0
    assert any("data" in note for note in file.notes)


LITERALS = """
.text
.globl work
.type work, %function
work:
  .cfi_startproc
  ldr x0, first
  ldr q1, second
  ret
  .cfi_endproc
.size work, .-work
.balign 8
// An SME encoding, SVE2 and an LSE atomic, were it code.
first: .quad 0x45489645a0000000
second: .quad 0xb8e00020c0800000, 0x04e0e3e004e0e3e0
.globl after
.type after, %function
after:
  .cfi_startproc
  mov w0, #1
  ret
  .cfi_endproc
.size after, .-after
"""


@pytest.mark.parametrize("strip", [False, True])
def test_literal_pools_are_data(tmp_path: Path, strip: bool) -> None:
    """Mapping symbols tell where they are; stripped of them, the loads do."""
    options = ("-nostdlib", "-s") if strip else ("-nostdlib",)
    path = compiling.library(tmp_path, "pool", LITERALS, *options, compiler="aarch64-linux-gnu-gcc", suffix=".s")
    file = only(path)
    assert file.verdict is Verdict.CLEAN, [(f.feature, hex(f.address)) for f in file.findings]
    hidden = "hidden: .arch armv8.1-a\n ldadd w0, w1, [x2]\n ret\n.globl after"
    changed = LITERALS.replace("  mov w0, #1", "  b hidden").replace(".globl after", hidden)
    path = compiling.library(tmp_path, "code", changed, *options, compiler="aarch64-linux-gnu-gcc", suffix=".s")
    assert set(only(path).features) == {"lse"}


def test_real_code_behind_data_is_found(tmp_path: Path) -> None:
    """A function without unwind record or size right behind a table; only a call tells of it."""
    hidden = f"{JUNK}\nhidden:\n popcnt %rdi, %rax\n ret\n"
    source = ASSEMBLER.format(table=f"table: {hidden}").replace("mov $1, %eax", "call hidden")
    file = only(compiling.library(tmp_path, "mixed", source, suffix=".s"))
    assert file.verdict is Verdict.VIOLATION
    assert "popcnt" in file.features
    assert set(file.features) == {"popcnt"}


def test_unknown_bytes_in_a_function_leave_it_undecided(tmp_path: Path) -> None:
    """0x06 (push es) does not exist in 64-bit mode; control arrives there."""
    source = ASSEMBLER.format(table="table: .quad 0").replace("mov $1, %eax", "mov $1, %eax\n .byte 0x06")
    file = only(compiling.library(tmp_path, "mixed", source, suffix=".s"))
    assert file.verdict is Verdict.UNDECIDED
    (finding,) = file.findings
    assert (finding.code, finding.function, finding.data) == ("BB131", "after", b"\x06")


def test_code_that_section_headers_call_data_is_noticed(tmp_path: Path) -> None:
    """A section with code loses its executable flag in the headers; the segment maps it executable all the same."""
    hidden = '.section .hidden,"ax"\nfar: popcnt %rdi, %rax\n ret\n.text\ntable: .quad 0'
    source = ASSEMBLER.format(table=hidden).replace("mov $1", "call far\n mov $1")
    path = compiling.library(tmp_path, "hiding", source, suffix=".s")
    assert only(path).verdict is Verdict.VIOLATION
    raw = bytearray(path.read_bytes())
    section = next(s for s in elf.parse(bytes(raw), "hiding").sections if s.name == ".hidden")
    header = int.from_bytes(raw[40:48], "little") + 64 * section.index + 8
    raw[header : header + 8] = (2).to_bytes(8, "little")
    path.write_bytes(raw)
    file = only(path)
    assert file.verdict is Verdict.UNDECIDED
    assert [f.code for f in file.findings] == ["BB134"]
    bare = samples.without_headers(path)
    assert only(bare).verdict is Verdict.VIOLATION


def test_declared_object_in_code_is_data(tmp_path: Path) -> None:
    table = ".type table, @object\ntable: .byte 0xc5,0xf5,0xfe,0xc2,0xc5,0xf5,0xfe,0xc2\n.size table, .-table"
    assert (
        only(compiling.library(tmp_path, "mixed", ASSEMBLER.format(table=table), suffix=".s")).verdict is Verdict.CLEAN
    )


@pytest.mark.parametrize("options", [(), ("-ffunction-sections", "-fPIC")])
def test_objects_and_archives(tmp_path: Path, options: Tuple[str, ...]) -> None:
    for name, source, flags in (("good", compiling.PLAIN, ()), ("bad", compiling.POPCNT, ("-mpopcnt",))):
        (tmp_path / f"{name}.c").write_text(source)
        samples.run("gcc", "-c", "-O2", *options, *flags, f"{name}.c", "-o", f"{name}.o", cwd=tmp_path)
    samples.run("ar", "rcs", "libboth.a", "good.o", "bad.o", cwd=tmp_path)
    assert only(tmp_path / "good.o").verdict is Verdict.CLEAN
    assert only(tmp_path / "bad.o").findings[0].function == "counted"
    (entry,) = scan_path(tmp_path / "libboth.a").inputs
    assert {file.path: file.verdict for file in entry.files} == {
        "libboth.a(good.o)": Verdict.CLEAN,
        "libboth.a(bad.o)": Verdict.VIOLATION,
    }


def test_objects_without_machine_code_are_undecided(tmp_path: Path) -> None:
    (tmp_path / "slim.c").write_text(compiling.POPCNT)
    samples.run("gcc", "-c", "-O2", "-flto", "-mpopcnt", "slim.c", "-o", "slim.o", cwd=tmp_path)
    file = only(tmp_path / "slim.o")
    assert file.verdict is Verdict.UNDECIDED
    assert any("link-time" in note for note in file.notes)
    require_tool("clang")
    samples.run("clang", "-c", "-O2", "-flto", "slim.c", "-o", "bitcode.o", cwd=tmp_path)
    samples.run(require_tool("llvm-ar-19", "llvm-ar", "llvm-ar-14"), "rcs", "libbit.a", "bitcode.o", cwd=tmp_path)
    assert only(tmp_path / "libbit.a").verdict is Verdict.UNDECIDED


def test_thin_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "good.c").write_text(compiling.PLAIN)
    samples.run("gcc", "-c", "good.c", cwd=tmp_path)
    samples.run("ar", "rcsT", "thin.a", "good.o", cwd=tmp_path)
    with pytest.raises(BrokenInputError) as caught:
        scan_path(tmp_path / "thin.a")
    assert caught.value.code == "BB408"


@pytest.mark.parametrize("machine", ["ppc64le", "s390x", "riscv64"])
def test_machines_without_decoder_are_never_clean(tmp_path: Path, machine: str) -> None:
    """A real header of that machine around nothing at all."""
    number, order, flags = {"ppc64le": (21, 1, 2), "s390x": (22, 2, 0), "riscv64": (243, 1, 5)}[machine]
    byteorder = "little" if order == 1 else "big"
    fields = [
        (3, 2),
        (number, 2),
        (1, 4),
        (0, 8),
        (0, 8),
        (0, 8),
        (flags, 4),
        (64, 2),
        (0, 2),
        (0, 2),
        (0, 2),
        (0, 2),
        (0, 2),
    ]
    raw = b"\x7fELF" + bytes([2, order, 1]) + bytes(9) + b"".join(v.to_bytes(n, byteorder) for v, n in fields)
    path = tmp_path / "x.so"
    path.write_bytes(raw)
    file = only(path)
    assert (file.machine, file.verdict) == (machine, Verdict.UNDECIDED)
    assert file.notes


@pytest.mark.parametrize("raw", [b"", b"\x7fELF", b"hello world", b"MZ" + bytes(100)])
def test_what_is_no_input_is_an_error(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "file.so"
    path.write_bytes(raw)
    with pytest.raises(BrokenInputError) as caught:
        scan_path(path)
    assert caught.value.code in ("BB401", "BB402")
    with pytest.raises(ConfigError) as missing:
        scan_path(tmp_path / "nothing")
    assert missing.value.code == "BB224"


def test_arm64(tmp_path: Path) -> None:
    source = "int add(int *p) { return __atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST); }\n"
    compiler = "aarch64-linux-gnu-gcc"
    file = only(compiling.library(tmp_path, "atomic", source, "-march=armv8.1-a", compiler=compiler))
    assert (file.machine, file.promised, file.verdict) == ("aarch64", "armv8-a", Verdict.VIOLATION)
    (finding,) = file.findings
    assert (finding.feature, finding.level, finding.function) == ("lse", "armv8.1-a", "add")
    assert only(tmp_path / "atomic.so", ScanOptions(level="armv8.1-a")).verdict is Verdict.CLEAN
    plain = only(compiling.library(tmp_path, "plain", source, "-mno-outline-atomics", compiler=compiler))
    assert plain.verdict is Verdict.CLEAN


def test_the_map_shows_where_it_is(tmp_path: Path) -> None:
    file = only(compiling.library(tmp_path, "kernel", compiling.AVX2, "-mavx2"))
    (drawn,) = [one for one in file.maps if one.name == ".text"]
    assert len(drawn.levels) <= 256
    address = file.findings[0].address
    assert drawn.levels[(address - drawn.address) * len(drawn.levels) // drawn.size] == "x86-64-v3"
    assert drawn.levels.count(None) > len(drawn.levels) // 2


def test_progress_is_told(tmp_path: Path) -> None:
    seen = []
    compiling.library(tmp_path, "plain", compiling.PLAIN)
    scan_path(tmp_path / "plain.so", ScanOptions(progress=lambda done, total, what: seen.append((done, total, what))))
    assert seen == [(0, 1, "plain.so"), (1, 1, "plain.so")]


def test_the_program_that_runs_above_the_level_dies_as_said(tmp_path: Path) -> None:
    emulator = require_tool("qemu-x86_64")
    (tmp_path / "p.c").write_text("volatile long x = 5; int main(void) { return __builtin_popcountll(x) != 2; }\n")
    samples.run("gcc", "-O2", "-mpopcnt", "p.c", "-o", "p", cwd=tmp_path)
    assert only(tmp_path / "p").verdict is Verdict.VIOLATION
    status = subprocess.run([emulator, "-cpu", "Opteron_G1,-sse3", str(tmp_path / "p")], check=False).returncode
    assert status in (-4, 132)
