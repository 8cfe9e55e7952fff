"""Writes the shims: small shell scripts that stand before compilers and filter their command lines.

Why shell: a cross-building box may have no compiler for itself, so nothing can be compiled for the purpose, and Python
takes some 25 ms to start. A POSIX shell starts in 1-2 ms. The loop runs on built-ins alone (no process is started), the
option table is compiled into ``case`` patterns, and what needs more than patterns (response files, options in pairs,
exempted sources) is handed to :mod:`.slow`, in Python, with the filter of :mod:`.filtering`. Both give the same lines,
which ``tests/toolchain`` proves on random ones.

Two places: ``bin`` comes first on PATH and holds a shim for every compiler found there. ``inner`` is COMPILER_PATH,
where gcc looks for ``cc1``, ``as``, ``ld``: that catches a gcc called by its absolute path. A shim in ``bin`` takes
``inner`` out again, so that every call is filtered once.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Dict, List, Mapping, Optional

from .discovery import Program, host_machine
from .filtering import TAKES_VALUE
from .model import Mode
from .plan import Plan
from .tables import Kind, family_of, flags, meaning, target_of

_HERE = Path(__file__).parent
_LITERAL = re.compile(r"[A-Za-z0-9_.,=+/:@%^-]+")
# What the patterns below mean is written in filtering.py; they only have to be no narrower than it.
_COMPILER_SCAN = r"""-m*)
case $a in
-m16|-m32|-m64|-mx32|-mllvm|-mattr*|-mcpu) slow "$@" ;;
@DROP@) drop=1 ;;
esac ;;
-c|-S|-E|-M|-MM|-fsyntax-only|-Wl,*-Map*|-Wl,-r|-Wl,-r,*|-r) link= ;;
-specs*|--specs*|-B*|-wrapper|--prefix*|-fplugin*) keep=1 ;;
-X*) case $a in -Xclang=*) slow "$@" ;; esac; pair=1 ;;
-Wa,*|-Wp,*) case $a in *-m*|*,+*) slow "$@" ;; *,@*) keep=1 ;; esac ;;
-Wl,*|-z*|-plugin-opt*|--plugin-opt*)
case $a in *x86-64-*|*mcpu*|*mattr*|*march*) slow "$@" ;; *,@*) keep=1 ;; esac ;;
@*|x86-64-*|-target*|-tune-cpu|-arch|--machine*|--for-*|--config*) slow "$@" ;;
@TARGETS@"""
_ASSEMBLER_SCAN = '-march=*|-mcpu=*|-mtune=*|-mfpu=*|-msse2avx|-mavxscalar=256|@*) slow "$@" ;;\n@KERNEL_STATE@'
_LINKER_SCAN = '*x86-64-*|*mcpu*|*mattr*|*march*|@*) slow "$@" ;;'
_RUST_SCAN = '*target[-_]cpu*|*target[-_]feature*|*llvm[-_]args*|*tune-cpu*|@*|--target|--target=*) slow "$@" ;;'
_ZIG_SCAN = '-m*|-target*|--target*|@*|-X*|-Wa,*|-Wp,*|-Wl,*x86-64-*|-z*|build-*|cc|c++|run|test|build) slow "$@" ;;'
_SAME_TARGET = {"x86-64": "x86_64-*|amd64-*", "aarch64": "aarch64-*|arm64-*", "i386": "i?86-*"}


def quote(text: str) -> str:
    """*text* as one word of the shell."""
    return shlex.quote(text)


def _pattern(text: str) -> str:
    """An option pattern of flags.txt as a ``case`` pattern: only ``*`` keeps its meaning."""
    return "*".join(part if _LITERAL.fullmatch(part) else quote(part) if part else "" for part in text.split("*"))


def drop_patterns(machine: str, level: Optional[str]) -> List[str]:
    """``case`` patterns of all options that are dropped, in the table's order with what is kept taken out before.

    A pattern that is kept (``-mavx256-split-unaligned-load``) but lies within one that is dropped (``-mavx*``) cannot
    be said in one list: see :func:`kept_patterns`.
    """
    if level is None:
        return ["-march=native", "-mcpu=native", "-mtune=native"]
    family = family_of(machine)
    return [
        _pattern(flag.pattern)
        for flag in flags()
        if flag.covers(family) and flag.kind is not Kind.NEUTRAL and meaning(flag.pattern, machine, level).dropped
    ]


def kept_patterns(machine: str, level: Optional[str]) -> List[str]:
    """``case`` patterns that go before those of :func:`drop_patterns`: kept options that a dropped glob would catch."""
    if level is None:
        return []
    family = family_of(machine)
    rows = [flag for flag in flags() if flag.covers(family)]
    globs = [flag.pattern[:-1] for flag in rows if flag.pattern.endswith("*") and flag.kind is not Kind.NEUTRAL]
    return [
        _pattern(flag.pattern)
        for flag in rows
        if flag.pattern.startswith(tuple(globs)) and not meaning(flag.pattern, machine, level).dropped
    ]


def _kept_case(machine: str, level: Optional[str]) -> str:
    kept = kept_patterns(machine, level)
    return "|".join(kept) + ") ;;" if kept else ""


def _fill(template: str, values: Mapping[str, str]) -> str:
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match.group(1)], template)


def _kernel_patterns(plan: Plan) -> str:
    """``case`` patterns, wider than the globs of the kernels: the last part of the name anywhere."""
    names = sorted(
        {re.sub(r"\*+|\[[^]]*\]|\?", "*", glob.rsplit("/", 1)[-1]) for k in plan.kernels for glob in k.sources}
    )
    return "|".join("*" + "*".join(quote(part) if part else "" for part in name.split("*")) for name in names)


def _scan(plan: Plan, program: Program) -> str:
    dialect, machine = program.dialect, program.machine
    level = plan.level(machine)
    if plan.mode is Mode.REPORT:
        return "-c|-S|-E|-M|-MM|-fsyntax-only|-Wl,*-Map*|-Map*|-r) link= ;;"
    scans = {"as": _ASSEMBLER_SCAN, "ld": _LINKER_SCAN, "rustc": _RUST_SCAN, "zig": _ZIG_SCAN}
    scan = scans.get(dialect, _COMPILER_SCAN)
    if dialect not in scans:
        scan = scan.replace("@DROP@", _kept_case(machine, level) + "\n@DROP@")
        same = _SAME_TARGET.get(machine)
        one = "|".join(f"--target={target}" for target in same.split("|")) + ") ;;\n" if same else ""
        scan = scan.replace("@TARGETS@", one + '--target*) slow "$@" ;;')
        scan = scan.replace("@DROP@", "|".join(drop_patterns(machine, level)))
    if program.configured:
        return '*) slow "$@" ;;'  # a file no shim sees has options of its own, see clang.py
    kernels = _kernel_patterns(plan)
    if dialect == "as":
        own = "|".join(quote(option) for option in plan.added("as", machine))
        scan = f"{own}) ;;\n{scan}" if own else scan  # clang passes the gate on, see clang.py
        # a source that may use more was compiled to this file: the compiler's shim left word
        scan = scan.replace(
            "@KERNEL_STATE@", '*.s) [ -e "$state/kernels/${a##*/}" ] && slow "$@" ;;' if kernels else ""
        )
    if kernels and dialect not in ("as", "ld", "rustc"):
        scan = f'{kernels}) slow "$@" ;;\n{scan}'
    return scan


def _environment(plan: Plan, *, inner: bool) -> List[str]:
    """Shell code that sets the variables of the session back, but for COMPILER_PATH where ``keep`` is set."""

    def setting(name: str, value: Optional[str]) -> str:
        return f"unset {name}" if value is None else f"{name}={quote(value)}\nexport {name}"

    others = [name for name in plan.original if name != "COMPILER_PATH"]
    unset = [name for name in others if plan.original[name] is None]
    lines = [f"unset {' '.join(unset)}"] if unset else []
    lines += [setting(name, plan.original[name]) for name in others if name not in unset]
    if not inner:
        lines.append(f'if [ -z "$keep" ]; then\n{setting("COMPILER_PATH", plan.search_path())}\nfi')
    return lines


def without_shims(plan: Plan) -> str:
    """Shell code that takes the shims off PATH, wherever the build has put them meanwhile."""
    folder = quote(str(Path(plan.state, "bin")))
    return (
        f"case :$PATH: in *:{folder}:*)\nPATH=:$PATH: PATH=${{PATH%%:{folder}:*}}:${{PATH#*:{folder}:}}\n"
        "PATH=${PATH#:} PATH=${PATH%:} ;;\nesac"
    )


def _link(plan: Plan, dialect: str, machine: str, modern: bool) -> str:
    """Shell code for calls that may link: keep the linker's map, and start files without a marker first."""
    if dialect not in ("gcc", "clang", "ld"):
        return ""
    front = 'map=$state/maps/$$\nwhile [ -e "$map" ]; do map=$map+; done\n: >"$map"\n'
    words = ['-Map="$map"' if dialect == "ld" else '-Wl,-Map="$map"']
    if dialect != "ld" and plan.crt.get(machine):
        words.append("-B" + quote(plan.crt[machine]))
    if dialect == "clang":
        words = (
            ["--start-no-unused-arguments", *words, "--end-no-unused-arguments"]
            if modern
            else [*words, "-Qunused-arguments"]
        )
    return f'if [ "$link" ] && [ $# -gt 0 ]; then\n{front}set -- "$@" {" ".join(words)}\nfi'


