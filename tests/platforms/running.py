"""Running a repaired wheel's check: on this CPU, on an emulated old one, on an emulated ARM64."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

from baseline_build import emulate

from .building import ROOT, environment, tool
from .cells import Cell
from .results import Run

CHECK = ROOT / "tests" / "installed_check.py"
_SCHEMA = "namespace check; table Point { x:int; name:string; } root_type Point;\n"
_WHOLE = "versions, database, schema"
_PROGRAM = "flatc compiles a schema"


def runs_of(cell: Cell, wheel: Path, python: str, scratch: Path, arm: Callable[[], Path]) -> Tuple[Run, ...]:
    """Every run of *wheel* that this machine can do.

    :param python: the interpreter it was built with.
    :param arm: gives the root of an unpacked ARM64 Python.
    """
    if cell.row.libc == "musl":
        return _program_alone(cell, wheel, scratch)
    if cell.row.machine == "x86_64":
        return _in_environment(cell, wheel, python, scratch)
    if cell.python.startswith("cp"):
        return (_on_arm(wheel, scratch, arm()),)
    return _program_alone(cell, wheel, scratch, arm())


def _old_cpu(machine: str) -> Tuple[str, str]:
    """The lowest level of *machine* and words for the emulated CPU that stands for it."""
    cpu = emulate.cpu_for(None, {"x86_64": "x86-64"}.get(machine, machine))
    return cpu.level, f"{cpu.emulator} -cpu {cpu.model}"


def _in_environment(cell: Cell, wheel: Path, python: str, scratch: Path) -> Tuple[Run, ...]:
    home = scratch / "venv"
    own = str(home / "bin" / "python")
    subprocess.run([python, "-m", "venv", str(home)], check=True, capture_output=True)
    install = [own, "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    real = subprocess.run([own, str(CHECK)], env=environment(), capture_output=True, text=True, check=False)
    level, words = _old_cpu("x86_64")
    status, text = tool("run", "--level", level, "--", own, str(CHECK))
    return (
        _run(f"x86-64, glibc, {cell.python}, this CPU", _WHOLE, real.returncode, real.stdout + real.stderr),
        _run(f"x86-64, glibc, {cell.python}, {words}", _WHOLE, status, text),
    )


def _run(where: str, what: str, status: int, output: str) -> Run:
    lines = output.strip().splitlines() or [f"status {status}"]
    return Run(where, what, status == 0, "" if status == 0 else lines[-1])


def _on_arm(wheel: Path, scratch: Path, root: Path) -> Run:
    """The check under an unpacked ARM64 CPython, whatever CPython built the (stable ABI) wheel."""
    program = min((root / "usr/bin").glob("python3.*"))
    version = program.name.replace("python", "")
    site = scratch / "site"
    install_foreign(wheel, site, version)
    _, words = _old_cpu("aarch64")
    flatc = site / "example_pkg" / "_bin" / "flatc"
    real = flatc.with_name("flatc-program")
    flatc.rename(real)
    cpu = emulate.cpu_for(None, "aarch64")
    call = [emulate.find(cpu), "-cpu", cpu.model, "-L", str(root), str(real)]
    # The kernel would start an ARM64 program only where binfmt_misc says how; a script it starts everywhere.
    _script(flatc, f'exec {shlex.join(call)} "$@"\n')
    _script(root / "usr/local/bin/flatc", 'exec "$BASELINE_BUILD_CHECK_FLATC" "$@"\n')
    variables = {
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": str(site),
        "BASELINE_BUILD_CHECK_FLATC": str(flatc),
    }
    # Not `baseline-build run`: it would put the shells of those scripts under the emulator too.
    command = [*call[:-1], str(program), str(CHECK)]
    environ = {**environment(), **variables}
    done = subprocess.run(command, env=environ, cwd=scratch, capture_output=True, text=True, check=False)
    where = f"ARM64, glibc, cp{version.replace('.', '')}, {words}"
    return _run(where, _WHOLE, done.returncode, done.stdout + done.stderr)


def install_foreign(wheel: Path, site: Path, version: str) -> None:
    """Install *wheel* and what it needs for another machine's Python *version* (``3.11``) into the folder *site*."""
    platform = wheel.stem.rpartition("-")[2].split(".")
    common = [f"manylinux2014_{platform[0].partition('_aarch64')[2] or 'aarch64'}", "manylinux_2_17_aarch64"]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:"]
    pip += ["--python-version", version, "--implementation", "cp", "--target", str(site)]
    pip += [part for name in dict.fromkeys([*platform, *common]) for part in ("--platform", name)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)


def _program_alone(cell: Cell, wheel: Path, scratch: Path, root: Optional[Path] = None) -> Tuple[Run, ...]:
    """Runs of the program only, where no interpreter for the wheel's module is at hand."""
    with zipfile.ZipFile(wheel) as archive:
        program = Path(archive.extract("example_pkg/_bin/flatc", scratch))
    program.chmod(0o755)
    schema = scratch / "point.fbs"
    schema.write_text(_SCHEMA, encoding="utf-8")
    command = [str(program), "--python", "-o", str(scratch / "out"), str(schema)]
    level, words = _old_cpu(cell.row.machine)
    machine = {"x86_64": "x86-64", "aarch64": "ARM64"}[cell.row.machine]
    libc = {"gnu": "glibc", "musl": "musl"}[cell.row.libc]
    found: List[Run] = []
    if os.uname().machine == cell.row.machine:
        real = subprocess.run(command, capture_output=True, text=True, check=False)
        found.append(_run(f"{machine}, {libc}, this CPU", _PROGRAM, real.returncode, real.stdout + real.stderr))
    sysroot: Dict[str, str] = {"--sysroot": str(root)} if root else {}
    options = [part for pair in sysroot.items() for part in pair]
    status, text = tool("run", "--level", level, *options, "--", *command)
    found.append(_run(f"{machine}, {libc}, {words}", _PROGRAM, status, text))
    return tuple(found)


def _script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    path.chmod(0o755)
