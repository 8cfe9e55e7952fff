"""Building for another machine: what a target is, and the compilers, variables and names it takes.

A target is a GNU triple (``aarch64-linux-gnu``), with zig also one that names the oldest C library
(``x86_64-linux-gnu.2.17``). Nothing of the target is ever executed: compilers are asked for their own target, names and
tags are derived. The interpreter's own headers serve for the target, which is right for Linux machines of the same word
size and byte order: their ``pyconfig.h`` agree in what extension modules see.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shlex
import shutil
import struct
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, Mapping, Optional, Tuple

from ..errors import ConfigError, EnforcementError, ToolError
from . import zig
from .discovery import ask

_TRIPLE = re.compile(
    r"(?P<machine>[a-z0-9_]+)-(?:[a-z0-9]+-)?linux-(?P<libc>gnu|musl)(?P<version>\.[0-9]+(?:\.[0-9]+)*)?\Z"
)
# Machine -> (bits, byte order) of those the interpreter's headers can serve.
_LAYOUTS = {
    "x86_64": (64, "little"),
    "aarch64": (64, "little"),
    "riscv64": (64, "little"),
    "loongarch64": (64, "little"),
    "powerpc64le": (64, "little"),
    "s390x": (64, "big"),
}
_TAGS = {"powerpc64le": "ppc64le"}
_MULTIARCH = re.compile(r"<([\w-]+-linux-gnu\w*)/([^>]*pyconfig\.h)>")
_SUFFIX = re.compile(r"-[a-z0-9_]+-linux-(?:gnu|musl)\.so\Z")


@dataclass(frozen=True)
class Target:
    """What is built for.

    :param machine: as GNU triples name it (``powerpc64le``).
    :param libc: ``gnu`` or ``musl``.
    :param version: the oldest version of the C library (``2.17``), ``""`` for the toolchain's own choice.
    :param toolchain: ``system`` or ``zig``.
    """

    machine: str
    libc: str
    version: str
    toolchain: str

    @property
    def triple(self) -> str:
        """The GNU triple without version."""
        return f"{self.machine}-linux-{self.libc}"

    @property
    def zig_target(self) -> str:
        """The target in zig's words."""
        return f"{self.triple}.{self.version}" if self.version else self.triple

    @property
    def tag_machine(self) -> str:
        """The machine as wheel tags name it."""
        return _TAGS.get(self.machine, self.machine)

    @property
    def extension_suffix(self) -> str:
        """End of an extension module's file name for this interpreter on the target."""
        own = str(sysconfig.get_config_var("EXT_SUFFIX") or ".so")
        return _SUFFIX.sub(f"-{self.triple}.so", own)

    @property
    def links_stripped(self) -> bool:
        """Whether the linker strips, because this machine has no program that could do it for the target."""
        return self.toolchain == "zig" and not strip_command(self.machine, os.environ)

    def definitions(self) -> Dict[str, str]:
        """CMake cache entries that make a build a cross build."""
        entries = {"CMAKE_SYSTEM_NAME": "Linux", "CMAKE_SYSTEM_PROCESSOR": self.tag_machine}
        if self.toolchain == "system":
            entries.update(CMAKE_AR=f"{self.triple}-ar", CMAKE_RANLIB=f"{self.triple}-ranlib")
        else:
            entries.update(CMAKE_AR=zig.TOOLS["ar"], CMAKE_RANLIB=zig.TOOLS["ranlib"])
        found = {name: shutil.which(tool) for name, tool in entries.items() if name in ("CMAKE_AR", "CMAKE_RANLIB")}
        return {**entries, **{name: path for name, path in found.items() if path}}


def read_target(text: str, toolchain: str) -> Optional[Target]:
    """The target a project is configured for, ``None`` for an ordinary build on and for this machine.

    :param text: the setting ``target``, ``""`` for this machine.
    :param toolchain: the setting ``toolchain``, ``system`` or ``zig``.
    :raises ConfigError: BB680 for what is no target, or not one this interpreter can build for.
    """
    if not text and toolchain == "system":
        return None
    if not text:
        libc = "musl" if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")) else "gnu"
        text = f"{_own_machine()}-linux-{libc}"
    match = _TRIPLE.match(text)
    if match is None or match["machine"] not in _LAYOUTS:
        raise ConfigError(
            "BB680",
            f"{text!r} is not a target that can be built for",
            where="target",
            fix="name a GNU triple of Linux: " + ", ".join(f"{machine}-linux-gnu" for machine in _LAYOUTS),
        )
    version = (match["version"] or "").lstrip(".")
    if version and toolchain != "zig":
        raise ConfigError(
            "BB680",
            f"{text!r} names a version of the C library",
            where="target",
            why="only zig carries several C libraries; a gcc has the one it was built with",
            fix='leave the version out, or set toolchain = "zig"',
        )
    if not sys.platform.startswith("linux") or _LAYOUTS[match["machine"]] != (struct.calcsize("P") * 8, sys.byteorder):
        raise ConfigError(
            "BB680",
            f"this interpreter cannot serve as the build Python for {text}",
            where="target",
            why=f"its headers describe {sysconfig.get_platform()}: another system, word size or byte order",
            fix="build with a Python for Linux of the same word size and byte order as the target",
        )
    return Target(match["machine"], match["libc"], version, toolchain)


