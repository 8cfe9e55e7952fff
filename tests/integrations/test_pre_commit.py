"""The hooks, run by pre-commit itself in a repository that uses them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checkout import copy_checkout
from tests.docs.pages import shown
from tests.repair.wheels import PROGRAM, compile_file, x86_only
from tests.tools import missing, require_tool

pytestmark = pytest.mark.build

CONFIG = """
repos:
  - repo: {hooks}
    rev: {revision}
    hooks:
      - id: scan
      - id: settings
"""
PROJECT = '[build-system]\nrequires = ["baseline-build"]\nbuild-backend = "baseline_build"\n\n[tool.baseline-build]\n'


@dataclass(frozen=True)
class Repository:
    """A git repository in a folder of its own."""

    folder: Path

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@invalid", "-c", "init.defaultBranch=main")
        command = [require_tool("git"), *identity, *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self) -> str:
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "-m", "All there is")
        return self.git("rev-parse", "HEAD")


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with what the hooks are made of, as it stands in this working tree."""
    repository = Repository(tmp_path_factory.mktemp("hooks"))
    require_tool("git")
    copy_checkout(repository.folder, ".pre-commit-hooks.yaml", ".pre-commit", "baseline_build")
    repository.git("init", "-q")
    repository.commit()
    return repository


def run_hooks(user: Repository, home: Path) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("pre_commit") is None:
        missing("pre-commit is not installed")
    user.git("add", "-A", "-f")
    environ = {**os.environ, "PRE_COMMIT_HOME": str(home), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "pre_commit", "run", "--all-files"]
    return subprocess.run(command, cwd=user.folder, env=environ, capture_output=True, text=True, check=False)


def test_what_must_not_be_committed_is_stopped(hooks: Repository, tmp_path: Path) -> None:
    x86_only()
    user = Repository(tmp_path / "user")
    user.folder.mkdir()
    user.git("init", "-q")
    revision = hooks.git("rev-parse", "HEAD")
    (user.folder / ".pre-commit-config.yaml").write_text(CONFIG.format(hooks=hooks.folder, revision=revision))
    (user.folder / "pyproject.toml").write_text(f"{PROJECT}strict = true\n")
    compile_file(user.folder / "tool.so", PROGRAM.format(code=""), "-shared", "-fPIC")
    good = run_hooks(user, tmp_path / "home")
    assert good.returncode == 0, good.stdout + good.stderr
    # The first use tells on top that the hooks' environment is made, which the page says in words.
    lines = [line for line in good.stdout.splitlines() if not line.startswith("[INFO]")]
    assert lines == shown("pre-commit.md")["pre-commit run --all-files"].splitlines()
    above = PROGRAM.format(code='__asm__ volatile ("vzeroupper");')
    compile_file(user.folder / "tool.so", above, "-shared", "-fPIC")
    (user.folder / "pyproject.toml").write_text(f"{PROJECT}strcit = true\n")
    bad = run_hooks(user, tmp_path / "home")
    assert bad.returncode == 1
    assert "because vzeroupper (avx) in main of tool.so is not behind a test of the CPU" in bad.stdout
    assert "BB201: pyproject.toml:6: there is no setting 'strcit'\n  fix: did you mean 'strict'?" in bad.stdout
