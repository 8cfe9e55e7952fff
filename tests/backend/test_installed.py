"""Versions of what is installed, with a backend in the project's own folder and metadata of an earlier build there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Callable

import pytest

from tests.tools import missing

from .conftest import ROOT, Project

# The finder of pip 25.0 for in-tree backends, in so far as it answers for metadata.
FINDER = """
import importlib.metadata as metadata, os, sys

class Finder:
    def __init__(self, path):
        self.backend_path = path

    def find_spec(self, fullname, path=None, target=None):
        return None

    def find_distributions(self, context=None):
        everything = metadata.DistributionFinder.Context(path=self.backend_path)
        return metadata.MetadataPathFinder.find_distributions(everything)

sys.meta_path.insert(0, Finder([os.getcwd()]))
sys.path.insert(0, sys.argv[1])
if sys.argv[2] == "mended":
    from baseline_build.artifacts.installed import ask_by_name
    ask_by_name()
import setuptools
print(setuptools.__version__, metadata.version("left-over"))
"""
LEFT = "Metadata-Version: 2.1\nName: left-over\nVersion: 0.1.0\n"


def _leave_metadata(folder: Path) -> None:
    (folder / "left_over.egg-info").mkdir()
    (folder / "left_over.egg-info" / "PKG-INFO").write_text(LEFT, encoding="utf-8")


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="tells nothing more about other interpreters")
@pytest.mark.parametrize("how", ["mended", "as it was"])
def test_setuptools_has_its_own_version(tmp_path: Path, how: str) -> None:
    _leave_metadata(tmp_path)
    command = [sys.executable, "-c", FINDER, str(ROOT), how]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    version, left = done.stdout.split()
    assert left == "0.1.0"
    assert (version == "0.1.0") == (how == "as it was")


@pytest.mark.build
def test_wheel_is_for_the_stable_abi_all_the_same(
    tmp_path: Path, shared_cache: Path, project: Callable[[str], Project]
) -> None:
    home = shared_cache / f"pip-25.0-{sys.version_info[0]}.{sys.version_info[1]}"
    python = home / "bin" / "python"
    if not (home / "bin" / "pip25").exists():
        venv.create(home, with_pip=True, symlinks=True)
        command = [str(python), "-m", "pip", "install", "-q", "pip==25.0"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            missing(f"pip 25.0 cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
        (home / "bin" / "pip25").touch()
    small = project("cffi")
    shutil.copytree(ROOT / "baseline_build", small.path / "baseline_build", ignore=shutil.ignore_patterns("*.so"))
    text = (small.path / "pyproject.toml").read_text(encoding="utf-8")
    assert "backend-path" not in text
    # The folder brings no requirements of its own.
    needs = 'requires = ["packaging>=23", "pyelftools>=0.31", "tomli>=2; python_version < \'3.11\'", '
    text = text.replace("[build-system]\nrequires = [", f'[build-system]\nbackend-path = ["."]\n{needs}')
    (small.path / "pyproject.toml").write_text(text, encoding="utf-8")
    _leave_metadata(small.path)
    command = [str(python), "-m", "pip", "wheel", "--no-deps", "-w", str(small.output), str(small.path)]
    environ = {**os.environ, "BASELINE_BUILD_CACHE": "off"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (wheel,) = small.output.glob("*.whl")
    assert wheel.name.startswith("small_cffi-1.0-cp39-abi3-linux_")
    with zipfile.ZipFile(wheel) as archive:
        told = archive.read("small_cffi-1.0.dist-info/WHEEL").decode()
    assert "Generator: setuptools (0.1.0)" not in told
