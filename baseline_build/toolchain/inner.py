"""The shims in COMPILER_PATH, where every gcc looks for its parts, whichever way it was called.

gcc tells its parts who called them in COLLECT_GCC (GCC's manual, collect2). That decides which ``cc1`` is the real one:
compilers for other machines look in the same COMPILER_PATH.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

from . import shims
from .discovery import Program, ask, host_machine
from .plan import Plan

# The parts that compile (GCC internals, "Passes and Files of the Compiler").
_COMPILERS_PROPER = ("cc1", "cc1plus", "cc1obj", "cc1objplus", "f951", "lto1", "d21", "gnat1", "cc1gm2")
_LINKERS = ("ld", "ld.bfd", "ld.gold", "ld.lld", "ld.mold")
PREFIX = "inner "


@dataclass(frozen=True)
class Part:
    """One part of one gcc: the compiler that looks for it, and the real program it would find."""

    caller: Program
    real: str


def _folder_of_parts(compiler: Program, environ: Mapping[str, str]) -> str:
    return os.path.dirname(ask([compiler.path, "-print-prog-name=cc1"], environ).strip())


def _tool(compiler: Program, name: str, plan: Plan, environ: Mapping[str, str]) -> str:
    """The real ``as`` or ``ld`` of *compiler*; a bare name means the one on PATH."""
    answer = ask([compiler.path, f"-print-prog-name={name}"], environ).strip()
    if os.path.isabs(answer):
        return answer
    found = plan.programs.get(answer)
    return found.path if found else ""


def parts(plan: Plan, environ: Mapping[str, str]) -> Dict[str, List[Part]]:
    """Name in COMPILER_PATH -> the programs it stands for, by caller. Raises ToolError BB601."""
    found: Dict[str, List[Part]] = {}
    known: Dict[str, Dict[str, str]] = {}
    for compiler in plan.programs.values():
        if compiler.dialect != "gcc":
            continue
        key = os.path.realpath(compiler.path)
        if key not in known:
            folder = _folder_of_parts(compiler, environ)
            known[key] = {
                name: os.path.join(folder, name)
                for name in _COMPILERS_PROPER
                if folder and os.access(os.path.join(folder, name), os.X_OK)
            }
            known[key].update({name: _tool(compiler, name, plan, environ) for name in ("as", "ld")})
        for name, real in known[key].items():
            if real:
                found.setdefault(name, []).append(Part(compiler, real))
    host = host_machine()
    for name in _LINKERS[1:]:
        program = plan.programs.get(name)
        if program is not None and program.machine == host:
            callers = [part.caller for part in found.get("ld", ()) if part.caller.machine == host]
            found.setdefault(name, []).extend(Part(caller, program.path) for caller in callers)
    return found


def inner_program(name: str, candidates: Sequence[Part]) -> Program:
    """The plan's entry for the shim *name* in COMPILER_PATH."""
    dialect = "as" if name == "as" else "ld" if name in _LINKERS else "cc1"
    atomics = all(part.caller.atomics for part in candidates)
    return Program(PREFIX + name, "", dialect, host_machine(), atomics=atomics)


def _choice(name: str, candidates: List[Part], plan: Plan) -> str:
    """Shell code that sets ``real`` and ``machine`` by who called."""
    cases: Dict[Tuple[str, str], List[str]] = {}
    for part in candidates:
        words = cases.setdefault((part.real, part.caller.machine), [])
        words += [shims.quote(part.caller.path), shims.quote(part.caller.name)]
    own = plan.programs.get(name)
    lines = ["real= machine=", "case $COLLECT_GCC in"]
    if own is not None:  # clang looks here too, and tells nothing
        lines.append(f"'') real={shims.quote(own.path)} machine={shims.quote(own.machine)} ;;")
    for (real, machine), words in cases.items():
        lines.append(f"{'|'.join(words)}) real={shims.quote(real)} machine={shims.quote(machine)} ;;")
    return "\n".join([*lines, "esac"])


def write_inner(plan: Plan, found: Mapping[str, List[Part]]) -> None:
    """Write all shims of COMPILER_PATH, and the gate before the assembler."""
    shims.write_executable(
        Path(plan.state, "gate", "as"), shims.gate_text(plan, _choice("as", found.get("as", []), plan))
    )
    folder = Path(plan.state, "inner")
    for name, candidates in found.items():
        program = inner_program(name, candidates)
        check = f'[ "$machine" = {shims.quote(program.machine)} ] || slow "$@"'
        text = shims.shim_text(plan, program, _choice(name, candidates, plan), check=check)
        shims.write_executable(folder / name, text)
