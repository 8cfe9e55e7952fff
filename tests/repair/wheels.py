"""Small wheels around really compiled files."""

from __future__ import annotations

import os
import stat
import subprocess
import zipfile
from pathlib import Path
from typing import Dict, Optional

from baseline_build.wheel import repack
from tests.tools import missing, require_tool

PROGRAM = """
#include <stdio.h>
int main(void) {{ {code} puts("hello"); return 0; }}
"""
POPCNT = '__asm__ volatile ("popcnt %%rax, %%rax" ::: "rax", "cc");'
NOTE = """
.section {section},"a",@note
.p2align 3
.long 4, 16, 5
.asciz "GNU"
.long 0xc0008002, 4, 3, 0
.section .note.GNU-stack,"",@progbits
"""


def x86_only() -> None:
    """These tests compile for x86-64 with the machine's own compiler."""
    if os.uname().machine != "x86_64":
        missing("the declared level exists on x86-64 only")
    require_tool("gcc")


def compile_file(target: Path, code: str, *flags: str, compiler: str = "gcc") -> Path:
    """Compile the C text *code* with *flags* into *target*."""
    source = target.parent / f"{target.name.split('.')[0]}.c"
    source.write_text(code)
    subprocess.run([compiler, "-O1", str(source), "-o", str(target), *flags], check=True)
    return target


def marked_start_files(folder: Path) -> Path:
    """A folder for ``gcc -B`` whose crt1.o and Scrt1.o declare x86-64-v2, as those of v2 distributions do."""
    note = folder / "note.s"
    note.write_text(NOTE.format(section=".note.gnu.property"))
    subprocess.run(["gcc", "-c", str(note), "-o", str(folder / "note.o")], check=True)
    for name in ("crt1.o", "Scrt1.o"):
        found = subprocess.run(
            ["gcc", f"-print-file-name={name}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        subprocess.run(["ld", "-r", found, str(folder / "note.o"), "-o", str(folder / name)], check=True)
    return folder


def make_wheel(
    folder: Path, files: Dict[str, Path], *, name: str = "thing", tag: str = "py3-none-linux_x86_64"
) -> Path:
    """A wheel of *files* (name in the wheel -> file), packed into *folder*."""
    tree = folder / f"{name}-tree"
    info = tree / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\nTag: {tag}\n")
    (tree / name).mkdir()
    (tree / name / "__init__.py").write_text("")
    for place, source in files.items():
        target = tree / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        target.chmod(stat.S_IMODE(source.stat().st_mode))
    return repack(tree, folder / f"{name}-1.0-{tag}.whl")


def unpacked(wheel: Path, member: str, folder: Path) -> Path:
    """The executable *member* of *wheel*, written into *folder*."""
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(member)
    target = folder / Path(member).name
    target.write_bytes(data)
    target.chmod(0o755)
    return target


def plain_auditwheel(
    wheel: Path, folder: Path, environ: Optional[Dict[str, str]] = None
) -> subprocess.CompletedProcess[str]:
    """``auditwheel repair`` without us."""
    from baseline_build.repair import auditwheel

    return subprocess.run(
        [*auditwheel.command(), "repair", "-w", str(folder), str(wheel)],
        env=dict(auditwheel.environment(environ or dict(os.environ))), capture_output=True, text=True, check=False,
    )  # fmt: skip
