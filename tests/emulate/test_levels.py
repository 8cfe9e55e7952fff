"""One-instruction programs at the edge of each emulated level: what traps, and what the table says does not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from baseline_build import emulate
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
    ("armv8.2-a", ARM, "mov x1, sp\n ldadd w2, w3, [x1]", False),
    ("armv8.2-a", ARM, "cntb x0", True),
    ("armv8.2-a", ARM, "udot v0.4s, v1.16b, v2.16b", False),
]


@pytest.mark.parametrize(("level", "machine", "instruction", "traps"), PROBES)
def test_edge(tmp_path: Path, level: str, machine: str, instruction: str, traps: bool) -> None:
    if machine != ARM and os.uname().machine != "x86_64":
        missing("the assembler of this machine knows no x86")
    compiler = require_tool("aarch64-linux-gnu-gcc") if machine == ARM else require_tool("gcc")
    emulator = {X86: "qemu-x86_64", I386: "qemu-i386", ARM: "qemu-aarch64"}[machine]
    require_tool(emulator, f"{emulator}-static")
    source = tmp_path / "probe.s"
    extension = ".arch armv8.2-a+sve+crypto+dotprod\n" if machine == ARM else ""
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


def test_every_cpu_of_the_table_is_probed_on_both_sides() -> None:
    for cpu in emulate.cpus():
        results = {traps for level, _, _, traps in PROBES if level == cpu.level}
        assert results == {True, False}, cpu.level
