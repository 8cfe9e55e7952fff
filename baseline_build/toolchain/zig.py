"""``zig`` as a set of cross compilers: wrappers with the target in them, and two corrections of what it links.

*The unwinder.* zig links LLVM's libunwind into C++ programs. For ARM64 that holds MTE, SVE and SME instructions whose
use is decided by the unwind tables and by a field of an object, not by a test that could be proven. A process on glibc
has an unwinder already, ``libgcc_s.so.1``, which every manylinux policy lets a wheel use: a stand-in for it is linked
first, so that libunwind is not taken in. With musl there is none to rely on, and programs are static: there libunwind
is compiled once more without those places, see :mod:`.unwinder`, and linked first.

*The name of musl.* zig's stand-in for musl is called ``libc.so``. Distributions and the musllinux policies (PEP 656)
know it as ``libc.musl-MACHINE.so.1``. musl's loader takes any name that begins with ``libc.`` for itself.

Stand-ins are empty: they give the linker names, and are never shipped or loaded.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, Mapping, Tuple

from ..errors import ToolError
from .unwinder import ABOVE_BASELINE, make_unwinder

# Names that no shim takes for a compiler: the shim stands before the zig they call.
TOOLS = {"cc": "zigcc", "c++": "zigcxx", "ar": "zigar", "ranlib": "zigranlib"}
_UNWINDER = Path(__file__).with_name("unwinder.txt")
_NAME = re.compile(r"^\s*(_\w+);$", re.MULTILINE)

# A stand-in is an input of a link and of nothing else: -o without a step that ends earlier.
_WRAPPER = """#!/bin/sh
links= shared=
for word do
  case $word in
    -o*) [ "$links" ] || links=yes ;;
    -c | -S | -E | -M | -MM) links=no ;;
    -shared) shared=yes ;;
  esac
done
[ "$links" = yes ] || exec zig {command} "$@"
{link}exec zig {command} "$@"
"""


def zig_tools(
    machine: str, libc: str, zig_target: str, folder: Path, environ: Mapping[str, str], *, strips: bool
) -> Dict[str, str]:
    """Wrappers that call ``zig`` by its name, so that whatever stands before it on PATH is asked first.

    :param zig_target: the target in zig's words.
    :param strips: let the linker strip.
    :returns: the variables that name them.
    :raises ToolError: BB681 without zig, BB682 when it cannot make a stand-in or an unwinder.
    """
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    zig = find_zig(environ)
    if shutil.which("zig", path=environ.get("PATH", os.defpath)) is None:
        (tools / "zig").symlink_to(zig)
    # Without optimisation zig compiles for debugging: with checks that need a runtime library, and a C++ library made
    # once more for it. What a build asks for comes later on the line and wins.
    options = f" -target {zig_target} -O2 -fno-sanitize=undefined" + " -s" * strips
    link = _link_additions(machine, libc, [zig, "cc", "-target", zig_target], folder)
    for name, tool in TOOLS.items():
        compiles = name in ("cc", "c++")
        command = name + options * compiles
        script = _WRAPPER.format(command=command, link=link) if compiles else f'#!/bin/sh\nexec zig {command} "$@"\n'
        (tools / tool).write_text(script, encoding="utf-8")
        (tools / tool).chmod(0o755)
    path = os.pathsep.join([str(tools), environ.get("PATH", os.defpath)])
    return {"PATH": path, "CC": TOOLS["cc"], "CXX": TOOLS["c++"], "AR": TOOLS["ar"]}


def musl_name(machine: str) -> str:
    """What musl is called on *machine* (PEP 656; ``ARCH`` in musl's own build)."""
    return f"libc.musl-{machine}.so.1"


def _link_additions(machine: str, libc: str, compiler: List[str], folder: Path) -> str:
    """The line of a wrapper that adds a stand-in to a link, ``""`` where none is needed."""
    if libc == "musl":
        stand_in = _stand_in(musl_name(machine), (), compiler, folder)
        # Programs are linked statically with musl.
        lines = f'[ -z "$shared" ] || set -- "$@" -Wl,--no-as-needed \'{stand_in}\'\n'
        if machine in ABOVE_BASELINE:
            # An archive: taken in by what unwinds, which a C++ module does too, and by nothing else.
            lines += f"set -- \"$@\" '{make_unwinder(compiler[0], compiler[-1], folder / 'unwinder')}'\n"
        return lines
    if machine in ABOVE_BASELINE:
        names = tuple(_NAME.findall(_UNWINDER.read_text(encoding="ascii")))
        stand_in = _stand_in("libgcc_s.so.1", names, [*compiler, f"-Wl,--version-script={_UNWINDER}"], folder)
        return f"set -- \"$@\" -Wl,--as-needed '{stand_in}'\n"
    return ""


def _stand_in(soname: str, functions: Tuple[str, ...], compiler: List[str], folder: Path) -> Path:
    """A shared object called *soname* that defines *functions* and nothing else."""
    place = folder / "lib"
    place.mkdir(exist_ok=True)
    source = place / f"{soname}.c"
    source.write_text("".join(f"void {name}(void) {{}}\n" for name in functions), encoding="ascii")
    command = [*compiler, "-shared", "-nostdlib", f"-Wl,-soname,{soname}", str(source), "-o", str(place / soname)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(
            "BB682",
            f"zig cannot make a stand-in for {soname}",
            where=" ".join(command),
            why=done.stderr.strip() or f"it ended with status {done.returncode}",
            fix="use a zig between 0.13 and the newest one on the package index (pip install ziglang)",
        )
    return place / soname


def find_zig(environ: Mapping[str, str]) -> str:
    """The path of zig: the one on PATH, else that of the package ``ziglang``.

    :raises ToolError: BB681 without either.
    """
    on_path = shutil.which("zig", path=environ.get("PATH", os.defpath))
    if on_path:
        return on_path
    spec = importlib.util.find_spec("ziglang")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / "zig").is_file():
            return str(Path(place) / "zig")
    raise ToolError(
        "BB681",
        "zig is neither on PATH nor installed",
        where='toolchain = "zig"',
        why="builds without isolation install no build requirements",
        fix="pip install ziglang",
    )
