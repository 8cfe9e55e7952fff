"""The shell shims against the filter in Python: the same lines, whatever stands on them."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baseline_build.toolchain import Enforcement, shims
from baseline_build.toolchain.additions import additions
from baseline_build.toolchain.discovery import Program
from baseline_build.toolchain.filtering import filter_arguments
from baseline_build.toolchain.plan import Plan, plan_for, save_plan
from baseline_build.toolchain.records import read_records
from baseline_build.toolchain.session import _FOLDERS
from baseline_build.toolchain.slow import machine_meant
from baseline_build.toolchain.tables import flags

# Stands where a compiler stands and tells what it was called with: the lines are what is compared here.
ECHO = "#!/bin/sh\nprintf '%s\\0' \"$@\"\n"


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plan, Path]]:
    folder = tmp_path_factory.mktemp("shim") / "mit Leerzeichen ü"
    folder.mkdir()
    for name in _FOLDERS:
        (folder / name).mkdir()
    real = folder / "gcc"
    shims.write_executable(real, ECHO)
    program = Program("gcc", str(real), "gcc", "x86-64")
    plan = plan_for(Enforcement(), folder, (program,), {})
    save_plan(plan)
    path = folder / "bin" / "gcc"
    shims.write_executable(path, shims.shim_text(plan, program, f"real={shims.quote(str(real))}"))
    return plan, path


def call(path: Path, arguments: list[str], cwd: Path) -> tuple[str, ...]:
    done = subprocess.run([str(path), *arguments], cwd=cwd, capture_output=True, check=True)
    assert not done.stderr
    return tuple(word.decode() for word in done.stdout.split(b"\0")[:-1])


OPTIONS = [row.pattern.replace("*", "x") for row in flags()]
OTHERS = [
    *("-O2", "-c", "-o", "-mavx2", "-I", "-DX=a b", "a.c", "-include", "", "-Wl,-z,relro", "-Wl,-z", "x86-64-v2", "-z"),
    *("-Wl,-z,x86-64-v3", "-Xlinker", "-Xclang", "-target-feature", "+avx2", "-Wa,-march=core2", "-Wa,--noexecstack"),
    *("-Wp,-mavx2,-DX", "--machine=avx2", "--machine", "avx2", "-mllvm", "-mattr=+avx", "-B/x", "-specs=x", "@missing"),
    *("-march=native", "-mtune=native", "-munknown", "-Xpreprocessor", "-Xarch_host", "-Wl,-plugin-opt=mcpu=native"),
    *("$(touch x)", "`id`", "'", '"', "\\", "a\nb", "*", "é", "-m", "-M", "-march=a\nb"),
]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(OPTIONS + OTHERS * 3), max_size=12))
def test_shell_and_python_agree(shim: tuple[Plan, Path], arguments: list[str]) -> None:
    plan, path = shim
    machine = machine_meant(arguments, "gcc", "x86-64")
    level = plan.level(machine)
    expected = filter_arguments(arguments, "gcc", machine, level).arguments
    added = additions("gcc", machine, level, strict=False)
    got = tuple(word for word in call(path, arguments, Path(plan.state)) if not word.startswith("-Wl,-Map="))
    assert got == (*expected, *added)


def test_every_row_of_the_table_alone(shim: tuple[Plan, Path]) -> None:
    plan, path = shim
    for option in sorted(set(OPTIONS) - {"-m32"}):
        expected = filter_arguments([option, "-c"], "gcc", "x86-64", "x86-64").arguments
        got = call(path, [option, "-c"], Path(plan.state))
        assert got[: len(expected)] == expected, option


def test_thousands_of_arguments(shim: tuple[Plan, Path]) -> None:
    plan, path = shim
    many = [f"-I/some/where/{number}" for number in range(5000)]
    begin = time.perf_counter()
    got = call(path, [*many, "-mavx2", "-c", "a.c"], Path(plan.state))
    assert got[:5002] == (*many, "-c", "a.c")
    assert time.perf_counter() - begin < 5


def test_a_long_response_file_goes_on_as_one(shim: tuple[Plan, Path], tmp_path: Path) -> None:
    _plan, path = shim
    words = ["-c", "-mavx2", *(f"-DNAME_{number}=a b" for number in range(20000))]
    (tmp_path / "all").write_text("\n".join(shlex.quote(word) for word in words), encoding="utf-8")
    (got,) = call(path, ["@all"], tmp_path)
    from baseline_build.toolchain.responses import expand_responses

    assert expand_responses([got], "/")[: len(words) - 1] == [word for word in words if word != "-mavx2"]


def test_two_hundred_calls_at_once_leave_two_hundred_records(shim: tuple[Plan, Path]) -> None:
    plan, path = shim
    before = len(read_records(Path(plan.state)))
    script = f'for i in $(seq 200); do {shlex.quote(str(path))} -mavx2 -c "$i.c" >/dev/null & done; wait'
    subprocess.run(["sh", "-c", script], cwd=plan.state, check=True)
    records = read_records(Path(plan.state))[before:]
    assert len(records) == 200
    assert all(record.removed == ("-mavx2",) for record in records)


def test_a_call_costs_less_than_ten_milliseconds(shim: tuple[Plan, Path]) -> None:
    plan, path = shim
    line = [
        "-DNDEBUG",
        "-O2",
        "-Wall",
        "-fPIC",
        "-march=native",
        "-mavx2",
        *(f"-I/x/{n}" for n in range(40)),
        "-c",
        "a.c",
    ]

    def seconds(program: Path) -> float:
        begin = time.perf_counter()
        subprocess.run([str(program), *line], cwd=plan.state, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - begin

    real = Path(plan.programs["gcc"].path)
    # the quickest of many calls, in turns: what else the machine does is not the shim's cost
    times = [(seconds(path), seconds(real)) for _ in range(150)]
    cost = min(shimmed for shimmed, _ in times) - min(plain for _, plain in times)
    assert cost < 0.010, f"{cost * 1000:.1f} ms"


def test_slow_path_runs_without_site_packages(shim: tuple[Plan, Path]) -> None:
    plan, _ = shim
    slow = Path(shims.__file__).with_name("slow.py")
    real = plan.programs["gcc"].path
    command = [sys.executable, "-IS", str(slow), plan.state, "gcc", "x86-64", real, "", "-mavx2", "-c", "a.c"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:2] == [b"-c", b"a.c"]
