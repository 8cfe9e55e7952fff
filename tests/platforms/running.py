"""Running a repaired wheel's check: on this CPU, on an emulated old one, on an emulated ARM64."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

from baseline_build import emulate
from tests.cibuildwheel.copies import DATABASE
from tests.musl_python import VERSION as MUSL_VERSION

from .building import ROOT, Interpreter, environment, tool
from .cells import Cell
from .results import Run

CHECK = ROOT / "tests" / "installed_check.py"
_SCHEMA = "namespace check; table Point { x:int; name:string; } root_type Point;\n"
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
_PROGRAM = "flatc compiles a schema"


@dataclass(frozen=True)
class Check:
    """What a Python is given to run, and what that shows."""

    words: Tuple[str, ...]
    what: str

    def without_locks(self) -> Check:
        """The same for a database on musl where get_robust_list(2) is missing."""
        return Check((*self.words, _NO_LOCKS), self.what + _WHY_NOT)


_NO_LOCKS = "--no-locks"
_WHY_NOT = " (opened without locks: musl makes them with get_robust_list(2), which this emulator has not)"
WHOLE = Check((str(CHECK),), "versions, database, schema")
DATABASE_ALONE = Check(("-I", "-c", DATABASE, str(CHECK.parent)), "database")


@dataclass(frozen=True)
class Foreign:
    """Interpreters that this machine's package system does not install, each made at first use.

    :param arm: gives the root folder of an ARM64 CPython on glibc.
    :param musl: gives the root folder of a CPython on musl for a machine.
    """

    arm: Callable[[], Path]
    musl: Callable[[str], Path]


def runs_of(cell: Cell, wheel: Path, python: Interpreter, scratch: Path, foreign: Foreign) -> Tuple[Run, ...]:
    """Every run of *wheel* that this machine can do.

    :param python: the interpreter it was built with.
    """
    row = cell.row
    if row.native_arm:
        own = _environment_of(python, scratch)
        own.call("-m", "pip", "install", "-q", str(wheel))
        done = own.tried(str(CHECK))
        where = f"ARM64, glibc, {cell.python}, {_old_cpu('aarch64')[1]}, in the system it was built in"
        return (_run(where, WHOLE.what, done.returncode, done.stdout + done.stderr),)
    if cell.python.startswith("cp"):
        if row.libc == "musl" and row.machine == "x86_64":
            own = musl_environment(foreign, wheel, scratch)
            check = DATABASE_ALONE if row.partial else WHOLE
            return _in_environment("x86-64, musl, cp311", own, (check, check.without_locks()))
        if row.libc == "musl":
            return (_on_arm("musl", wheel, scratch, foreign.musl(row.machine)),)
        if row.machine == "aarch64":
            return (_on_arm("glibc", wheel, scratch, foreign.arm()),)
    if row.libc == "gnu" and row.machine == "x86_64":
        own = _environment_of(python, scratch)
        if python.root is not None:
            own.call("-m", "pip", "install", "-q", "pyelftools", "packaging")  # for our own command inside of the root
        own.call("-m", "pip", "install", "-q", str(wheel))
        return _in_environment(f"x86-64, glibc, {cell.python}", own, (WHOLE, WHOLE))
    if row.libc == "musl":
        return _program_alone(cell, wheel, scratch)
    # Linked with a newer C library than this machine's: that of the cross compiler beside it has to run it.
    newer = python.root / "usr" / "aarch64-linux-gnu" if python.root else None
    return _program_alone(cell, wheel, scratch, newer or foreign.arm())


def _old_cpu(machine: str) -> Tuple[str, str]:
    """The lowest level of *machine* and words for the emulated CPU that stands for it."""
    cpu = emulate.cpu_for(None, {"x86_64": "x86-64"}.get(machine, machine))
    return cpu.level, f"{cpu.emulator} -cpu {cpu.model}"


def _environment_of(python: Interpreter, scratch: Path) -> Interpreter:
    """The interpreter of a new environment in *scratch*, where *python* runs."""
    home = scratch / "venv"
    # In a root, Debian's older interpreters have no ensurepip.
    python.call(*(("-m", "virtualenv", "--no-periodic-update") if python.root else ("-m", "venv")), str(home))
    return Interpreter(str(home / "bin" / "python"), python.enter, python.root)


def musl_environment(foreign: Foreign, wheel: Path, scratch: Path) -> Interpreter:
    """An environment of the musl CPython of this machine, whose own pip has installed *wheel*."""
    program = foreign.musl("x86_64") / "usr" / "bin" / f"python{MUSL_VERSION}"
    own = _environment_of(Interpreter(str(program)), scratch)
    # That Python has no ssl: what the wheel requires is fetched for it, not by it.
    wheels = scratch / "wheels"
    platforms = ("--platform", "musllinux_1_2_x86_64", "--platform", "musllinux_1_1_x86_64")
    fetch = [*_PIP, "download", "-q", "--only-binary", ":all:", *platforms, "--python-version", MUSL_VERSION]
    required = ["--implementation", "cp", "-d", str(wheels), "cffi>=1.17"]
    subprocess.run([*fetch, *required], check=True, capture_output=True)
    own.call("-m", "pip", "install", "-q", "--no-index", "--find-links", str(wheels), str(wheel))
    return own


def _in_environment(where: str, own: Interpreter, checks: Tuple[Check, Check]) -> Tuple[Run, ...]:
    """The *checks* in an environment with the wheel: on this CPU, and on the oldest."""
    here, there = checks
    real = own.tried(*here.words)
    level, cpu = _old_cpu("x86_64")
    run = ["-m", "baseline_build", "run", "--level", level, "--", own.path, *there.words]
    if own.root is None:
        status, text = tool(*run[2:])
    else:
        done = own.tried(*run, folder=ROOT)
        status, text = done.returncode, done.stdout + done.stderr
    return (
        _run(f"{where}, this CPU", here.what, real.returncode, real.stdout + real.stderr),
        _run(f"{where}, {cpu}", there.what, status, text),
    )


def _run(where: str, what: str, status: int, output: str) -> Run:
    lines = output.strip().splitlines() or [f"status {status}"]
    return Run(where, what, status == 0, "" if status == 0 else lines[-1])


def _on_arm(libc: str, wheel: Path, scratch: Path, root: Path) -> Run:
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
    for scripts in ("usr/local/bin", "usr/bin"):  # Debian's Python looks into the first, any other into the second
        _script(root / scripts / "flatc", 'exec "$BASELINE_BUILD_CHECK_FLATC" "$@"\n')
    variables = {
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": str(site),
        "BASELINE_BUILD_CHECK_FLATC": str(flatc),
    }
    # Not `baseline-build run`: it would put the shells of those scripts under the emulator too.
    check = WHOLE.without_locks() if libc == "musl" else WHOLE
    command = [*call[:-1], str(program), *check.words]
    environ = {**environment(), **variables}
    done = subprocess.run(command, env=environ, cwd=scratch, capture_output=True, text=True, check=False)
    where = f"ARM64, {libc}, cp{version.replace('.', '')}, {words}"
    return _run(where, check.what, done.returncode, done.stdout + done.stderr)


def install_foreign(wheel: Path, site: Path, version: str) -> None:
    """Install *wheel* and what it needs for another machine's Python *version* (``3.11``) into the folder *site*."""
    platform = wheel.stem.rpartition("-")[2].split(".")
    common = ["manylinux2014_aarch64", "manylinux_2_17_aarch64"]
    if platform[0].startswith("musllinux"):
        common = ["musllinux_1_2_aarch64", "musllinux_1_1_aarch64"]
    pip = [*_PIP, "install", "-q", "--only-binary", ":all:"]
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
