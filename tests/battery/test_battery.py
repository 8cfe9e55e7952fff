"""Every way options reach a compiler, each really built, each looked at with the project's scan and with objdump.

The wheel of an enforced build has passed the scan (a build whose scan fails gives no wheel); objdump is the second,
independent look. ``python -m tests.battery`` prints the same as a table, beside what the plain backends let through.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from baseline_build.errors import EXIT_CLEAN
from tests.tools import missing

from .case import Case
from .cases import CASES, SLICE
from .driving import build, missing_tools

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the cases ask for x86-64 extensions")


def _check(case: Case, folder: Path) -> None:
    lacking = missing_tools(case)
    if lacking:
        missing(f"{case.name} needs {', '.join(lacking)}")
    built = build(case, folder, enforced=True)
    if case.refused:
        assert built.wheel is None, f"got through:\n{built.output}"
        assert case.refused in built.output
        return
    assert built.wheel is not None, built.output
    assert built.foreign == ()
    assert not built.marked
    from baseline_build.report import exit_code
    from baseline_build.scan import scan_path

    assert exit_code(scan_path(built.wheel)) == EXIT_CLEAN


def test_names_are_unique_and_many() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert len(names) >= 60
    assert set(SLICE) <= set(names)


@pytest.mark.parametrize("name", SLICE)
def test_slice(name: str, tmp_path: Path) -> None:
    _check(next(case for case in CASES if case.name == name), tmp_path)


def test_the_plain_backend_lets_it_through(tmp_path: Path) -> None:
    """What the slice removes is really there without us."""
    built = build(next(case for case in CASES if case.name == SLICE[0]), tmp_path, enforced=False)
    assert built.foreign


def _parameter(case: Case) -> object:
    marks = [pytest.mark.xfail(strict=True, reason=case.unproven)] if case.unproven else []
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.build
@pytest.mark.parametrize("case", [_parameter(case) for case in CASES if case.name not in SLICE])
def test_case(case: Case, tmp_path: Path) -> None:
    _check(case, tmp_path)
