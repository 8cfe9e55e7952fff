"""This project's own distribution: what is in it, and that it installs where there is no compiler."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Set

import pytest

from tests.tools import require_tool, untar

from .conftest import ROOT

PACKAGE = ROOT / "baseline_build"
DATA = {".c", ".css", ".h", ".html", ".js", ".json", ".sh", ".txt"}


def copied(folder: Path) -> Path:
    """The folder as a user copies it: without what was compiled or cached here."""
    left_out = shutil.ignore_patterns("__pycache__", "*.so", ".*", "build", "*.egg-info")
    return Path(shutil.copytree(PACKAGE, folder / "baseline_build", ignore=left_out))


def tracked() -> Set[str]:
    """The files of the package that belong into a wheel, as far as they are committed."""
    listing = subprocess.run(
        ["git", "ls-files", "baseline_build"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = {name for name in listing.stdout.splitlines() if (ROOT / name).is_file()}
    wanted = {name for name in names if Path(name).suffix in DATA | {".py"} or name.endswith("py.typed")}
    return wanted - {"baseline_build/setup.py"}


def build(python: str, source: Path, output: Path, **environ: str) -> Path:
    command = [python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", str(source), "-w", str(output)]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environ}, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = output.glob("*.whl")
    return wheel


@pytest.mark.build
def test_the_wheel_holds_exactly_the_package(tmp_path: Path) -> None:
    pytest.importorskip("cffi")
    wheel = build(sys.executable, copied(tmp_path), tmp_path / "out")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    engine = {name for name in names if re.fullmatch(r"baseline_build/decode/_engine\.[^/]*\.so", name)}
    assert len(engine) == 1
    found = {name for name in names if ".dist-info/" not in name} - engine
    assert tracked() <= found, sorted(tracked() - found)
    stray = {name for name in found - tracked() if not (ROOT / name).is_file()}
    assert stray == set()
    with zipfile.ZipFile(wheel) as archive:
        entry_points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "baseline-build = baseline_build.cli:main" in entry_points
    assert "[validate_pyproject.tool_schema]\nbaseline-build = baseline_build.config.schema:tool_schema" in entry_points
    if sys.implementation.name == "cpython":
        assert "-cp39-abi3-" in wheel.name


@pytest.mark.build
def test_it_installs_without_a_compiler_and_answers(tmp_path: Path) -> None:
    wheel = build(sys.executable, copied(tmp_path), tmp_path / "out", CC=str(tmp_path / "no-such-compiler"))
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(command, check=True)
    assert not list(target.rglob("_engine.*.so"))
    code = (
        "import baseline_build, sys; from baseline_build.decode import engine_name; assert engine_name() == 'python'; "
        "report = baseline_build.scan(sys.argv[1]); print(report.verdict.value)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, require_tool("gcc")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() in {"clean", "guarded", "unproven"}


@pytest.mark.build
def test_the_sdist_builds_the_same_package(tmp_path: Path) -> None:
    pytest.importorskip("build")
    source = copied(tmp_path)
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "-o", str(tmp_path / "out"), str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (sdist,) = (tmp_path / "out").glob("*.tar.gz")
    untar(sdist, tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    wheel = build(sys.executable, unpacked, tmp_path / "wheels")
    with zipfile.ZipFile(wheel) as archive:
        found = set(archive.namelist())
    assert tracked() <= found, sorted(tracked() - found)


@pytest.mark.build
def test_it_installs_on_pypy(tmp_path: Path) -> None:
    pypy = require_tool("pypy3")
    home = tmp_path / "venv"
    subprocess.run([pypy, "-m", "venv", str(home)], check=True)
    python = str(home / "bin" / "python")
    result = subprocess.run(
        [python, "-m", "pip", "install", "-q", str(copied(tmp_path))], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    told = subprocess.run(
        [str(home / "bin" / "baseline-build"), "--version"], capture_output=True, text=True, check=True
    )
    assert "0.1.0" in told.stdout


def test_importing_the_package_costs_nothing() -> None:
    code = "import sys, baseline_build; print(sorted(name for name in sys.modules if 'baseline_build' in name))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['baseline_build']"


def test_the_library_is_typed_and_callable() -> None:
    code = (
        "import baseline_build, baseline_build.scan, sys; "
        "print(baseline_build.scan(sys.executable, baseline_build.ScanOptions()).inputs[0].path == sys.executable)"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "True"
    assert (PACKAGE / "py.typed").is_file()


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    import baseline_build

    with pytest.raises(AttributeError, match="no attribute 'no_such_hook'"):
        baseline_build.no_such_hook  # noqa: B018
