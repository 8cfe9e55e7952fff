"""Where a session's folder lies: at the same place for every build of a project, and nowhere once it is over.

Build tools write the paths of compilers into build folders that outlive a build (``CMakeCache.txt``, ``build.ninja``).
Shims that lay at another place each time would make the next build in such a folder fail.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Iterator, Optional

PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")
"""Paths that need no quoting in variables such as CC."""


@contextlib.contextmanager
def session_folder(work_dir: Path, root: Optional[Path]) -> Iterator[Path]:
    """An empty folder, removed at the end; its name needs no quoting if that can be had.

    :param work_dir: where it is made when it cannot be at the place of the project *root*: another build of the project
        is running, the place is somebody else's, or *root* is ``None``.
    """
    with contextlib.ExitStack() as stack:
        state = _claimed(root, stack) if root is not None else None
        if state is None:
            state = _new(work_dir)
        try:
            yield state
        finally:
            shutil.rmtree(state)


def _new(work_dir: Path) -> Path:
    for parent in (work_dir.resolve(), Path(tempfile.gettempdir()).resolve()):
        if PLAIN.fullmatch(str(parent)):
            return Path(tempfile.mkdtemp(prefix="baseline-", dir=parent))
    return Path(tempfile.mkdtemp(prefix="baseline-", dir=work_dir.resolve()))


def _claimed(root: Path, stack: contextlib.ExitStack) -> Optional[Path]:
    """The folder of the project *root*, this process's until *stack* ends; ``None`` where it cannot be had."""
    parent = Path(tempfile.gettempdir()).resolve() / f"baseline-build-{os.getuid()}"
    if not PLAIN.fullmatch(str(parent)):
        return None
    folder = parent / hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]
    try:
        parent.mkdir(mode=0o700, exist_ok=True)
        if not _is_own(parent):
            return None  # in a folder that everybody may write to, somebody else may have been here first
        stack.callback(_remove_empty, parent)
        _lock(folder.with_suffix(".lock"), stack)
        shutil.rmtree(folder, ignore_errors=True)  # of a build that was killed
        folder.mkdir()
    except OSError:
        return None
    return folder


def _is_own(folder: Path) -> bool:
    facts = folder.lstat()
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o022


def _lock(path: Path, stack: contextlib.ExitStack) -> None:
    """Hold the file *path* until *stack* ends, which removes it. Raises OSError when another build does."""
    import fcntl  # not on systems where nothing is enforced

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino != path.stat().st_ino:
            raise BlockingIOError(f"{path} was removed by the build that held it, and made again")
    except OSError:
        os.close(descriptor)
        raise
    stack.callback(os.close, descriptor)
    stack.callback(path.unlink)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another project's build is there
        folder.rmdir()
