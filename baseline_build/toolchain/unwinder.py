"""An unwinder for ARM64 that holds no instruction above the baseline, made of the sources that zig brings.

zig links LLVM's libunwind into C++. For ARM64 three places in it are above the baseline, and what leads there is not a
test of the CPU but the unwind tables or a field of an object: ``cntd`` (SVE) for frames that saved vector registers of
variable length, ``stg`` (MTE) for frames with tagged stacks, and the routine that ends SME's ZA mode. Code for the
baseline has no such frames and no such mode.

The first two stand in headers, in what is compiled for unwinding *on* ARM64 and left out for unwinding ARM64 from
another machine; libunwind keeps the two apart by ``__aarch64__``. So those headers are read with that name undefined.
The third is never called where the answer "has SME" cannot be given, and the assembler puts it into a section that
linkers leave out. Nothing of zig's files is changed; whatever a new release of zig adds, the scan of the wheel sees.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import List, Sequence

from ..errors import ToolError

ABOVE_BASELINE = frozenset({"aarch64"})
"""Machines on which zig's own unwinder is above the baseline."""

# What the headers include is read before, with the machine's name: its structures must be the machine's.
_UNWINDING = """
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <link.h>
#include <sys/auxv.h>
#include "config.h"
#include "libunwind.h"
#include "libunwind_ext.h"
#undef __aarch64__
#undef _LIBUNWIND_HAVE_GETAUXVAL
#define __libunwind_Registers_arm64_za_disable baseline_build_has_no_za
extern "C" int64_t baseline_build_has_no_za() { return 1; }
#include "Registers.hpp"
#include "DwarfInstructions.hpp"
#define __aarch64__ 1
#include "libunwind.cpp"
"""

# "e" is SHF_EXCLUDE: in the object file, not in what is linked (System V ABI, section attributes; GNU as, .section).
_SAVING = """
#include "assembly.h"
#undef DEFINE_LIBUNWIND_FUNCTION
#define PLACE_OF___unw_getcontext .text
#define PLACE_OF___libunwind_Registers_arm64_za_disable .section .left_out, "axe", %progbits
#define DEFINE_LIBUNWIND_FUNCTION(name) \\
  PLACE_OF_##name SEPARATOR .globl name SEPARATOR .hidden name SEPARATOR .type name, %function SEPARATOR name:
#include "UnwindRegistersSave.S"
"""

_OPTIONS = (
    *("-mcpu=generic", "-O2", "-fPIC", "-fno-exceptions", "-fno-sanitize=undefined", "-funwind-tables"),
    *("-fvisibility=hidden", "-DNDEBUG", "-D_LIBUNWIND_IS_NATIVE_ONLY", "-D_LIBUNWIND_HIDE_SYMBOLS"),
)
_LIBRARY = re.compile(r'\blib_dir"?\s*[:=]\s*"([^"]+)"')  # JSON, since 0.15 zig's own notation


def make_unwinder(zig: str, target: str, folder: Path) -> Path:
    """Compile the unwinder for *target*, an archive that a linker takes in where something unwinds.

    :param zig: the path of zig.
    :param target: in zig's words, a target whose machine is in :data:`ABOVE_BASELINE`.
    :param folder: where it is made.
    :raises ToolError: BB682 when zig cannot compile it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = _LIBRARY.search(_call([zig, "env"]))
    sources = Path(found.group(1) if found else "") / "libunwind"
    (folder / "unwinding.cpp").write_text(_UNWINDING, encoding="ascii")
    (folder / "saving.S").write_text(_SAVING, encoding="ascii")
    inputs = [folder / "unwinding.cpp", folder / "saving.S", sources / "src" / "UnwindRegistersRestore.S"]
    inputs += [sources / "src" / "UnwindLevel1.c", sources / "src" / "UnwindLevel1-gcc-ext.c"]
    headers = [f"-I{sources / 'src'}", f"-I{sources / 'include'}"]
    objects: List[str] = []
    for source in inputs:
        driver = ["c++", "-std=c++17", "-fno-rtti", "-nostdinc++"] if source.suffix == ".cpp" else ["cc"]
        objects.append(str(folder / f"{source.name}.o"))
        command = [zig, *driver, "-target", target, *_OPTIONS, *headers, "-c", str(source), "-o", objects[-1]]
        _call(command)
    archive = folder / "libunwind-baseline.a"
    archive.unlink(missing_ok=True)
    _call([zig, "ar", "rcs", str(archive), *objects])
    return archive


def _call(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout
    raise ToolError(
        "BB682",
        "zig cannot compile its unwinder for the ARM64 baseline",
        where=" ".join(command),
        why=done.stderr.strip() or f"it ended with status {done.returncode}",
        fix="use a zig between 0.13 and the newest one on the package index (pip install ziglang)",
    )
