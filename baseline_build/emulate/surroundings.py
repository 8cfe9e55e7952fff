"""Files that tell of the CPU: the command sees those of the emulated one.

The emulator answers instructions that ask, and no more: ``/proc/cpuinfo`` would tell of this machine, and whoever reads
it there would choose code that the emulated CPU has not. qemu looks for every absolute path below its prefix first
(``-L``, ``QEMU_LD_PREFIX``), so a file there takes the place of the kernel's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Optional, Tuple

from ..isa.tables import read_rows
from .cpus import Cpu

_TABLE = Path(__file__).with_name("cpuinfo.txt")
UNTOLD = "programs that read /proc/cpuinfo saw this machine's CPU"
"""What limits a run on a CPU whose file is not known."""


def cpuinfo(cpu: Cpu, processors: int) -> Optional[str]:
    """The content of ``/proc/cpuinfo`` on *processors* of *cpu*; ``None`` where the table has no row for it."""
    for level, machine, told in read_rows(_TABLE, 3):
        if (level, machine) == (cpu.level, cpu.machine):
            fields = [("model name", f"{cpu.level}, emulated by {cpu.emulator} -cpu {cpu.model}")]
            for field in told.split(";"):
                name, _, value = field.strip().partition("=")
                fields.append((name, value))
            return "\n".join(_block(number, fields) for number in range(processors))
    return None


def _block(number: int, fields: List[Tuple[str, str]]) -> str:
    return "".join(f"{name:<15}\t: {value}\n" for name, value in (("processor", str(number)), *fields))


def prefix(cpu: Cpu, sysroot: Optional[Path], folder: Path) -> Optional[Path]:
    """The prefix for the emulator, made in *folder*: the file beside what *sysroot* has; without a file *sysroot*.

    :param sysroot: the dynamic linker and libraries of a foreign program.
    """
    text = cpuinfo(cpu, os.cpu_count() or 1)
    if text is None:
        return sysroot
    (folder / "proc").mkdir(parents=True)
    (folder / "proc" / "cpuinfo").write_text(text, encoding="ascii")
    for entry in sorted(sysroot.iterdir()) if sysroot is not None else ():
        if entry.name != "proc":
            (folder / entry.name).symlink_to(entry.resolve())
    return folder
