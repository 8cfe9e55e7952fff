"""Which emulator and which of its CPUs stand for a level, and where the emulator is."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional, Tuple

from ..errors import ConfigError, ToolError

_TABLE = Path(__file__).with_name("cpus.txt")
_OLDEST = (6, 0)  # older ones lose races between threads (4.2 was seen to crash at random)


@dataclass(frozen=True)
class Cpu:
    """One row of ``cpus.txt``.

    :param level: the level it stands for.
    :param machine: machine of the programs it runs, as in reports.
    :param emulator: name of the program.
    :param model: value of its ``-cpu`` option.
    :param untrapped: what is above the level and runs all the same, for people.
    :param absent: what the level has and the emulator stops all the same, for people; mostly empty.
    """

    level: str
    machine: str
    emulator: str
    model: str
    untrapped: str
    absent: str = ""

    @property
    def limits(self) -> Tuple[str, ...]:
        """What a run cannot show, one sentence each; to be said every time."""
        told = [f"this emulator cannot trap: {self.untrapped}"]
        if self.absent:
            told.append(f"this emulator stops, though {self.level} has it: {self.absent}")
        return tuple(told)


@dataclass(frozen=True)
class Gap:
    """A level that no emulated CPU stands for.

    :param level: its name.
    :param machine: machine of the programs it is for.
    :param why: what the emulator lacks, or has too much of.
    """

    level: str
    machine: str
    why: str


def _rows() -> Iterator[Tuple[str, ...]]:
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        text = line.split("#", 1)[0].strip()
        if text:
            yield tuple(cell.strip() for cell in text.split("|"))


def cpus() -> Tuple[Cpu, ...]:
    """Every emulated CPU, in the table's order."""
    return tuple(Cpu(*row) for row in _rows() if row[2] != "-")


def gaps() -> Tuple[Gap, ...]:
    """Every level without an emulated CPU, in the table's order."""
    return tuple(Gap(row[0], row[1], row[3]) for row in _rows() if row[2] == "-")


def cpu_for(level: Optional[str], machine: str) -> Cpu:
    """The CPU for *level* and programs of *machine*; ``None`` means the machine's lowest level.

    :raises ConfigError: BB510, no emulator has exactly that level; BB511, the level belongs to another machine.
    """
    table = cpus()
    own = [cpu for cpu in table if cpu.machine == machine]
    owners = {cpu.level: cpu.machine for cpu in table}
    owners.update((gap.level, gap.machine) for gap in gaps())
    owner = owners.get(level, machine) if level is not None else machine
    if owner != machine:
        raise ConfigError(
            "BB511",
            f"the program is for {machine}, but {level} is a level of {owner}",
            fix=f"choose one of {', '.join(cpu.level for cpu in own)}" if own else None,
        )
    for cpu in own:
        if level in (None, cpu.level):
            return cpu
    known = {gap.level: gap.why for gap in gaps()}
    raise ConfigError(
        "BB510",
        f"no emulator can stand for {level or machine}",
        why=known.get(level or "", "the table of emulated CPUs has no model for it"),
        fix=f"choose one of {', '.join(cpu.level for cpu in own or table)}, or run it on a real CPU of that level",
    )


def find(cpu: Cpu) -> str:
    """The path of the emulator for *cpu*; the static build (``-static``) does as well.

    :raises ToolError: BB512, it is not installed; BB513, it is too old to be trusted.
    """
    for name in (cpu.emulator, f"{cpu.emulator}-static"):
        path = shutil.which(name)
        if path:
            version = _version(path)
            if version < _OLDEST:
                raise ToolError(
                    "BB513",
                    f"version {'.'.join(map(str, version))} is older than {'.'.join(map(str, _OLDEST))}",
                    where=path,
                    why="old versions of qemu crash at random in programs with threads",
                    fix="install a newer qemu-user",
                )
            return path
    raise ToolError(
        "BB512",
        f"the emulator {cpu.emulator} is not installed",
        why=f"{cpu.level} is emulated by qemu's user mode",
        fix=(
            "install it: apt-get install qemu-user (Debian, Ubuntu), dnf install qemu-user (Fedora), "
            f"apk add {cpu.emulator} (Alpine), pacman -S qemu-user (Arch)"
        ),
    )


def _version(path: str) -> Tuple[int, ...]:
    text = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    words = text.split()
    try:
        number = words[words.index("version") + 1]
        return tuple(int(part) for part in number.split(".")[:3])
    except (ValueError, IndexError) as error:
        raise ToolError("BB513", f"it does not tell its version: {text[:80]!r}", where=path) from error