@contextlib.contextmanager
def crossing(target: Optional[Target], folder: Path, *, cplusplus: bool) -> Iterator[None]:
    """A block in which this process's variables describe a build for *target*; nothing changes for ``None``.

    :param folder: an existing folder for wrappers and headers.
    :param cplusplus: whether a C++ compiler is needed.
    :raises ToolError: BB681 where a compiler is missing.
    :raises EnforcementError: BB683 where CC is for another machine.
    """
    if target is None:
        _require_own_compiler(os.environ)
        yield
        return
    changed = variables(target, folder, os.environ, cplusplus=cplusplus)
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def variables(target: Target, folder: Path, environ: Mapping[str, str], *, cplusplus: bool) -> Dict[str, str]:
    """The variables of a build for *target*, see :func:`crossing`."""
    folder.mkdir(parents=True, exist_ok=True)
    if target.toolchain == "zig":
        strips = target.links_stripped
        chosen = zig.zig_tools(target.machine, target.libc, target.zig_target, folder, environ, strips=strips)
    else:
        chosen = _system_tools(target, environ, cplusplus=cplusplus)
    chosen["LDSHARED"] = f"{chosen['CC']} -shared"
    chosen["LDCXXSHARED"] = f"{chosen['CXX']} -shared"
    # CPython's and setuptools' own words for a cross build: the platform tag and the end of module names.
    chosen["_PYTHON_HOST_PLATFORM"] = f"linux-{target.tag_machine}"
    chosen["SETUPTOOLS_EXT_SUFFIX"] = target.extension_suffix
    headers = _multiarch_headers(target, folder)
    if headers is not None:
        chosen["CPATH"] = os.pathsep.join(filter(None, [str(headers), environ.get("CPATH")]))
    return chosen


def strip_command(machine: str, environ: Mapping[str, str]) -> Tuple[str, ...]:
    """The strip program for files of *machine* (in the words of GNU triples), empty where there is none.

    The one that STRIP names, as cross environments do; else that of this machine, the one beside CC
    (``aarch64-poky-linux-gcc``), the distribution's for the machine, LLVM's.
    """
    named = shlex.split(environ.get("STRIP", ""))
    compiler = os.path.basename((environ.get("CC", "").split() or [""])[0])
    beside = compiler.rpartition("-")[0]
    # Not what sysconfig says, which cross environments set to the target; and one strip serves both sizes of x86.
    own = {machine, platform.machine()}
    names = ["strip"] if len(own) == 1 or own <= {"x86_64", "i686"} else []
    if beside.split("-", 1)[0] == machine:
        names.append(f"{beside}-strip")
    names += [f"{machine}-linux-gnu-strip", f"{machine}-linux-musl-strip", "llvm-strip"]
    for command in ([named] if named else []) + [[name] for name in names]:
        path = shutil.which(command[0], path=environ.get("PATH"))
        if path:
            return (path, *command[1:])
    return ()


def wrong_machines(tag: str, machines: Mapping[str, str]) -> Tuple[str, ...]:
    """Native files that are not for the machine of the wheel's platform *tag*, as sentences.

    :param machines: file -> value of :class:`~baseline_build.isa.model.Machine`.
    """
    expected = {"x86_64": "x86-64", "i686": "i386", "aarch64": "aarch64", "armv7l": "arm"}
    # Tags put the machine last: linux_x86_64, manylinux_2_17_aarch64, several of them with dots between.
    named = [machine for name, machine in expected.items() if tag.endswith(f"_{name}")]
    if not named:
        return ()
    known = set(expected.values())
    return tuple(
        f"{path} is for {machine}" for path, machine in sorted(machines.items()) if machine in known - {named[0]}
    )


