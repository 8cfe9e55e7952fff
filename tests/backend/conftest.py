"""Builds small projects through the hooks, as a frontend does: one process a hook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = Path(__file__).with_name("projects")

# What pyproject_hooks does in its process: the backend's folder first on the path, then the hook, its answer as JSON.
_CALL = """
import importlib, json, sys
root, name, arguments, place = sys.argv[1:]
sys.path[:0] = [root, "."]  # the backend-path
backend = importlib.import_module("baseline_build")
hook = getattr(backend, name, None)
answer = {"missing": True} if hook is None else {"answer": hook(*json.loads(arguments))}
with open(place, "w") as stream:
    json.dump(answer, stream)
"""


@dataclass(frozen=True)
class Outcome:
    """What a hook gave back, and what it wrote."""

    status: int
    answer: Any
    missing: bool
    out: str
    err: str


@dataclass(frozen=True)
class Project:
    """A copy of a project, and a folder for what is built of it."""

    path: Path
    output: Path
    environ: Dict[str, str] = field(default_factory=dict)

    def call(
        self, hook: str, *arguments: Any, environ: Optional[Mapping[str, str]] = None, root: Path = ROOT
    ) -> Outcome:
        """Call *hook* of the backend in *root* in a process of its own, as a frontend does."""
        answer = self.output.parent / "answer.json"
        answer.unlink(missing_ok=True)
        command = [sys.executable, "-c", _CALL, str(root), hook, json.dumps(list(arguments)), str(answer)]
        outer = ("BASELINE_BUILD_", "SOURCE_DATE_EPOCH", "PIP_")
        variables = {key: value for key, value in os.environ.items() if not key.startswith(outer)}
        # As in a frontend's build environment, whose scripts come first.
        variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
        variables.update({"BASELINE_BUILD_CACHE": "off", **self.environ, **(environ or {})})
        result = subprocess.run(
            command, cwd=self.path, env=variables, capture_output=True, text=True, check=False, timeout=600
        )
        told = json.loads(answer.read_text()) if answer.exists() else {}
        return Outcome(result.returncode, told.get("answer"), "missing" in told, result.stdout, result.stderr)

    def wheel(self, settings: Optional[Mapping[str, Any]] = None, **environ: str) -> Path:
        """The wheel of a build that must succeed."""
        outcome = self.call("build_wheel", str(self.output), settings, environ=environ)
        assert outcome.status == 0, outcome.out + outcome.err
        return self.output / str(outcome.answer)

    def refused(self, settings: Optional[Mapping[str, Any]] = None, **environ: str) -> Outcome:
        """The outcome of a build that must fail and must leave nothing in the output folder."""
        outcome = self.call("build_wheel", str(self.output), settings, environ=environ)
        assert outcome.status != 0, outcome.out + outcome.err
        assert "Traceback" not in outcome.err, outcome.err
        assert list(self.output.iterdir()) == []
        return outcome


def members(wheel: Path) -> List[str]:
    """The members of a wheel but for its metadata, sorted."""
    with zipfile.ZipFile(wheel) as archive:
        return sorted(name for name in archive.namelist() if ".dist-info/" not in name)


def unpacked(wheel: Path, folder: Path) -> Tuple[Path, ...]:
    """The files of *wheel* in *folder*."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
        return tuple(folder / name for name in archive.namelist())


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Project]:
    """Copies one of the projects beside this file."""

    def copy(name: str) -> Project:
        folder = tmp_path / name
        shutil.copytree(PROJECTS / name, folder)
        output = tmp_path / "output"
        output.mkdir(exist_ok=True)
        return Project(folder, output)

    return copy
