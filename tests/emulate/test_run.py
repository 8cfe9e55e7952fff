"""Commands on emulated CPUs: what dies is named, what does not die keeps its exit status."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Optional

import pytest

from baseline_build import emulate
from tests.tools import require_tool

from .conftest import LDADDAL, MOVDDUP, VPADDD, ForeignPython, compile_module

Build = Callable[[str, str, str], Path]
SCRIPT = "import {name}\ndef middle():\n    return {name}.run()\nprint(middle())\n"


def run(command: List[str], level: Optional[str], cwd: Path, **extra: str) -> tuple[emulate.Outcome, bytes]:
    require_tool("qemu-x86_64", "qemu-x86_64-static")
    seen = bytearray()
    environ: Dict[str, str] = {**os.environ, **extra}
    return emulate.run(command, level, cwd=cwd, environ=environ, sink=seen.extend), bytes(seen)


def exact(frames: tuple[str, ...]) -> tuple[str, ...]:
    """*frames* as far as the running interpreter knows them: PyPy's faulthandler calls its line numbers approximate."""
    if sys.implementation.name != "pypy":
        return frames
    return tuple(re.sub(r":\d+ ", " ", frame) for frame in frames)


@pytest.mark.parametrize(
    ("level", "code", "instruction", "features", "needs"),
    [
        ("x86-64", MOVDDUP, "movddup", ("sse3",), "x86-64-v2"),
        ("x86-64", VPADDD, "vpaddd", ("avx2",), "x86-64-v3"),
        ("x86-64-v2", VPADDD, "vpaddd", ("avx2",), "x86-64-v3"),
    ],
)
def test_names_instruction_function_file_and_python_line(
    native_module: Build, tmp_path: Path, interpreter: str, level: str, code: str, instruction: str,
    features: tuple[str, ...], needs: str,
) -> None:  # fmt: skip
    built = native_module("probe", "deep_inside", code)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(name="probe"))
    outcome, _ = run([interpreter, str(script)], level, tmp_path)
    assert outcome.status == emulate.EXIT_ILLEGAL_INSTRUCTION == 132
    crash = outcome.crash
    assert crash is not None
    assert (crash.instruction, crash.features, crash.level) == (instruction, features, needs)
    assert crash.file is not None
    assert Path(crash.file).samefile(built)
    assert crash.function == "deep_inside"
    assert exact(crash.python) == exact((f"{script}:3 in middle", f"{script}:4 in <module>"))
    disassembly = subprocess.run(
        ["objdump", "-d", f"--start-address={crash.address}", f"--stop-address={(crash.address or 0) + 4}", str(built)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert f"\t{instruction} " in disassembly


@pytest.mark.parametrize(("level", "code"), [("x86-64-v2", MOVDDUP), ("x86-64-v3", VPADDD)])
def test_a_cpu_of_the_level_runs_it(
    native_module: Build, tmp_path: Path, interpreter: str, level: str, code: str
) -> None:
    native_module("probe", "deep_inside", code)
    outcome, _ = run([interpreter, "-c", "import probe, sys; sys.exit(probe.run())"], level, tmp_path)
    assert (outcome.status, outcome.crash) == (2, None)


@pytest.mark.parametrize(
    "command",
    [
        [
            "{python}",
            "-c",
            "import subprocess, sys; subprocess.call([sys.executable, '-c', 'import probe; probe.run()'])",
        ],
        ["{python}", "-c", "import os, sys; os.execv(sys.executable, ['python', '-c', 'import probe; probe.run()'])"],
        ["sh", "-c", "'{python}' -c 'import probe; probe.run()'; exit 0"],
        ["script"],
    ],
    ids=["subprocess", "exec", "shell", "shebang"],
)
def test_programs_it_starts_are_emulated_too(
    native_module: Build, tmp_path: Path, interpreter: str, command: List[str]
) -> None:
    native_module("probe", "deep_inside", MOVDDUP)
    script = tmp_path / "script"
    script.write_text(
        f"#!/usr/bin/env {interpreter}\nimport os\nos.system('{interpreter} -c \"import probe; probe.run()\"')\n"
    )
    script.chmod(0o755)
    line = [part.replace("{python}", interpreter) for part in command]
    outcome, _ = run(line, "x86-64", tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert outcome.status == 132
    assert outcome.crash is not None
    assert (outcome.crash.instruction, outcome.crash.function) == ("movddup", "deep_inside")


def test_a_forked_child_is_seen_though_not_looked_into(native_module: Build, tmp_path: Path, interpreter: str) -> None:
    native_module("probe", "deep_inside", MOVDDUP)
    code = "import os, probe\nchild = os.fork()\nif not child:\n    probe.run()\nos.waitpid(child, 0)"
    outcome, _ = run([interpreter, "-c", code], "x86-64", tmp_path)
    assert outcome.status == 132
    assert outcome.crash is not None
    assert exact(outcome.crash.python) == exact(("<string>:4 in <module>",))
    assert "forked without running a program" in " ".join(outcome.notes)


def test_a_handled_signal_is_not_a_crash(native_module: Build, tmp_path: Path, interpreter: str) -> None:
    native_module("probe", "deep_inside", MOVDDUP)
    code = (
        "import os, signal\nsignal.signal(signal.SIGILL, lambda *_: None)\n"
        "os.kill(os.getpid(), signal.SIGILL)\nraise SystemExit(9)"
    )
    outcome, _ = run([interpreter, "-c", code], "x86-64", tmp_path)
    assert (outcome.status, outcome.crash) == (9, None)


def test_other_ways_to_end(tmp_path: Path, interpreter: str) -> None:
    outcome, seen = run([interpreter, "-c", "import sys; sys.stderr.write('hello'); sys.exit(7)"], "x86-64", tmp_path)
    assert (outcome.status, outcome.crash, seen) == (7, None, b"hello")
    outcome, _ = run([interpreter, "-c", "import os; os.kill(os.getpid(), 9)"], "x86-64", tmp_path)
    assert (outcome.status, outcome.crash) == (137, None)


def test_every_run_says_what_it_cannot_show(tmp_path: Path) -> None:
    outcome, seen = run(["/bin/true"], "x86-64-v3", tmp_path)
    assert outcome.notes == ("this emulator cannot trap: aes, pclmul, rdrand, fsgsbase, prefetchw (this CPU has them)",)
    assert seen == b""  # the emulator's own warnings about the CPU model are kept away


def test_threads_and_many_children(tmp_path: Path, interpreter: str) -> None:
    code = (
        "import subprocess, threading\n"
        "def work():\n    assert subprocess.call(['/bin/true']) == 0\n"
        "threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "[t.start() for t in threads]\n[t.join() for t in threads]\n"
    )
    outcome, seen = run([interpreter, "-c", code], "x86-64", tmp_path)
    assert (outcome.status, outcome.crash, seen) == (0, None, b"")


def test_a_crash_is_looked_into_every_time(tmp_path: Path) -> None:
    """The emulator has a thread of its own, whose end may be reported before its first stop is."""
    require_tool("qemu-x86_64", "qemu-x86_64-static")
    source = tmp_path / "probe.s"
    source.write_text(".globl _start\n.type _start, %function\n_start: movddup %xmm0, %xmm1\n.size _start, .-_start\n")
    subprocess.run(
        [require_tool("gcc"), "-nostdlib", "-static", str(source), "-o", str(tmp_path / "probe")], check=True
    )
    seen = {run([str(tmp_path / "probe")], "x86-64", tmp_path)[0].crash for _ in range(60)}
    assert {(crash.instruction, crash.function) if crash else None for crash in seen} == {("movddup", "_start")}


def test_pypy(tmp_path: Path) -> None:
    pypy = require_tool("pypy3")
    outcome, _ = run([pypy, "-c", "import sys; sys.exit(sum(range(1000)) % 100)"], "x86-64", tmp_path)
    assert (outcome.status, outcome.crash) == (0, None)


@pytest.mark.build
def test_lse_atomic_on_arm64(arm_python: ForeignPython, tmp_path: Path) -> None:
    require_tool("qemu-aarch64", "qemu-aarch64-static")
    compiler = require_tool("aarch64-linux-gnu-gcc")
    built = compile_module(tmp_path, "probe", "deep_inside", LDADDAL, compiler=compiler, include=arm_python.include)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(name="probe"))
    environ = {**os.environ, "PYTHONHOME": str(arm_python.root / "usr"), "PYTHONPATH": str(tmp_path)}
    command = [str(arm_python.program), str(script)]
    seen = bytearray()
    outcome = emulate.run(command, "armv8-a", environ=environ, sysroot=arm_python.root, sink=seen.extend)
    assert outcome.status == 132, seen.decode()
    crash = outcome.crash
    assert crash is not None
    assert (crash.instruction, crash.features, crash.level) == ("ldaddal", ("lse",), "armv8.1-a")
    assert crash.function == "deep_inside"
    assert crash.file is not None
    assert Path(crash.file).samefile(built)
    assert crash.python[:2] == (f"{script}:3 in middle", f"{script}:4 in <module>")
    outcome = emulate.run(command, "armv8.2-a", environ=environ, sysroot=arm_python.root, sink=seen.extend)
    assert (outcome.status, outcome.crash) == (0, None)


def test_the_command_line_says_it_all(native_module: Build, tmp_path: Path, interpreter: str) -> None:
    require_tool("qemu-x86_64", "qemu-x86_64-static")
    built = native_module("probe", "deep_inside", MOVDDUP)
    root = Path(emulate.__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "baseline_build", "run", "--level", "x86-64", "--", interpreter, "-c",
         "import probe; probe.run()"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 132
    start = done.stderr.index("BB515")
    lines = done.stderr[start:].splitlines()
    assert lines[0].startswith(f"BB515: {built}+0x")
    assert lines[0].endswith(": a CPU of x86-64 has no movddup (sse3, x86-64-v2)")
    assert lines[1:] == [
        "  function: deep_inside",
        "  bytes: f2 0f 12 c1",
        "  python: <string>:1 in <module>",
        "  why: the emulated CPU stopped the process with SIGILL, as a real one of that level would",
        "  fix: compile that file for the level, or let the program ask the CPU before it goes there",
        "note: this emulator cannot trap: lzcnt and tzcnt (run as bsr and bsf), fisttp, prefetchw",
    ]
