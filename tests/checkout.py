"""Copies of this working tree: a build in the tree itself would meet another test's, in the same ``build/``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.conftest import ROOT


def copy_checkout(target: Path, *parts: str) -> Path:
    """The working tree, or *parts* of it, as git has it: nothing compiled or cached here leaks into the copy."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z", *parts]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target
