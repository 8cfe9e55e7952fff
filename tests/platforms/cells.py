"""The table's cells: interpreters by targets, and why some of them cannot be tried from one Debian machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, Tuple

PYTHONS = ("cp39", "cp311", "cp313", "pp39", "pp311")
"""Interpreters: the oldest, Debian's and a new CPython, and both PyPys."""


@dataclass(frozen=True)
class Row:
    """What is built for, and with what.

    :param machine: ``x86_64`` or ``aarch64``.
    :param libc: ``gnu`` or ``musl``.
    :param toolchain: ``gcc`` on the machine itself, ``gcc-cross`` from x86-64, or ``zig`` from x86-64.
    """

    machine: str
    libc: str
    toolchain: str

    @property
    def settings(self) -> Dict[str, str]:
        """The settings of a build, as ``pip wheel -C`` takes them."""
        if self.toolchain == "gcc" and not self.partial:
            return {}
        target = f"{self.machine}-linux-{self.libc}"
        if self.toolchain in ("gcc", "gcc-cross"):
            return {"target": target}
        return {"toolchain": "zig", "target": f"{target}.2.17" if self.libc == "gnu" else target}

    @property
    def partial(self) -> bool:
        """Whether only the extension in C is built, without the program in C++."""
        return (self.libc, self.toolchain) == ("musl", "gcc")

    @property
    def native_arm(self) -> bool:
        """Whether it is built on ARM64 itself, by programs that are emulated here."""
        return (self.machine, self.toolchain) == ("aarch64", "gcc") and self.libc == "gnu"

    @property
    def words(self) -> Tuple[str, str, str]:
        """What it is chosen by."""
        return self.machine, self.libc, self.toolchain

    def __str__(self) -> str:
        return "-".join(self.words)


ROWS = (
    Row("x86_64", "gnu", "gcc"),
    Row("x86_64", "gnu", "zig"),
    Row("x86_64", "musl", "gcc"),
    Row("x86_64", "musl", "zig"),
    Row("aarch64", "gnu", "gcc"),
    Row("aarch64", "gnu", "gcc-cross"),
    Row("aarch64", "gnu", "zig"),
    Row("aarch64", "musl", "gcc"),
    Row("aarch64", "musl", "zig"),
)


@dataclass(frozen=True)
class Cell:
    """One interpreter's build of one row."""

    python: str
    row: Row

    def __str__(self) -> str:
        return f"{self.python}-{self.row}"

    @property
    def obstacle(self) -> str:
        """Why ``run`` cannot try it on a Debian bookworm x86-64 machine; empty where it can."""
        if self.row.partial and self.row.machine == "aarch64":
            return "Debian's musl-gcc is for the machine it runs on, and an Alpine image comes from a registry"
        if self.row.partial and self.python.startswith("pp"):
            return "Debian's musl-gcc has no C++ library, and no PyPy for musl is here to run the extension alone"
        if self.row.native_arm and self.python == "pp39":
            return "no suite of Debian has PyPy 3.9 beside a PyPy 3.11: bookworm has the one, trixie the other"
        return ""

    @property
    def patience(self) -> str:
        """Why ``run`` tries it only when it is asked for by a word; empty where it need not be."""
        if self.row.native_arm:
            return "asked for by name only: the C++ compiler itself is emulated, which takes 20 minutes"
        return ""


def cells() -> Iterator[Cell]:
    """Every cell, row by row."""
    return (Cell(python, row) for row in ROWS for python in PYTHONS)


def chosen(words: Tuple[str, ...]) -> Tuple[Cell, ...]:
    """The cells that every one of *words* fits, all of them without any."""
    return tuple(cell for cell in cells() if set(words) <= {str(cell), cell.python, *cell.row.words})
