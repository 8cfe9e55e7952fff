"""A slice of the table, tried anew: PyPy, a cross gcc, zig for two machines.

``python -m tests.platforms run`` tries all of it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.tools import find_python, missing, require_tool

from .__main__ import attempt
from .building import Interpreter
from .cells import ROWS, Cell

pytestmark = pytest.mark.platforms

OWN = f"cp{sys.version_info[0]}{sys.version_info[1]}"


def row(name: str) -> Cell:
    return Cell(OWN, next(one for one in ROWS if str(one) == name))


@pytest.mark.parametrize(
    ("cell", "tag"),
    [
        (Cell("pp39", ROWS[0]), r"-pp39-pypy39_pp73-manylinux\w+_x86_64\."),
        (row("aarch64-gnu-gcc-cross"), r"-cp39-abi3-manylinux\w+_aarch64\."),
        (row("x86_64-gnu-zig"), r"-cp39-abi3-manylinux\w*_2_17_x86_64\.|-cp39-abi3-manylinux2014_x86_64\."),
        (row("x86_64-musl-zig"), r"-cp39-abi3-musllinux_1_2_x86_64\."),
        (row("aarch64-gnu-zig"), r"-cp39-abi3-manylinux\w*_2_17_aarch64\.|-cp39-abi3-manylinux2014_aarch64\."),
    ],
    ids=str,
)
def test_a_cell(cell: Cell, tag: str, tmp_path: Path) -> None:
    """Built, repaired, scanned in strict mode, and its check run on the emulated baseline CPU of its machine."""
    for tool in ("qemu-x86_64", "qemu-aarch64", "aarch64-linux-gnu-g++", "auditwheel"):
        require_tool(tool)
    path = sys.executable if cell.python == OWN else find_python(cell.python)
    if path is None:
        missing(f"no interpreter {cell.python} with pip is on PATH")
    result = attempt(cell, Interpreter(path), tmp_path)
    print(f"{cell}: {result.seconds:.0f} s, program {'compiled' if result.compiled else 'from the cache'}")
    assert result.trouble == ""
    assert re.search(tag, result.repaired), result.repaired
    assert result.verdict == "clean"
    assert result.runs
    assert all(run.passed for run in result.runs), result.runs
