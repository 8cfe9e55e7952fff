"""Real code to decode: the largest file of machine code that this process has mapped."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..tools import missing
from .differential import Code, code_of


@pytest.fixture(scope="session")
def real_code() -> Code:
    """The largest executable segment of x86 code mapped here (the interpreter's or the C library's)."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    paths = {Path(line.split(maxsplit=5)[5]) for line in lines if " r-xp " in line and "/" in line}
    found = [code for path in paths if path.is_file() for code in code_of(path)]
    if not found:
        missing("no x86 code is mapped into this process")
    return max(found, key=lambda code: len(code.data))
