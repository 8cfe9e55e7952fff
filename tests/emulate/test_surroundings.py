"""What an emulated command reads of the CPU in files agrees with what the emulated CPU answers itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict

import pytest

from baseline_build import emulate
from baseline_build.emulate.cpus import cpu_for
from baseline_build.emulate.surroundings import UNTOLD, cpuinfo
from baseline_build.isa import X86 as ISA
from tests.tools import require_tool

# The kernel's names of features whose name differs from the compilers'.
KERNEL = {"sse3": "pni", "sahf": "lahf_lm", "bmi": "bmi1", "lzcnt": "abm", "fxsr": "fxsr"}
X86 = r"""
#include <cpuid.h>
#include <stdio.h>
int main(void) {
  unsigned a, b, c, d, family, model;
  char vendor[13] = "";
  __cpuid(0, a, *(unsigned *)vendor, *(unsigned *)(vendor + 8), *(unsigned *)(vendor + 4));
  __cpuid(1, a, b, c, d);
  family = a >> 8 & 15, model = a >> 4 & 15;
  if (family >= 6) model |= (a >> 16 & 15) << 4;
  if (family == 15) family += a >> 20 & 255;
  printf("%s %u %u %u\n", vendor, family, model, a & 15);
}
"""
ARM = r"""
#include <stdio.h>
int main(void) {
  unsigned long v;
  __asm__("mrs %0, midr_el1" : "=r"(v));
  printf("%#lx %#lx %#lx %lu\n", v >> 24 & 255, v >> 20 & 15, v >> 4 & 0xfff, v & 15);
}
"""


def fields(text: str) -> Dict[str, str]:
    block = text.split("\n\n")[0]
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in block.splitlines())}


def output(command: list[str], level: str, cwd: Path) -> tuple[str, emulate.Outcome]:
    place = cwd / "output"
    with place.open("wb") as stream:
        outcome = emulate.run(command, level, cwd=cwd, stdout=stream.fileno(), environ=dict(os.environ))
    return place.read_text(encoding="utf-8"), outcome


@pytest.mark.parametrize("level", ["x86-64", "x86-64-v2", "x86-64-v3"])
def test_x86(tmp_path: Path, level: str) -> None:
    require_tool("qemu-x86_64", "qemu-x86_64-static")
    (tmp_path / "ask.c").write_text(X86, encoding="utf-8")
    subprocess.run([require_tool("gcc"), "-O1", "ask.c", "-o", "ask"], cwd=tmp_path, check=True)
    asked, _ = output([str(tmp_path / "ask")], level, tmp_path)
    # The shell starts another program, which sees the same.
    text, outcome = output(["/bin/sh", "-c", "cat /proc/cpuinfo"], level, tmp_path)
    read = fields(text)
    assert " ".join(read[name] for name in ("vendor_id", "cpu family", "model", "stepping")) == asked.strip()
    assert read["model name"] == f"{level}, emulated by qemu-x86_64 -cpu {cpu_for(level, 'x86-64').model}"
    flags = set(read["flags"].split())
    features = next(one for one in ISA.levels if one.name == level).features
    above = {"avx512f"} if level == "x86-64-v3" else {"avx"} if level == "x86-64-v2" else {"pni", "ssse3", "cx16"}
    assert {KERNEL.get(name, name.replace(".", "_")) for name in features} <= flags
    assert not above & flags
    assert text.count("processor") == (os.cpu_count() or 1)
    assert UNTOLD not in outcome.notes


def test_arm64(tmp_path: Path) -> None:
    require_tool("qemu-aarch64", "qemu-aarch64-static")
    (tmp_path / "ask.c").write_text(ARM, encoding="utf-8")
    (tmp_path / "cat.c").write_text(
        '#include <stdio.h>\nint main(void) { FILE *f = fopen("/proc/cpuinfo", "r"); int c;\n'
        "  while ((c = getc(f)) != EOF) putchar(c); return 0; }\n",
        encoding="utf-8",
    )
    compiler = require_tool("aarch64-linux-gnu-gcc")
    for name in ("ask", "cat"):  # linked dynamically: the loader comes from the cross compiler's folder
        subprocess.run([compiler, "-O1", f"{name}.c", "-o", name], cwd=tmp_path, check=True)
    asked, _ = output([str(tmp_path / "ask")], "armv8-a", tmp_path)
    text, outcome = output([str(tmp_path / "cat")], "armv8-a", tmp_path)
    read = fields(text)
    named = ("CPU implementer", "CPU variant", "CPU part", "CPU revision")
    assert [int(read[name], 0) for name in named] == [int(word, 0) for word in asked.split()]
    assert read["Features"].split() == ["fp", "asimd", "evtstrm", "cpuid"]
    assert outcome.status == 0


def test_a_level_without_a_known_file_is_told() -> None:
    assert cpuinfo(cpu_for("armv9-a", "aarch64"), 1) is None
    assert UNTOLD == "programs that read /proc/cpuinfo saw this machine's CPU"


def test_the_note_is_given_where_the_file_is_this_machine_s(tmp_path: Path) -> None:
    require_tool("qemu-aarch64", "qemu-aarch64-static")
    (tmp_path / "end.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    subprocess.run([require_tool("aarch64-linux-gnu-gcc"), "end.c", "-o", "end"], cwd=tmp_path, check=True)
    _, outcome = output([str(tmp_path / "end")], "armv9-a", tmp_path)
    assert outcome.status == 0
    assert outcome.notes[-1] == UNTOLD
