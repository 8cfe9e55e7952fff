"""Data files that are copied into the package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Tuple

from ..config.model import Data
from ..errors import ConfigError
from ..sources.archive import compile_pattern


def select(project_dir: Path, data: Data) -> Tuple[Tuple[Path, str], ...]:
    """The files *data* names: path on this machine, and path from the wheel's root (POSIX), sorted by the latter.

    :raises ConfigError: BB711 when there is nothing of the kind, or it would leave the project or the wheel.
    """
    source = inside(project_dir, data.from_, "from")
    if source.is_file():
        return ((source, _target(data.to)),)
    found: List[Tuple[Path, str]] = []
    for folder, names, files in os.walk(source):
        names.sort()
        for name in files:
            path = Path(folder, name)
            relative = path.relative_to(source).as_posix()
            if _matches(relative, data.include) and not _matches(relative, data.exclude):
                found.append((path, _target(f"{data.to}/{relative}")))
    if not found:
        raise ConfigError(
            "BB711",
            "names no file",
            where=f"data: from = {data.from_!r}",
            why="the file or folder is not there, or include and exclude leave nothing of it",
            fix="write a path relative to the project, as it is after the sources were fetched",
        )
    return tuple(sorted(found, key=lambda item: item[1]))


def inside(project_dir: Path, name: str, key: str) -> Path:
    """*name* as a path within the project.

    :raises ConfigError: BB711 when it leads out of it.
    """
    root = project_dir.resolve()
    path = (root / name).resolve()
    if path != root and root not in path.parents:
        raise ConfigError(
            "BB711", "leads out of the project", where=f"{key} = {name!r}", fix="name a place within the project"
        )
    return root / name


def _target(name: str) -> str:
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts or not parts:
        raise ConfigError(
            "BB711", "leads out of the wheel", where=f"to = {name!r}", fix="name a place relative to the wheel's root"
        )
    return "/".join(parts)


def _matches(relative: str, patterns: Tuple[str, ...]) -> bool:
    return any(compile_pattern(pattern).match(relative) for pattern in patterns)
