"""Every row of the table of practice holds for every processor the compilers know."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from typing import FrozenSet, List, Mapping, Tuple

import pytest

from baseline_build.scan.guard.facts import rows
from tests.tools import require_tool

# Features whose macro is not simply their name in capitals.
MACROS = {
    "cx16": "__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16", "sahf": "__LAHF_SAHF__",
    "sse4.2": "__SSE4_2__", "sse4.1": "__SSE4_1__",
}  # fmt: skip
ROWS: List[Tuple[str, str]] = [(name, brings) for name, brings in rows("practice-x86.txt", 2)]


def macro(feature: str) -> str:
    return MACROS.get(feature, f"__{feature.upper()}__")


def defined(compiler: str, processor: str) -> FrozenSet[str]:
    command = [compiler, "-m64", f"-march={processor}", "-dM", "-E", "-xc", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return frozenset(re.findall(r"#define (\w+)", done.stdout)) if done.returncode == 0 else frozenset()


@cache
def processors() -> Mapping[str, FrozenSet[str]]:
    """All that gcc knows by name and that run 64-bit code -> the macros it defines for them."""
    compiler = require_tool("gcc")
    refused = subprocess.run(
        [compiler, "-m64", "-march=none", "-E", "-xc", "/dev/null"], capture_output=True, text=True, check=False
    )
    listed = re.search(r"arguments to .*? are: ([^;\n]*)", refused.stderr)
    assert listed is not None, refused.stderr
    names = [name for name in listed.group(1).split() if name != "native"]
    found = {name: defined(compiler, name) for name in names}
    return {name: macros for name, macros in found.items() if "__x86_64__" in macros}


def test_gcc_knows_enough_processors() -> None:
    assert len(processors()) >= 40
    assert "__LZCNT__" in processors()["haswell"]
    assert "__LZCNT__" not in processors()["nehalem"]


@pytest.mark.parametrize(("feature", "brings"), ROWS, ids=[name for name, _ in ROWS])
def test_no_processor_contradicts(feature: str, brings: str) -> None:
    having = {name: macros for name, macros in processors().items() if macro(feature) in macros}
    assert having, f"no processor has {feature}: the row has no source"
    lacking = [
        (name, other) for name, macros in having.items() for other in brings.split() if macro(other) not in macros
    ]
    assert lacking == []
