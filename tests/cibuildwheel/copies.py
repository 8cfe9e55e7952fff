"""Copies of the example project without its C++ program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict

DATABASE = (
    "import pathlib, sys, tempfile; sys.path.append(sys.argv[1]); import installed_check; "
    "print(installed_check.check_database(pathlib.Path(tempfile.mkdtemp()), '--no-locks' not in sys.argv))"
)
"""For ``python -c``, with the folder of the check: its database alone."""


def extension_alone(project: Path) -> Dict[str, str]:
    """Take the C++ program out of a copy of the *project*; cibuildwheel's settings that test what is left."""
    pyproject = project / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    shorter, count = re.subn(r"\[\[tool\.baseline-build\.executables\]\]\n(?:[^\[\n].*\n|\n(?!\[))*", "", text)
    assert count == 1
    pyproject.write_text(shorter, encoding="utf-8")
    return {"CIBW_TEST_COMMAND": f'python -c "{DATABASE}" {{project}}/tests'}
