"""Copies of the example project, whole or without its C++ program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict

from tests.conftest import ROOT

DATABASE = (
    "import pathlib, sys, tempfile; sys.path.append(sys.argv[1]); import installed_check; "
    "print(installed_check.check_database(pathlib.Path(tempfile.mkdtemp()), '--no-locks' not in sys.argv))"
)
"""For ``python -c``, with the folder of the check: its database alone."""


def copy_project(target: Path, *parts: str) -> Path:
    """The example project, or *parts* of it, as git has it: nothing of the working folder leaks into the container."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z", *parts]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def extension_alone(project: Path) -> Dict[str, str]:
    """Take the C++ program out of a copy of the *project*; cibuildwheel's settings that test what is left."""
    pyproject = project / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    shorter, count = re.subn(r"\[\[tool\.baseline-build\.executables\]\]\n(?:[^\[\n].*\n|\n(?!\[))*", "", text)
    assert count == 1
    pyproject.write_text(shorter, encoding="utf-8")
    return {"CIBW_TEST_COMMAND": f'python -c "{DATABASE}" {{project}}/tests'}
