"""Fragments of the changelog: towncrier takes them all, and each is one sentence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

FRAGMENTS = sorted(path for path in (ROOT / "changes").glob("*.md") if path.name != "README.md")


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda path: path.stem)
def test_fragment(fragment: Path) -> None:
    assert re.fullmatch(r"(\d+|\+[\w-]+)\.(feature|fix|removal|docs)\.md", fragment.name)
    text = fragment.read_text(encoding="utf-8")
    assert text.endswith(".\n")
    assert len(text.splitlines()) == 1


def test_a_release_would_tell_them_all() -> None:
    pytest.importorskip("towncrier")
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "99.0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("## 99.0 (")
    for fragment in FRAGMENTS:
        assert f"- {fragment.read_text(encoding='utf-8').strip()}" in done.stdout
