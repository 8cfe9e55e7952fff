"""The example package as users get it: an installed wheel on this interpreter, on PyPy, and on the oldest CPU."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import missing, require_tool

from .conftest import Outcome, install, run_suite

ROOT = Path(__file__).resolve().parents[2]
OLD_CPU = ("-cpu", "Opteron_G1,-sse3")  # x86-64-v1 and nothing more

ROUND_TRIP = """
from sys import argv
from example_pkg import lmdb
with lmdb.open(argv[1], max_dbs=1) as env:
    db = env.open_db(b"names", dupsort=True)
    with env.begin(write=True, db=db) as txn:
        for number in range(200):
            txn.put(b"key%d" % (number % 20), b"value%d" % number)
with lmdb.open(argv[1], max_dbs=1, readonly=True) as env:
    with env.begin(db=env.open_db(b"names"), buffers=True) as txn:
        print(sum(1 for _ in txn.cursor()), bytes(txn.get(b"key7")).decode())
"""


def test_sources_say_that_they_are_no_installed_package(tmp_path: Path) -> None:
    """Python finds the folder it is started in before what is installed."""
    shutil.copytree(
        ROOT / "example_pkg", tmp_path / "example_pkg", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    command = [sys.executable, "-c", "from example_pkg import lmdb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: example_pkg._lmdb_cffi is not compiled in {tmp_path / 'example_pkg'}: these are the "
        "sources. Install the wheel, and start Python from another folder or with -I"
    )


def test_the_whole_suite_passes(outcome: Outcome) -> None:
    assert outcome.status == 0, outcome.output
    assert set(outcome.tests.values()) == {"passed"}, outcome.output
    # All four files were collected.
    assert {name.split("::")[0].split(".")[0] for name in outcome.tests} == {
        "test_differential",
        "test_flatbuffers",
        "test_lmdb",
        "test_safety",
    }


@pytest.fixture(scope="session")
def old_cpu() -> str:
    """The emulator, on the machine the wheel is for."""
    if platform.machine() != "x86_64":
        pytest.skip("the wheel is for another architecture")
    return require_tool("qemu-x86_64", "qemu-x86_64-static")


def test_import_and_round_trip_on_the_oldest_cpu(equipped: Path, old_cpu: str, tmp_path: Path) -> None:
    command = [old_cpu, *OLD_CPU, str(equipped), "-c", ROUND_TRIP, str(tmp_path / "db")]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert (result.returncode, result.stdout) == (0, "200 value107\n"), result.stderr


def test_the_compiler_on_the_oldest_cpu(equipped: Path, old_cpu: str, tmp_path: Path) -> None:
    where = [str(equipped), "-c", "from example_pkg._flatc import flatc_path; print(flatc_path())"]
    flatc = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "a.fbs").write_text("table A { x: int; names: [string]; } root_type A;")
    run = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 300, "check": False}
    version = subprocess.run([old_cpu, *OLD_CPU, flatc, "--version"], **run)  # type: ignore[call-overload]
    assert (version.returncode, version.stdout) == (0, "flatc version 25.12.19\n"), version.stderr
    for language in ("--python", "--cpp", "--rust", "--ts", "--java", "--jsonschema"):
        made = subprocess.run([old_cpu, *OLD_CPU, flatc, language, "-o", "out", "a.fbs"], **run)  # type: ignore[call-overload]
        assert made.returncode == 0, (language, made.stdout + made.stderr)


@pytest.mark.build
def test_pypy_builds_and_gives_identical_results(
    outcome: Outcome, tmp_path_factory: pytest.TempPathFactory, shared_cache: Path
) -> None:
    pypy = require_tool("pypy3", "pypy3.11", "pypy3.10", "pypy3.9")
    folder = tmp_path_factory.mktemp("pypy")
    wheel = os.environ.get("BASELINE_BUILD_TEST_WHEEL_PYPY")
    if wheel is None:
        build_python = _environment(pypy, folder / "build")
        command = [str(build_python), "-m", "pip", "wheel", str(ROOT), "--no-deps", "-w", str(folder)]
        environ = {**os.environ, "BASELINE_BUILD_CACHE": str(shared_cache / "programs")}
        result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        (built,) = folder.glob("*.whl")
        wheel = str(built)
    assert Path(wheel).name.split("-")[2].startswith("pp3")
    python = _environment(pypy, folder / "venv")
    install(python, wheel)
    theirs = run_suite(python, tmp_path_factory.mktemp("suite-pypy"))
    assert theirs.status == 0, theirs.output
    # The comparison with py-lmdb needs its implementation in C, which PyPy does not have.
    (comparison,) = (name for name in outcome.tests if name.endswith("::runTest"))
    assert [name for name, state in theirs.tests.items() if state == "skipped"] == [comparison]
    assert {**theirs.tests, comparison: "passed"} == outcome.tests


def _environment(interpreter: str, folder: Path) -> Path:
    result = subprocess.run([interpreter, "-m", "venv", str(folder)], capture_output=True, text=True, check=False)
    if result.returncode:
        missing(f"{interpreter} cannot make environments: {result.stdout}{result.stderr}")
    return folder / "bin" / "python"
