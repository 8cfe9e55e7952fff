"""One use without an installation: pipx and uvx run the built wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Dict

import pytest

from baseline_build import __version__
from tests.conftest import ROOT
from tests.tools import require_tool

pytestmark = pytest.mark.build


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool's own wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT / "baseline_build")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.parametrize(
    "runner",
    [
        ["pipx", "run", "--python", sys.executable, "--spec", "{wheel}", "baseline-build"],
        ["uvx", "--python", sys.executable, "--from", "{wheel}", "baseline-build"],
    ],
    ids=["pipx", "uvx"],
)
def test_it_runs(runner: list[str], wheel: Path, tmp_path: Path) -> None:
    require_tool(runner[0])
    homes: Dict[str, str] = {"PIPX_HOME": str(tmp_path / "pipx"), "UV_CACHE_DIR": str(tmp_path / "uv")}
    command = [part.replace("{wheel}", str(wheel)) for part in runner]
    environ = {**os.environ, **homes}
    environ.pop("PYTHONPATH", None)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run("--version") == f"baseline-build {__version__}\n"
    assert run("scan", str(wheel)).startswith("runs on: any ")
