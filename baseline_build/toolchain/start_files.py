"""Start files without a CPU requirement of their own.

On distributions whose C library is built for a higher level (AlmaLinux 9: x86-64-v2), ``crt1.o`` carries
GNU_PROPERTY_X86_ISA_1_NEEDED, and the linker passes it on to every executable (x86-64 psABI, "Program Property": the
value of the output is the OR of the inputs'). The code in these files is scanned with the executable it ends up in, so
the note adds nothing but a refusal: the session links copies whose bits above the promised level are cleared.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, Iterable, Mapping

from .discovery import Program, ask

_NAMES = ("crt1.o", "Scrt1.o", "gcrt1.o", "grcrt1.o", "rcrt1.o", "Mcrt1.o", "crti.o", "crtn.o")


def cleared_start_files(
    state: Path, programs: Iterable[Program], levels: Mapping[str, str], environ: Mapping[str, str]
) -> Dict[str, str]:
    """Machine -> folder with cleared copies, for machines whose start files claim more than *levels* promises.

    Raises BrokenInputError BB401 to BB405 for start files that are no ELF objects, ToolError BB601.
    """
    from ..elf.marker import cleared

    folders: Dict[str, str] = {}
    for machine, compiler in _first_of_each(programs).items():
        level = levels.get(machine)
        if machine != "x86-64" or level is None:
            continue  # the note exists for x86 only; 32-bit files are found through other folders
        folder = state / "crt" / machine
        for name in _NAMES:
            path = ask([compiler.path, f"-print-file-name={name}"], environ).strip()
            if not os.path.isabs(path) or not os.path.isfile(path):
                continue
            data = Path(path).read_bytes()
            changed = cleared(data, level, path)
            if changed != data:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(changed)
                folders[machine] = f"{folder}/"
    return folders


def _first_of_each(programs: Iterable[Program]) -> Dict[str, Program]:
    found: Dict[str, Program] = {}
    for program in programs:
        if program.dialect == "gcc" and "gcc" in program.name:
            found.setdefault(program.machine, program)
    return found
