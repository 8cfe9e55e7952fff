"""One use without an installation: pipx and uvx run the built wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict

import pytest

from tests.checkout import copy_checkout
from tests.docs.pages import shown
from tests.tools import require_tool

pytestmark = pytest.mark.build


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool's own wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = copy_checkout(folder / "checkout", "baseline_build") / "baseline_build"
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.parametrize("runner", ["pipx", "uvx"])
def test_it_runs(runner: str, wheel: Path, tmp_path: Path) -> None:
    """The page's own line, with the wheel where the runner's settings find it."""
    require_tool(runner)
    (command,) = (line for line in shown("installation.md") if line.split()[0] == runner)
    (tmp_path / "dist").mkdir()
    shutil.copy(wheel, tmp_path / "dist")
    places: Dict[str, str] = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_DEFAULT_PYTHON": sys.executable}
    places.update(UV_CACHE_DIR=str(tmp_path / "uv"), UV_PYTHON=sys.executable)
    places.update(PIP_FIND_LINKS=str(wheel.parent), UV_FIND_LINKS=str(wheel.parent))
    environ = {**os.environ, **places}
    environ.pop("PYTHONPATH", None)
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("runs on: any ")
