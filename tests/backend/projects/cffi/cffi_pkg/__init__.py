"""A package with a CFFI module."""

from __future__ import annotations

from ._answer import lib


def answer() -> int:
    """What the C code says."""
    return int(lib.answer())
