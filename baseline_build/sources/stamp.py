"""The record of a finished tree, ``stamp.json`` beside its files, and the comparison of both.

It holds no time and no address, so the same pin gives the same bytes, in a source distribution too. A stamp in state
``"writing"`` is a journal: it stands there while files are moved into place and names what an interrupted move may have
left behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Optional, Tuple

from ..errors import SourceError
from .model import Pin, Tree, TreeFile
from .pins import PIN_NAME

STAMP_NAME = "stamp.json"
KEPT_NAMES = frozenset({PIN_NAME, "README.md", STAMP_NAME})
WORK_PREFIX = ".partial-"
_FORMAT = 1
_IGNORED_FOLDERS = frozenset({"__pycache__"})


@dataclass(frozen=True)
class Stamp:
    """*complete* is false for a journal; *digest* names the pin; *patches* are ``(file, sha256)`` as applied."""

    complete: bool
    digest: str
    archive: str
    patches: Tuple[Tuple[str, str], ...]
    files: Tuple[TreeFile, ...]


def read_stamp(folder: Path) -> Optional[Stamp]:
    """The stamp in *folder*, or ``None`` when there is none. Raises :class:`SourceError` BB309 for an unusable one."""
    path = folder / STAMP_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unusable(path, str(error)) from error
    try:
        return _decode(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unusable(path, f"unexpected content ({error})") from error


def write_stamp(folder: Path, stamp: Stamp) -> None:
    """Put *stamp* into *folder* in one step."""
    content = {
        "format": _FORMAT,
        "state": "complete" if stamp.complete else "writing",
        "pin": stamp.digest,
        "archive": stamp.archive,
        "patches": [{"file": name, "sha256": sha256} for name, sha256 in stamp.patches],
        "files": [
            {"path": file.path, "sha256": file.sha256, "size": file.size, "executable": file.executable}
            for file in stamp.files
        ],
    }
    temporary = folder / f".{STAMP_NAME}.{os.getpid()}"
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, folder / STAMP_NAME)


def describe_file(folder: Path, path: str) -> TreeFile:
    """The facts of the regular file *path* (POSIX) below *folder*."""
    file = folder / path
    status = file.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{file} is not a regular file")
    content = file.read_bytes()
    return TreeFile(path, hashlib.sha256(content).hexdigest(), len(content), bool(status.st_mode & 0o100))


def compare(folder: Path, stamp: Stamp) -> Tuple[str, ...]:
    """The differences between *folder* and its *stamp*, one sentence each; empty when they agree."""
    differences: List[str] = []
    for recorded in stamp.files:
        file = folder / recorded.path
        if file.is_symlink() or not file.is_file():
            differences.append(f"{recorded.path}: missing")
            continue
        found = describe_file(folder, recorded.path)
        # Some file systems and archives lose the executable bit; the content is what counts.
        if (found.sha256, found.size) != (recorded.sha256, recorded.size):
            differences.append(f"{recorded.path}: content differs")
    recorded_paths = {file.path for file in stamp.files}
    differences += [f"{path}: not from the archive" for path in present_files(folder) if path not in recorded_paths]
    return tuple(differences)


def present_files(folder: Path) -> Tuple[str, ...]:
    """All files below *folder* that are neither its own notes nor Python's byte code, POSIX, sorted."""
    found = []
    for root, folders, names in os.walk(folder):
        base = Path(root)
        folders[:] = sorted(
            name
            for name in folders
            if name not in _IGNORED_FOLDERS and not (base == folder and name.startswith(WORK_PREFIX))
        )
        for name in names + [name for name in folders if (base / name).is_symlink()]:
            path = (base / name).relative_to(folder).as_posix()
            if path not in KEPT_NAMES and not path.startswith(f".{STAMP_NAME}."):
                found.append(path)
    return tuple(sorted(found))


def tree_of(pin: Pin, folder: Path, stamp: Stamp) -> Tree:
    """The tree in *folder*, known to agree with *stamp*."""
    kept = [name for name in sorted(KEPT_NAMES) if (folder / name).is_file()]
    members = sorted([*kept, *(file.path for file in stamp.files)])
    return Tree(pin=pin, path=folder, files=stamp.files, members=tuple(members))


def _decode(content: Any) -> Stamp:
    if content["format"] != _FORMAT:
        raise ValueError(f"format {content['format']}")
    return Stamp(
        complete={"complete": True, "writing": False}[content["state"]],
        digest=str(content["pin"]),
        archive=str(content["archive"]),
        patches=tuple((str(patch["file"]), str(patch["sha256"])) for patch in content["patches"]),
        files=tuple(
            TreeFile(_inner(file["path"]), str(file["sha256"]), int(file["size"]), bool(file["executable"]))
            for file in content["files"]
        ),
    )


def _inner(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"path {path!r}")
    return path


def _unusable(path: Path, why: str) -> SourceError:
    return SourceError(
        "BB309",
        f"the record of the tree cannot be used: {why}",
        where=str(path),
        fix="remove the fetched files (`git clean -fdX` in that folder) and run `baseline-build vendor sync`",
    )
