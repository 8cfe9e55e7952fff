"""The workshop with its images, and cibuildwheel from the package index."""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path

import pytest

from tests.cibuildwheel.images import Workshop
from tests.tools import missing, require_tool


@pytest.fixture(scope="session")
def workshop(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Where images are made; the test is skipped, with podman's own words, where no container can run."""
    if os.geteuid() != 0:
        missing("debootstrap and the container engine need root")
    for tool in ("podman", "runc", "debootstrap"):
        require_tool(tool)
    home = os.environ.get("BASELINE_BUILD_TEST_IMAGES")
    made = Workshop(Path(home) if home else shared_cache / "cibuildwheel")
    obstacle = made.obstacle(tmp_path_factory.mktemp("probe"))
    if obstacle:
        # Not `missing`: all tools are here, it is the machine (an unprivileged container, say) that forbids it.
        pytest.skip(f"NOT RUN: podman cannot run a container on this machine: {obstacle}")
    return made


@pytest.fixture(scope="session")
def tool(shared_cache: Path) -> Path:
    """Unmodified cibuildwheel in an environment of its own."""
    home = shared_cache / "cibuildwheel-venv"
    program = home / "bin" / "cibuildwheel"
    if not program.exists():
        venv.create(home, with_pip=True, clear=True)
        command = [str(home / "bin" / "python"), "-m", "pip", "install", "-q", "cibuildwheel>=4,<5"]
        subprocess.run(command, check=True)
    return program
