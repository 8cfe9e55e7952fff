"""Tools a test needs: found, or a failure under CI and a visible skip elsewhere."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """End the running test for want of something: a failure where ``CI`` is set, a skip with *reason* elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"under CI everything a test needs must be there: {reason}", pytrace=False)
    pytest.skip(reason)


def require_tool(name: str, *others: str) -> str:
    """The path of the first of the programs *name*, *others* on PATH; else the test ends, see :func:`missing`."""
    for candidate in (name, *others):
        path = shutil.which(candidate)
        if path:
            return path
    missing(f"the program {' or '.join((name, *others))} is not installed")
