"""Which compilers, assemblers, linkers, launchers are on PATH, and what each of them compiles for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Dict, List, Mapping, Optional, Tuple

from ..errors import ToolError

_VERSION = r"(?:-[0-9]+(?:\.[0-9]+)*)?\Z"
_TRIPLET = r"(?:[A-Za-z0-9_.]+-(?:[A-Za-z0-9_.]+-){1,3})?"
_COMPILER = re.compile(
    _TRIPLET
    + r"(?:cc|c\+\+|c89|c99|c17|cpp|gcc|g\+\+|gfortran|f77|f95|gobjc|gobjc\+\+|gdc|gnatgcc|clang|clang\+\+|clang-cpp|"
    + r"clang-cl|flang|flang-new|icx|icpx|dpcpp|hipcc|amdclang|amdclang\+\+|(?:c89|c99|musl|klcc)-gcc|musl-clang)"
    + _VERSION
)
_ASSEMBLER = re.compile(_TRIPLET + r"(?:as|gas)" + _VERSION)
_LINKER = re.compile(_TRIPLET + r"(?:ld|ld\.(?:bfd|gold|lld|mold)|gold|lld|mold)" + _VERSION)
LAUNCHERS = ("ccache", "sccache", "distcc", "icecc", "buildcache")
_SECONDS = 30


@dataclass(frozen=True)
class Program:
    """A program the shims stand before.

    :param name: its name on PATH.
    :param path: where it is.
    :param dialect: ``gcc``, ``clang``, ``zig``, ``as``, ``ld``, ``rustc``, ``go`` or ``launcher``.
    :param machine: value of :class:`~baseline_build.isa.model.Machine`, or ``other``.
    :param modern: clang 14 or newer, which can be told that an option may go unused.
    :param atomics: a compiler for ARM64 that knows ``-moutline-atomics`` (gcc 9.4 and newer, clang 12 and newer).
    :param configured: a clang that reads a configuration file of its own accord.
    """

    name: str
    path: str
    dialect: str
    machine: str
    modern: bool = True
    atomics: bool = True
    configured: bool = False

    @property
    def title(self) -> str:
        """The name people know it by."""
        return self.name.split(" ")[-1]


def machine_of(triplet: str) -> str:
    """The machine of a target triplet (``x86_64-linux-gnu``), ``other`` for those without levels."""
    architecture = triplet.split("-", 1)[0].lower()
    if architecture in ("x86_64", "amd64"):
        return "x86-64"
    if re.match(r"i[3-6]86\Z", architecture):
        return "i386"
    if architecture in ("aarch64", "arm64"):
        return "aarch64"
    return "other"


def ask(command: List[str], environ: Mapping[str, str]) -> str:
    """What *command* prints, both streams. Raises ToolError BB601 when it cannot be started or hangs."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environ, "LC_ALL": "C"},
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(
            "BB601",
            f"a compiler on PATH does not answer: {error}",
            where=command[0],
            why="Every compiler of the build is asked for its target before the build starts.",
            fix="Repair or remove it, or take its folder off PATH.",
        ) from error
    return done.stdout.decode("utf-8", "replace")


class Discovery:
    """Looks at the folders of PATH once; programs that are the same file are asked once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._answers: Dict[str, Program] = {}

    def programs(self) -> Tuple[Program, ...]:
        """All programs the shims stand before, the first of each name on PATH."""
        found: Dict[str, Program] = {}
        for folder in self._environ.get("PATH", os.defpath).split(os.pathsep):
            if not os.path.isabs(folder):
                continue  # a relative folder means another one in every working folder
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                continue  # PATH often names folders that are not there
            for name in names:
                if name not in found:
                    program = self._program(name, os.path.join(folder, name))
                    if program is not None:
                        found[name] = program
        return tuple(found.values())

    def _program(self, name: str, path: str) -> Optional[Program]:
        kind = classify(name)
        if kind is None or not os.path.isfile(path) or not os.access(path, os.X_OK):
            return None
        return self.inspect(name, path, kind)

    def inspect(self, name: str, path: str, kind: str) -> Program:
        """The program at *path*, known by its name to be a *kind* (see :func:`classify`)."""
        if kind in ("go", "rustc", "zig", "launcher"):
            return Program(name, path, kind, host_machine())
        if kind in ("as", "ld"):
            prefix = re.match(_TRIPLET, name)
            triplet = prefix.group() if prefix else ""
            return Program(name, path, kind, machine_of(triplet) if triplet else host_machine())
        return replace(self._compiler(path), name=name, path=path)

    def _compiler(self, path: str) -> Program:
        real = os.path.realpath(path)
        key = path if os.path.basename(real) in LAUNCHERS else real
        if key not in self._answers:
            named = re.search("gcc|g[+][+]|gfortran", os.path.basename(real))
            found = self._gcc(path) if named else self._unnamed(path)
            if found.machine == "aarch64":
                complaint = ask([path, "-moutline-atomics", "-E", "-x", "c", os.devnull], self._environ)
                found = replace(found, atomics="-moutline-atomics" not in complaint)
            self._answers[key] = found
        return self._answers[key]

    def _gcc(self, path: str) -> Program:
        return Program("", path, "gcc", machine_of(ask([path, "-dumpmachine"], self._environ).strip()))

    def _unnamed(self, path: str) -> Program:
        text = ask([path, "--version"], self._environ)
        clang = re.search(r"clang version ([0-9]+)", text)
        target = re.search(r"^Target: (\S+)", text, re.MULTILINE)
        if target and (clang or "LLVM" in text or "oneAPI" in text or "flang" in text):
            modern = bool(clang and int(clang.group(1)) >= 14)
            configured = "\nConfiguration file: " in text
            return Program("", path, "clang", machine_of(target.group(1)), modern, configured=configured)
        return self._gcc(path)


def classify(name: str) -> Optional[str]:
    """What a program of that name is, ``compiler`` or the dialect of a :class:`Program`; ``None`` for anything else."""
    if name in LAUNCHERS:
        return "launcher"
    if name in ("rustc", "go", "zig"):
        return name
    for kind, pattern in (("compiler", _COMPILER), ("as", _ASSEMBLER), ("ld", _LINKER)):
        if pattern.match(name):
            return kind
    return None


def host_machine() -> str:
    """The machine this process runs on (a 32-bit Python on a 64-bit kernel counts as 32-bit)."""
    machine = machine_of(os.uname().machine)
    if machine == "x86-64" and sys.maxsize < 2**32:
        return "i386"
    return machine
