"""What several rooms' tests share: the example wheel, built once, and an environment it is installed in."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import venv
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Iterator

import pytest

if TYPE_CHECKING:
    from tests.browser import Browser

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on *path*: test workers run side by side and share what is built once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _inputs_digest() -> str:
    """A digest of every tracked or new file that can change the example wheel."""
    listing = subprocess.run(
        [
            "git",
            "ls-files",
            "-co",
            "--exclude-standard",
            "pyproject.toml",
            "baseline_build",
            "example_pkg",
            "lmdb-src",
            "flatbuffers-src",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    digest = hashlib.sha256(sys.version.encode())
    for name in sorted(set(listing.splitlines())):
        path = ROOT / name
        if path.is_file():
            digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@pytest.fixture(scope="session")
def shared_cache() -> Path:
    """A folder that outlives the run, for what is slow to make; ``BASELINE_BUILD_TEST_CACHE`` moves it."""
    chosen = os.environ.get("BASELINE_BUILD_TEST_CACHE")
    home = os.environ.get("XDG_CACHE_HOME")
    path = Path(chosen) if chosen else (Path(home) if home else Path.home() / ".cache") / "baseline-build-tests"
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def example_wheel(shared_cache: Path) -> Path:
    """The example project's wheel as ``pip wheel .`` gives it; ``BASELINE_BUILD_TEST_WHEEL`` names a ready one."""
    ready = os.environ.get("BASELINE_BUILD_TEST_WHEEL")
    if ready:
        return Path(ready).resolve()
    folder = shared_cache / f"wheel-{_inputs_digest()}"
    with _locked(shared_cache / "wheel.lock"):
        built = sorted(folder.glob("*.whl"))
        if not built:
            with tempfile.TemporaryDirectory(dir=shared_cache) as scratch:
                command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "-w", scratch]
                result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
                assert result.returncode == 0, f"pip wheel . failed:\n{result.stdout}\n{result.stderr}"
                folder.mkdir(exist_ok=True)
                for wheel in Path(scratch).glob("*.whl"):
                    os.replace(wheel, folder / wheel.name)
            built = sorted(folder.glob("*.whl"))
    assert len(built) == 1, f"expected one wheel, found {built}"
    return built[0]


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the example wheel and what it depends on."""

    python: Path
    scripts: Path


@pytest.fixture(scope="session")
def installed(example_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A new environment in which nothing but the example wheel (and its requirements) is installed."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(home, with_pip=True, symlinks=True)
    python = home / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "-q", str(example_wheel)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return Installed(python, home / "bin")


@pytest.fixture(scope="session")
def axe(shared_cache: Path) -> str:
    """The text of axe-core, from the npm registry."""
    from tests.npm import npm_package

    return (npm_package(shared_cache, "axe-core@4") / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests of one file."""
    from tests.browser import browsing

    with browsing(tmp_path_factory.mktemp("profile")) as one:
        yield one
