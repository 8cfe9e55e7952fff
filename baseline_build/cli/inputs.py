"""What the user names on the command line -> paths that exist."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import List, Sequence

from ..errors import ConfigError

_WILD = "*?["


def expand(names: Sequence[str]) -> List[Path]:
    """Existing paths for *names*; patterns that no shell expanded (``'dist/*.whl'``) are expanded here, sorted.

    :raises ConfigError: BB252, nothing matches a pattern or a path does not exist.
    """
    paths: List[Path] = []
    for name in names:
        path = Path(name)
        if path.exists():
            paths.append(path)
            continue
        if any(mark in name for mark in _WILD):
            found = sorted(glob.glob(name, recursive=True))
            if not found:
                raise ConfigError(
                    "BB252", "no file matches this pattern", where=name, fix="check the folder and the spelling"
                )
            paths.extend(Path(one) for one in found)
            continue
        raise ConfigError("BB252", "there is no such file or folder", where=name, fix="check the spelling of the path")
    return paths
