"""A wheel that zig built on this machine, installed and used on the oldest Debian that debootstrap still offers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cibuildwheel.images import Image, Workshop
from tests.conftest import ROOT
from tests.platforms.building import Interpreter, build, repair
from tests.platforms.cells import ROWS, Cell

pytestmark = pytest.mark.cibuildwheel

OLDEST = Image("bullseye")  # glibc 2.31, Python 3.9


def test_a_wheel_built_by_zig_runs_on_the_oldest_debian(workshop: Workshop, tmp_path: Path) -> None:
    cell = Cell(f"cp{sys.version_info[0]}{sys.version_info[1]}", next(r for r in ROWS if str(r) == "x86_64-gnu-zig"))
    built = build(cell, Interpreter(sys.executable), tmp_path / "built")
    wheel = repair(built.wheel, tmp_path / "repaired")
    assert "manylinux_2_17_x86_64" in wheel.name
    script = f"""
        rm -f /usr/bin/*gcc* /usr/bin/*g++* /usr/bin/*cpp* /usr/bin/cc /usr/bin/c++
        rm -f /usr/bin/ld /usr/bin/ld.* /usr/bin/as
        if command -v cc gcc g++ c++ ld as; then exit 9; fi
        /usr/bin/python3 -c 'import os; print(os.confstr("CS_GNU_LIBC_VERSION"))'
        /usr/bin/python3 -m venv /tmp/venv
        /tmp/venv/bin/python -m pip install -q --only-binary :all: /wheels/{wheel.name}
        /tmp/venv/bin/python /check/installed_check.py
        /tmp/venv/bin/flatc --version
    """
    mounts = {wheel.parent: "/wheels", ROOT / "tests": "/check"}
    done = workshop.run(OLDEST, script, mounts)
    assert done.returncode == 0, done.stdout
    assert "glibc 2.31" in done.stdout
    assert "a buffer was written and read" in done.stdout
