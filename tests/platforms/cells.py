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
        if self.toolchain == "gcc":
            return {}
        target = f"{self.machine}-linux-{self.libc}"
        if self.toolchain == "gcc-cross":
            return {"target": target}
        return {"toolchain": "zig", "target": f"{target}.2.17" if self.libc == "gnu" else target}

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
        if self.row.libc == "musl" and self.row.toolchain == "gcc":
            return "Debian's musl-gcc has no C++ library, and an Alpine image comes from a registry"
        if (self.row.machine, self.row.toolchain) == ("aarch64", "gcc"):
            return (
                "the C++ compiler would run for an hour under emulation; tests/cibuildwheel/test_arm64.py builds, "
                "repairs, scans and tests the extension alone, in an ARM64 image, for Debian's cp311"
            )
        if str(self.row) == "aarch64-musl-zig":
            return (
                "refused: zig's unwinder for ARM64, which C++ with musl takes in, has memtag, SVE and SME instructions "
                "that no test of the CPU guards; tests/toolchain/test_target.py builds and repairs C for it"
            )
        if self.python == "pp311":
            return "bookworm has no PyPy 3.11; tests/cibuildwheel builds, repairs, scans and tests the wheel of " + (
                "this cell in trixie's image" if str(self.row) == "x86_64-gnu-gcc" else "x86_64-gnu-gcc only"
            )
        return ""


def cells() -> Iterator[Cell]:
    """Every cell, row by row."""
    return (Cell(python, row) for row in ROWS for python in PYTHONS)


def chosen(words: Tuple[str, ...]) -> Tuple[Cell, ...]:
    """The cells that every one of *words* fits, all of them without any."""
    return tuple(cell for cell in cells() if set(words) <= {str(cell), cell.python, *cell.row.words})
