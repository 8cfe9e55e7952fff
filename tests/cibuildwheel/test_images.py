"""The workshop says why no container can run, where none can."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cibuildwheel.images import Workshop
from tests.tools import require_tool

pytestmark = pytest.mark.cibuildwheel


def test_an_engine_that_cannot_run_is_told_in_its_own_words(tmp_path: Path) -> None:
    require_tool("podman")
    workshop = Workshop(tmp_path / "workshop")
    settings = tmp_path / "workshop" / "conf" / "containers.conf"
    settings.write_text(settings.read_text().replace('runtime = "runc"', 'runtime = "/bin/false"'))
    (tmp_path / "probe").mkdir()
    try:
        assert workshop.obstacle(tmp_path / "probe").startswith(("podman run: ", "podman import: "))
    finally:
        # podman mounts the store's folder over itself and leaves it so.
        subprocess.run(["umount", str(tmp_path / "workshop" / "storage" / "overlay")], capture_output=True, check=False)
