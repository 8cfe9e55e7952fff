"""One-instruction programs at the edge of each emulated level: what traps, and what the table says does not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from baseline_build import emulate
from baseline_build import isa as isa_tables
from baseline_build.errors import ConfigError
from tests.tools import missing, require_tool

EXIT = {
    "x86-64": "mov $60, %eax\n xor %edi, %edi\n syscall",
    "i386": "mov $1, %eax\n xor %ebx, %ebx\n int $0x80",
    "aarch64": "mov x8, #93\n mov x0, #0\n svc #0",
}
X86, I386, ARM = "x86-64", "i386", "aarch64"
PROBES = [
    ("x86-64", X86, "movapd %xmm0, %xmm1", False),
    ("x86-64", X86, "movddup %xmm0, %xmm1", True),
    ("x86-64", X86, "pshufb %xmm0, %xmm1", True),
    ("x86-64", X86, "pinsrq $1, %rax, %xmm0", True),
    ("x86-64", X86, "pcmpistri $0, %xmm0, %xmm1", True),
    ("x86-64", X86, "popcnt %rax, %rcx", True),
    ("x86-64", X86, "cmpxchg16b -128(%rsp)", True),
    ("x86-64", X86, "lahf", True),
    ("x86-64", X86, "lzcnt %rax, %rcx", False),
    ("x86-64", X86, "tzcnt %rax, %rcx", False),
    ("x86-64", X86, "fld1\n fisttpl -8(%rsp)", False),
    ("x86-64", X86, "prefetchw -8(%rsp)", False),
    ("x86-64-v2", X86, "popcnt %rax, %rcx", False),
    ("x86-64-v2", X86, "pcmpistri $0, %xmm0, %xmm1", False),
    ("x86-64-v2", X86, "vaddps %ymm0, %ymm1, %ymm2", True),
    ("x86-64-v2", X86, "vpaddd %ymm0, %ymm1, %ymm2", True),
    ("x86-64-v2", X86, "andn %rax, %rcx, %rdx", True),
    ("x86-64-v2", X86, "shlx %rax, %rcx, %rdx", True),
    ("x86-64-v2", X86, "movbe -8(%rsp), %rax", True),
    ("x86-64-v2", X86, "lzcnt %rax, %rcx", False),
    ("x86-64-v2", X86, "prefetchw -8(%rsp)", False),
    ("x86-64-v3", X86, "vpaddd %ymm0, %ymm1, %ymm2", False),
    ("x86-64-v3", X86, "vfmadd213ps %ymm0, %ymm1, %ymm2", False),
    ("x86-64-v3", X86, "vpaddd %zmm0, %zmm1, %zmm2", True),
    ("x86-64-v3", X86, "aesenc %xmm0, %xmm1", False),
    ("x86-64-v3", X86, "rdrand %rax", False),
    ("i686", I386, "cmovz %eax, %ecx", False),
    ("i686", I386, "paddb %mm0, %mm1", False),
    ("i686", I386, "xorps %xmm0, %xmm1", True),
    ("i686", I386, "xorpd %xmm0, %xmm1", True),
    ("armv8-a", ARM, "add v0.4s, v1.4s, v2.4s", False),
    ("armv8-a", ARM, "mov x1, sp\n ldadd w2, w3, [x1]", True),
    ("armv8-a", ARM, "sqrdmlah v0.4s, v1.4s, v2.4s", True),
    ("armv8-a", ARM, "crc32w w0, w1, w2", False),
    ("armv8-a", ARM, "aese v0.16b, v1.16b", False),
    ("armv8.1-a", ARM, "mov x1, sp\n ldadd w2, w3, [x1]", False),
    ("armv8.1-a", ARM, "sqrdmlah v0.4s, v1.4s, v2.4s", False),
    ("armv8.1-a", ARM, "mov x1, sp\n ldapr x0, [x1]", False),
    ("armv8.1-a", ARM, "fadd v0.8h, v1.8h, v2.8h", False),
    ("armv8.1-a", ARM, "fcadd v0.4s, v1.4s, v2.4s, #90", True),
    ("armv8.1-a", ARM, "cntb x0", True),
    ("armv8.2-a", ARM, "mov x1, sp\n ldadd w2, w3, [x1]", False),
    ("armv8.2-a", ARM, "cntb x0", True),
    ("armv8.2-a", ARM, "fjcvtzs w0, d0", True),
    ("armv8.2-a", ARM, "pacga x0, x1, x2", True),
    ("armv8.2-a", ARM, "mov x1, sp\n dc cvap, x1", True),
    ("armv8.2-a", ARM, "udot v0.4s, v1.16b, v2.16b", False),
    ("armv8.5-a", ARM, "fcadd v0.4s, v1.4s, v2.4s, #90", False),
    ("armv8.5-a", ARM, "pacga x0, x1, x2", False),
    ("armv8.5-a", ARM, "mov x1, sp\n ldapur x0, [x1]", False),
    ("armv8.5-a", ARM, "frint32z v0.4s, v1.4s", False),
    ("armv8.5-a", ARM, "axflag", False),
    ("armv8.5-a", ARM, "sb", False),
    ("armv8.5-a", ARM, "smmla v0.4s, v1.16b, v2.16b", False),
    ("armv8.5-a", ARM, "bfdot v0.4s, v1.8h, v2.8h", False),
    ("armv8.5-a", ARM, "cntb x0", True),
    ("armv8.5-a", ARM, "mov x0, #0\n wfet x0", True),
    ("armv8.6-a", ARM, "smmla v0.4s, v1.16b, v2.16b", False),
    ("armv8.6-a", ARM, "bfdot v0.4s, v1.8h, v2.8h", False),
    ("armv8.6-a", ARM, "cntb x0", True),
    ("armv8.6-a", ARM, "mov x0, #0\n wfet x0", True),
    ("armv8.6-a", ARM, "mrs x0, cntvctss_el0", True),
    ("armv9-a", ARM, "ptrue p0.b\n sqabs z0.b, p0/m, z1.b", False),
    ("armv9-a", ARM, "smmla v0.4s, v1.16b, v2.16b", False),
    ("armv9-a", ARM, "mov x0, #0\n wfet x0", True),
    ("armv9-a", ARM, "zero {za}", True),
    ("armv9.1-a", ARM, "ptrue p0.b\n sqabs z0.b, p0/m, z1.b", False),
    ("armv9.1-a", ARM, "mrs x0, cntvctss_el0", True),
    ("armv9.1-a", ARM, "mov x0, #0\n wfet x0", True),
]


@pytest.mark.parametrize(("level", "machine", "instruction", "traps"), PROBES)
def test_edge(tmp_path: Path, level: str, machine: str, instruction: str, traps: bool) -> None:
    if machine != ARM and os.uname().machine != "x86_64":
        missing("the assembler of this machine knows no x86")
    compiler = require_tool("aarch64-linux-gnu-gcc") if machine == ARM else require_tool("gcc")
    emulator = {X86: "qemu-x86_64", I386: "qemu-i386", ARM: "qemu-aarch64"}[machine]
    require_tool(emulator, f"{emulator}-static")
    source = tmp_path / "probe.s"
    extension = ".arch armv8.7-a+sve2+sme+crypto\n" if machine == ARM else ""
    head = f"{extension}.globl _start\n.type _start, %function\n_start:\n"
    source.write_text(f"{head} {instruction}\n {EXIT[machine]}\n.size _start, .-_start\n")
    flags = ["-m32"] if machine == I386 else []
    program = tmp_path / "probe"
    subprocess.run([compiler, *flags, "-nostdlib", "-static", str(source), "-o", str(program)], check=True)
    outcome = emulate.run([str(program)], level)
    assert outcome.status == (132 if traps else 0)
    assert (outcome.crash is not None) is traps
    if outcome.crash is not None:
        mnemonic = instruction.splitlines()[-1].split()[0]
        assert outcome.crash.instruction == mnemonic
        assert outcome.crash.file == str(program)
        assert outcome.crash.function == "_start"
        # What the table says is of the level and not there: the emulator is to blame, not the program.
        absent = next(cpu.absent for cpu in emulate.cpus() if cpu.level == level)
        lacking = any(name in instruction for name in absent.split(", ") if name)
        assert emulate.error_of(outcome.crash, level).code == ("BB516" if lacking else "BB515")


def test_every_cpu_of_the_table_is_probed_on_both_sides() -> None:
    for cpu in emulate.cpus():
        results = {traps for level, _, _, traps in PROBES if level == cpu.level}
        assert results == {True, False}, cpu.level


def test_every_level_has_a_cpu_or_a_reason() -> None:
    emulated = [cpu.level for cpu in emulate.cpus()]
    without = [gap.level for gap in emulate.gaps()]
    named = [level.name for isa in (isa_tables.X86, isa_tables.AARCH64) for level in isa.levels]
    assert sorted([*emulated, *without]) == sorted(named)


@pytest.mark.parametrize("gap", emulate.gaps(), ids=lambda gap: gap.level)
def test_a_level_without_a_cpu_says_why(gap: emulate.Gap) -> None:
    with pytest.raises(ConfigError) as caught:
        emulate.cpu_for(gap.level, gap.machine)
    own = [cpu.level for cpu in emulate.cpus() if cpu.machine == gap.machine]
    assert str(caught.value) == (
        f"BB510: no emulator can stand for {gap.level}\n"
        f"  why: {gap.why}\n"
        f"  fix: choose one of {', '.join(own)}, or run it on a real CPU of that level"
    )


def test_avx512_is_what_qemu_has_not(tmp_path: Path) -> None:
    """The reason that is given for x86-64-v4, shown with the richest model there is."""
    if os.uname().machine != "x86_64":
        missing("the assembler of this machine knows no x86")
    qemu = require_tool("qemu-x86_64", "qemu-x86_64-static")
    source = tmp_path / "probe.s"
    source.write_text(f".globl _start\n_start:\n vpaddd %zmm0, %zmm1, %zmm2\n {EXIT[X86]}\n")
    program = tmp_path / "probe"
    subprocess.run([require_tool("gcc"), "-nostdlib", "-static", str(source), "-o", str(program)], check=True)
    for model in ("max", "Icelake-Server"):
        done = subprocess.run([qemu, "-cpu", model, str(program)], capture_output=True, check=False)
        assert done.returncode in {-4, 132}, model