def require_machines(tag: str, machines: Mapping[str, str]) -> None:
    """Raise EnforcementError BB684 unless every native file is for the machine of the wheel's platform *tag*."""
    wrong = wrong_machines(tag, machines)
    if wrong:
        raise EnforcementError(
            "BB684",
            "the wheel's tag and its native files disagree: " + "; ".join(wrong),
            where=tag,
            why="a CC for another machine was used without saying so, or a build system took the host's compiler",
            fix="set target (-C target=aarch64-linux-gnu) to the machine the compilers are for",
        )


def _require_own_compiler(environ: Mapping[str, str]) -> None:
    """Raise EnforcementError BB683 when CC is for another machine than the one the wheel's tag will name.

    A cross environment tells CPython the platform (``_PYTHON_HOST_PLATFORM``); without that, and without a target, what
    CC makes could only be packed under the wrong name.
    """
    command = shlex.split(environ.get("CC", ""))
    path = shutil.which(command[0], path=environ.get("PATH")) if command else None
    if path is None or not sys.platform.startswith("linux"):
        return  # no compiler of the user's choice, or one that is missed where it is needed
    answer = ask([path, *command[1:], "-dumpmachine"], environ).strip()
    theirs, ours = _family(answer.split("-", 1)[0]), _family(_own_machine())
    if "-linux" in answer and theirs != ours:
        raise EnforcementError(
            "BB683",
            f"{environ['CC']} compiles for {answer}, the wheel would be tagged {sysconfig.get_platform()}",
            where="CC",
            fix=f"set target (-C target={answer}), or let the cross environment set _PYTHON_HOST_PLATFORM",
        )


def _family(machine: str) -> str:
    """One word for machines whose compilers serve each other through an option."""
    for prefix, family in (("arm", "arm"), ("i386", "x86"), ("i586", "x86"), ("i686", "x86"), ("x86_64", "x86")):
        if machine.startswith(prefix):
            return family
    return machine


def _own_machine() -> str:
    machine = sysconfig.get_platform().rpartition("-")[2]
    return {"amd64": "x86_64", "ppc64le": "powerpc64le"}.get(machine, machine)


def _system_tools(target: Target, environ: Mapping[str, str], *, cplusplus: bool) -> Dict[str, str]:
    chosen = {
        "CC": environ.get("CC") or f"{target.triple}-gcc",
        "CXX": environ.get("CXX") or f"{target.triple}-g++",
        "AR": environ.get("AR") or f"{target.triple}-ar",
    }
    for variable in ("CC", "CXX") if cplusplus else ("CC",):
        command = chosen[variable].split()
        path = shutil.which(command[0])
        if path is None:
            raise ToolError(
                "BB681",
                f"{command[0]} is not on PATH",
                where=f"target = {target.triple!r}",
                fix=f"install a cross compiler (Debian: g++-{target.triple.replace('_', '-')}), name one in {variable},"
                ' or set toolchain = "zig"',
            )
        answer = ask([path, *command[1:], "-dumpmachine"], environ).strip()
        if answer.split("-", 1)[0] != target.machine:
            raise EnforcementError(
                "BB683",
                f"{chosen[variable]} compiles for {answer}, the target is {target.triple}",
                where=variable,
                fix=f"correct target or {variable}",
            )
    return chosen


def _multiarch_headers(target: Target, folder: Path) -> Optional[Path]:
    """A folder to search for the ``pyconfig.h`` that Debian's general one includes by the machine's name.

    Debian keeps one in ``/usr/include/TRIPLE/pythonX.Y`` for each machine whose packages are installed. The target's is
    taken where it is there, else the interpreter's own, see the head of this module. The names are those of glibc
    whatever C library the target has: the general header asks for the machine only.

    :returns: ``None`` where the interpreter's headers are in one place.
    :raises EnforcementError: BB685 where the general header knows no such machine, or the interpreter's is missing.
    """
    general = Path(sysconfig.get_paths()["include"]) / "pyconfig.h"
    text = general.read_text(encoding="utf-8", errors="replace") if general.is_file() else ""
    names = dict(_MULTIARCH.findall(text))
    if not names:
        return None
    triple = f"{target.machine}-linux-gnu"
    own = str(sysconfig.get_config_var("MULTIARCH") or "")
    places = [general.parent.parent / one / names[one] for one in (triple, own) if triple in names and one in names]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise EnforcementError(
            "BB685",
            f"there is no pyconfig.h for {triple}, nor this machine's to take in its place",
            where=str(general),
            fix="install the interpreter's development package (Debian: python3-dev), or build with another Python",
        )
    place = folder / "include" / triple / names[triple]
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found, place)
    return folder / "include"