def gated_run(plan: Plan, machine: str) -> str:
    """Shell code that runs the assembler; under strict, what it refuses is explained (see :mod:`.gate`)."""
    level = plan.level(machine)
    if not plan.strict or plan.mode is Mode.REPORT or level is None or target_of(machine, level).gate is None:
        return 'exec "$real" "$@"'
    explain = f"{quote(sys.executable)} -IS {quote(str(_HERE / 'gate.py'))}"
    return (
        'errors=$state/errors/$$\n"$real" "$@" 2>"$errors"\ncode=$?\n'
        f'[ $code = 0 ] || exec {explain} "$state" "$errors" $code "$@"\n'
        'while IFS= read -r line; do printf \'%s\\n\' "$line" >&2; done <"$errors"\nexit 0'
    )


def _compiler_run(plan: Plan, dialect: str) -> str:
    """Shell code that runs the compiler; under strict, archives that a link took in are looked at (:mod:`.links`)."""
    run = '${launcher:+"$launcher"} "$real" "$@"'
    # what fails after options were taken off may fail for want of them: the log tells
    failed = '[ -z "$removed" ] || printf \'%s\\0\' bbx $code >>"$state/log/$$"\nexit $code'
    if not plan.strict or plan.mode is Mode.REPORT or dialect not in ("gcc", "clang", "ld"):
        return f'[ "$removed" ] || exec {run}\n{run}\ncode=$?\n[ $code != 0 ] || exit 0\n{failed}'
    look = f"exec {quote(sys.executable)} -IS {quote(str(_HERE / 'links.py'))}"
    return (
        f'[ "$map$removed" ] || exec {run}\noutput=a.out previous=\nfor a do\n[ "$previous" = -o ] && output=$a\n'
        f"case $a in -o?*) output=${{a#-o}} ;; esac\nprevious=$a\ndone\n{run}\ncode=$?\n"
        f'if [ $code != 0 ]; then\n{failed}\nfi\n[ "$map" ] || exit 0\n'
        f'case $(grep -F -m 1 ".a(" "$map") in ?*) {look} "$state" "$map" "$output" ;; esac'
    )


