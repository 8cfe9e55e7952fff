"""What compilers under a session are refused, and the message each refusal gets: exact text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from baseline_build import toolchain
from baseline_build.errors import EnforcementError, InternalError, ToolError
from baseline_build.toolchain import zig
from baseline_build.toolchain.records import parse_records
from tests.tools import missing, require_tool

from .conftest import Bench

ROOT = Path(__file__).resolve().parents[2]
x86_only = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the flags of these cases are x86-64's")


@x86_only
def test_refused_option(folder: Path) -> None:
    enforcement = toolchain.Enforcement(root=folder, mode=toolchain.Mode.REFUSE)
    calls = []
    with pytest.raises(EnforcementError, match="BB605"), toolchain.enforce(enforcement, folder) as session:
        calls.append(Bench(session, folder).run("gcc", "-O2", "-mavx2", "-mfma", "-c", "loop.c", check=False))
    (done,) = calls
    assert done.returncode
    assert done.stderr == (
        f"BB603: {folder}: gcc was called with -mavx2, -mfma\n"
        '  why: enforce = "refuse" stops at the first option that asks for instructions above the promised level.\n'
        '  fix: Remove the option where it comes from, or build with enforce = "filter".\n'
    )
    assert not (folder / "loop.o").exists()


@x86_only
def test_strict_refuses_a_foreign_archive(strict_bench: Bench) -> None:
    folder = strict_bench.folder
    (folder / "kernel.c").write_text("int bits(unsigned long v) { return __builtin_popcountl(v); }\n", encoding="utf-8")
    (folder / "user.c").write_text("int bits(unsigned long);\nint use(void) { return bits(3); }\n", encoding="utf-8")
    subprocess.run(["gcc", "-O2", "-fPIC", "-mpopcnt", "-c", "kernel.c"], cwd=folder, check=True)
    subprocess.run(["ar", "rcs", "libfast.a", "kernel.o"], cwd=folder, check=True)
    (folder / "kernel.o").unlink()
    done = strict_bench.run("gcc", "-O2", "-fPIC", "-shared", "user.c", "libfast.a", "-o", "user.so", check=False)
    assert done.returncode
    assert done.stderr.endswith(
        f"BB607: user.so: code above the promised level was linked in: {folder}/libfast.a(kernel.o): popcnt in bits\n"
        "  why: The archive or object was compiled elsewhere, for a higher level, and strict allows no dispatch.\n"
        "  fix: Build that library within the project, link another one, or set strict = false.\n"
    )
    assert not (folder / "user.so").exists()


@pytest.mark.parametrize(
    "torn", [b"bb1\0gcc\0x86-64\0/\0make\x003\0-c\0", b"bb1\0gcc\0x86-64\0/\0make\0many\0", b"?\0\0"]
)
def test_damaged_log(torn: bytes) -> None:
    with pytest.raises(InternalError) as caught:
        parse_records(torn, "4711")
    assert str(caught.value) == "BB690: 4711: the log of compiler calls is torn"


def test_zig_that_makes_no_stand_in(tmp_path: Path) -> None:
    broken = tmp_path / "zig"
    broken.write_text("#!/bin/sh\necho 'error: unknown target' >&2\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    with pytest.raises(ToolError) as caught:
        zig.zig_tools("aarch64", "gnu", "aarch64-linux-gnu.2.17", tmp_path, {"PATH": str(tmp_path)}, strips=True)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"BB682: {broken} cc -target aarch64-linux-gnu.2.17 ")
    assert lines[0].endswith(": zig cannot make a stand-in for libgcc_s.so.1")
    assert lines[1:] == [
        "  why: error: unknown target",
        "  fix: use a zig between 0.13 and the newest one on the package index (pip install ziglang)",
    ]


def test_headers_that_know_no_such_machine(tmp_path: Path) -> None:
    python = "/usr/bin/python3"
    ask = "import sysconfig; print(sysconfig.get_paths()['include'])"
    if not Path(python).exists():
        missing("Debian's python3 is not installed")
    include = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    general = Path(include, "pyconfig.h")
    if not general.is_file() or "x86_64-linux-gnu" not in general.read_text(encoding="utf-8"):
        missing("Debian's python3-dev, with headers for several machines, is not installed")
    code = (
        f"import sys; sys.path[:0] = {[str(ROOT), *sys.path]!r}\n"
        "from pathlib import Path\n"
        "from baseline_build.errors import EnforcementError\n"
        "from baseline_build.toolchain.target import Target, _multiarch_headers\n"
        "try: _multiarch_headers(Target('sw64', 'gnu', '', 'system'), Path(sys.argv[1]))\n"
        "except EnforcementError as error: print(error)\n"
    )
    done = subprocess.run([python, "-I", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == (
        f"BB685: {general}: there is no pyconfig.h for sw64-linux-gnu, nor this machine's to take in its place\n"
        "  fix: install the interpreter's development package (Debian: python3-dev), or build with another Python\n"
    ), done.stderr
    require_tool("gcc")
