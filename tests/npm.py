"""Packages of the npm registry that tests read files of; kept between runs."""

from __future__ import annotations

import fcntl
import re
import subprocess
from pathlib import Path

from .tools import missing, require_tool


def npm_package(cache: Path, requirement: str) -> Path:
    """The folder of *requirement* (``axe-core@4``), fetched with npm into *cache*; scripts of packages are not run."""
    name = re.sub(r"(?<=.)@.*", "", requirement)
    home = cache / re.sub(r"[^\w.-]", "-", requirement)
    folder = home / "node_modules" / name
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            command = [
                require_tool("npm"),
                "install",
                "--ignore-scripts",
                "--omit=peer",
                "--prefix",
                str(home),
                requirement,
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                missing(f"{requirement} cannot be installed: {done.stderr.strip()[-200:]}")
            (home / "complete").touch()
    return folder
