"""Which environments this process has open.

LMDB's locks are POSIX record locks: they belong to a process and a file, so opening the same files twice in one process
silently breaks them, and none of it survives a fork.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Iterator, Set, Tuple

from .errors import Error

if TYPE_CHECKING:
    from .environment import Environment

Files = Tuple[Tuple[int, int], ...]

_open_files: Set[Tuple[int, int]] = set()
_lock = threading.RLock()
_environments: weakref.WeakSet[Environment] = weakref.WeakSet()


@contextmanager
def opening(path: bytes, subdir: bool) -> Iterator[None]:
    """A block in which the environment at *path* is opened. Raises :class:`Error` when its files are open already."""
    with _lock:
        if not _open_files.isdisjoint(_identities(path, subdir)):
            raise Error(f"The environment {os.fsdecode(path)!r} is already open in this process.")
        yield


def add(environment: Environment, path: bytes, subdir: bool) -> Files:
    """Note that *environment* was opened; returns what :func:`remove` takes."""
    with _lock:
        files = _identities(path, subdir)
        _open_files.update(files)
        _environments.add(environment)
        return files


def remove(files: Files) -> None:
    """Note that an environment was closed."""
    with _lock:
        _open_files.difference_update(files)


def _identities(path: bytes, subdir: bool) -> Files:
    """Device and inode of the data and lock file, as far as they exist: what must not be opened twice is a file."""
    names = (os.path.join(path, b"data.mdb"), os.path.join(path, b"lock.mdb")) if subdir else (path, path + b"-lock")
    found = []
    for name in names:
        with suppress(OSError):  # what is missing or forbidden is LMDB's to report
            status = os.stat(name)
            found.append((status.st_dev, status.st_ino))
    return tuple(found)


def _abandon_all() -> None:
    """In a child process: nothing that was open may be used, and nobody else holds our lock."""
    global _lock  # noqa: PLW0603 - a thread of the parent may have held it
    _lock = threading.RLock()
    _open_files.clear()
    for environment in list(_environments):
        environment.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
