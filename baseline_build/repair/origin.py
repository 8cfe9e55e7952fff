"""Where a grafted library came from: the file on this system and the distribution's package that owns it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import List, Optional


def package_of(path: Path) -> Optional[str]:
    """The package that owns *path*, ``name version``, as dpkg, rpm or apk tell; ``None`` where no package does."""
    for name in _names(path):
        owner = _dpkg(name) or _rpm(name) or _apk(name)
        if owner:
            return owner
    return None


def describe(path: Path) -> str:
    """``/usr/lib/libx.so.1 (package libx1 1.2-3)``."""
    owner = package_of(path)
    return f"{path} (package {owner})" if owner else f"{path} (no package owns it)"


def _names(path: Path) -> List[str]:
    """Names under which a package may list *path*: as it is, resolved, and without ``/usr`` where that was merged."""
    names = [str(path), os.path.realpath(path)]
    names += [name[4:] for name in names if name.startswith("/usr/")]
    return list(dict.fromkeys(names))


def _ask(*command: str) -> Optional[str]:
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 and done.stdout.strip() else None


def _dpkg(path: str) -> Optional[str]:
    answer = _ask("dpkg-query", "-S", path)
    if answer is None:
        return None
    name = answer.splitlines()[0].rsplit(": ", 1)[0].split(",")[0]
    version = _ask("dpkg-query", "-W", "-f", "${Version}", name)
    return f"{name.split(':')[0]} {version}" if version else name


def _rpm(path: str) -> Optional[str]:
    return _ask("rpm", "-qf", "--qf", "%{NAME} %{VERSION}-%{RELEASE}", path)


def _apk(path: str) -> Optional[str]:
    answer = _ask("apk", "info", "--who-owns", path)
    return answer.rsplit(" ", 1)[-1] if answer else None
