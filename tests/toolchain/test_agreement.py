"""The option table against the compilers that are installed."""

from __future__ import annotations

import pytest

from tests.tools import require_tool

from .agreement import disagreements, listed


@pytest.mark.parametrize(
    ("compiler", "family", "least"),
    [
        ("gcc", "x86", 150),
        ("aarch64-linux-gnu-gcc", "aarch64", 20),
        pytest.param("clang", "x86", 300, marks=pytest.mark.build),
    ],
)
def test_the_table_knows_what_the_compiler_lists(compiler: str, family: str, least: int) -> None:
    path = require_tool(compiler)
    assert len(listed(path)) >= least, "the list of options could not be read"
    assert list(disagreements(path, family)) == []