def gate_text(plan: Plan, choice: str) -> str:
    """The shim before the assembler for compilers whose options were filtered already; *choice* sets ``real``."""
    template = (_HERE / "gate.sh").read_text(encoding="utf-8")
    return _fill(template, {"STATE": quote(plan.state), "REAL": choice, "RUN": gated_run(plan, host_machine())})


def shim_text(plan: Plan, program: Program, real: str, *, check: str = "") -> str:
    """The shim before *program*.

    :param real: shell code that sets ``real``, and may set ``machine``.
    :param check: shell code that sends unusual calls to ``slow``; given for shims in COMPILER_PATH only.
    """
    dialect, inner = program.dialect, bool(check)
    added = plan.added(dialect, program.machine, modern=program.modern, atomics=program.atomics)
    environment = _environment(plan, inner=inner) if dialect in ("gcc", "clang", "zig", "as", "ld") else []
    if dialect in ("gcc", "clang", "zig") and not inner:
        environment.append(without_shims(plan))
    template = (_HERE / "shim.sh").read_text(encoding="utf-8")
    return _fill(
        template,
        {
            "NAME": quote(program.name),
            "STATE": quote(plan.state),
            "MACHINE": quote(program.machine),
            "REAL": f"keep={'1' if inner else ''}\n{real}",
            "CHECK": check,
            "PYTHON": f"{quote(sys.executable)} -IS",
            "SLOW": quote(str(_HERE / "slow.py")),
            "SCAN": _scan(plan, program),
            "REFUSE": "1" if plan.mode is Mode.REFUSE else "",
            "KEPT": _kept_case(program.machine, plan.level(program.machine)),
            "DROP": "|".join(drop_patterns(program.machine, plan.level(program.machine))),
            "VALUES": "|".join(sorted(TAKES_VALUE | {"-z"})),
            "ADDED_TEXT": quote("\n".join(added)),
            "LINK": _link(plan, dialect, program.machine, program.modern),
            "ENVIRONMENT": "\n".join(environment),
            "RUN": gated_run(plan, program.machine) if dialect == "as" else _compiler_run(plan, dialect),
            "ADDED": " ".join(quote(option) for option in added),
        },
    )


