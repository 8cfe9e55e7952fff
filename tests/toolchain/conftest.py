"""A project whose code turns foreign wherever it is allowed to, and a way to build it under a session."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

import pytest

from baseline_build import toolchain

# Multiplications and additions over arrays: the vectoriser takes whatever registers it may.
LOOP = """
void scale(float *restrict a, const float *restrict b, int n) {
  for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + 1.0f;
}
int bits(unsigned long long v) { return __builtin_popcountll(v); }
"""


@dataclass
class Bench:
    """A running session and the folder to build in."""

    session: toolchain.Session
    folder: Path
    more: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **self.session.environ, **self.more}
        done = subprocess.run(command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(f"{command} failed:\n{done.stdout}\n{done.stderr}")
        return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project folder with a blank and letters beyond ASCII in its name."""
    path = tmp_path / "ein Projekt für alle"
    path.mkdir()
    (path / "loop.c").write_text(LOOP, encoding="utf-8")
    return path


@pytest.fixture
def bench(folder: Path) -> Iterator[Bench]:
    """The default session."""
    with toolchain.enforce(toolchain.Enforcement(root=folder), folder) as session:
        yield Bench(session, folder)


@pytest.fixture
def strict_bench(folder: Path) -> Iterator[Bench]:
    """A session with the assembler gate."""
    with toolchain.enforce(toolchain.Enforcement(root=folder, strict=True), folder) as session:
        yield Bench(session, folder)