def launcher_text(plan: Plan, program: Program) -> str:
    """The shim before a launcher such as ccache: it starts the shim of the compiler it is given."""
    known: Dict[str, List[str]] = {}
    for other in plan.programs.values():
        if other.dialect in ("gcc", "clang"):
            known.setdefault(other.name, []).append(quote(other.path))
    folder = Path(plan.state, "bin")
    lines = [
        f"{'|'.join([*paths, quote(str(folder / name))])}) program={quote(name)} ;;" for name, paths in known.items()
    ]
    template = (_HERE / "launcher.sh").read_text(encoding="utf-8")
    return _fill(
        template,
        {
            "SHIMS": quote(str(folder)),
            "LAUNCHER": quote(program.path),
            # distcc and icecc take options without a compiler and then mean cc
            "IMPLICIT": "program=cc" if program.name in ("distcc", "icecc") else "",
            "KNOWN": "\n".join(lines),
            "ENVIRONMENT": "\n".join([*_environment(plan, inner=True), without_shims(plan)]),
        },
    )


def rust_choice(plan: Plan, wrapper: Optional[str]) -> str:
    """Shell code for cargo's RUSTC_WRAPPER, which is called with rustc's name first; *wrapper* is the user's own."""
    rustc = plan.programs["rustc"]
    lines = ["real=$1", "shift", f"case $real in rustc|{quote(str(Path(plan.state, 'bin', 'rustc')))})"]
    lines += [f"real={quote(rustc.path)} ;;", "esac"]
    if wrapper:
        lines.append(f"_BASELINE_BUILD_LAUNCHER={quote(shutil.which(wrapper) or wrapper)}")
    return "\n".join(lines)


def go_text(plan: Plan, program: Program) -> str:
    """The shim before go, whose level is a variable: whatever a makefile sets, the promised one goes in."""
    lines = ["#!/bin/sh", "# Written by baseline-build for one build and removed with it.", "removed="]
    for machine in ("x86-64", "aarch64", "i386"):
        level = plan.level(machine)
        if level is not None and plan.mode is not Mode.REPORT:
            name, value = target_of(machine, level).go
            lines.append(f'case ${name} in ""|{value}) ;; *) removed="$removed{name}=${name}\n" ;; esac')
            lines.append(f"{name}={value}\nexport {name}")
    lines.append("{ read -r caller </proc/$PPID/comm; } 2>/dev/null || caller=")
    lines.append(
        f"printf '%s\\0' bb1 go {quote(program.machine)} \"$PWD\" \"$caller\" $# \"$@\" \"$removed\" '' '' '' '' "
        f">>{quote(plan.state)}/log/$$ || exit 70"
    )
    lines.append(f'exec {quote(program.path)} "$@"')
    return "\n".join(lines) + "\n"


def write_executable(path: Path, text: str) -> None:
    """Write *text* as a program; the name appears only when the content is complete."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_bytes(os.fsencode(text))
    unfinished.chmod(0o755)
    unfinished.replace(path)
