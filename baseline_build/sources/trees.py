"""Brings the pinned trees of a project into being and tells how they stand.

A tree is made in a temporary folder within its place, moved up entry by entry under a journal, and counts only once its
stamp says "complete": an interruption at any point leaves either the old tree, the new one, or a state that the next
sync recognises and clears. Processes that sync at the same time wait for each other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Mapping, Optional, Tuple

from ..errors import ConfigError, SourceError
from . import archive, index, patches, pipconfig, stamp
from .model import Pin, Tree, TreeFile, TreeState
from .pins import PIN_NAME, pins

Report = index.Report


def sync(
    project_dir: Path,
    only: Optional[str] = None,
    *,
    offline: bool = False,
    force: bool = False,
    report: Optional[Report] = None,
    environ: Optional[Mapping[str, str]] = None,
) -> Tuple[Tree, ...]:
    """Make every pinned tree of the project complete and return them, sorted by folder.

    Complete trees are verified and left alone, so this needs no network when the sources are there.

    :param only: the folder (``lmdb-src``) or component name (``LMDB``) of a single tree.
    :param offline: never use the network; a tree that is missing is an error (BB310).
    :param force: fetch again although a tree was changed by hand; the changes are lost.
    :param report: is called with one line per step for people.
    :param environ: the variables to take pip's configuration from; those of this process by default.
    Raises :class:`SourceError` (BB301 to BB312) and :class:`ConfigError` BB229 for an unknown *only*.
    """
    say: Report = report or _silent
    variables = os.environ if environ is None else environ
    return tuple(
        _sync_one(pin, Path(project_dir) / pin.tree, offline, force, say, variables)
        for pin in _chosen(Path(project_dir), only)
    )


def check(project_dir: Path, only: Optional[str] = None) -> Tuple[TreeState, ...]:
    """How each pinned tree stands, without changing anything. Raises :class:`SourceError` BB301, BB309."""
    return tuple(_state(pin, Path(project_dir) / pin.tree) for pin in _chosen(Path(project_dir), only))


def requirements(project_dir: Path) -> Tuple[str, ...]:
    """What a build environment must hold for :func:`sync` to succeed: nothing once the trees are there."""
    states = check(project_dir)
    return (index.REQUIREMENT,) if any(state.state in ("missing", "partial", "outdated") for state in states) else ()


def _silent(_: str) -> None:
    """Say nothing."""


def _chosen(project_dir: Path, only: Optional[str]) -> Tuple[Pin, ...]:
    every = pins(project_dir)
    if only is None:
        return every
    chosen = tuple(pin for pin in every if only in (pin.tree, pin.name))
    if not chosen:
        known = ", ".join(pin.tree for pin in every) or "none"
        raise ConfigError("BB229", f"there is no pinned source {only!r}; known: {known}", where=str(project_dir))
    return chosen


def _state(pin: Pin, folder: Path) -> TreeState:
    found = stamp.read_stamp(folder)
    if found is None:
        # Files without a record are nobody's: they are not overwritten.
        strangers = tuple(f"{path}: there is no record of it" for path in stamp.present_files(folder))
        return TreeState(pin, folder, "changed" if strangers else "missing", strangers)
    if not found.complete:
        return TreeState(pin, folder, "partial")
    differences = stamp.compare(folder, found)
    if differences:
        return TreeState(pin, folder, "changed", differences)
    if found.digest != pin.digest:
        return TreeState(pin, folder, "outdated")
    return TreeState(pin, folder, "complete", tree=stamp.tree_of(pin, folder, found))


def _sync_one(pin: Pin, folder: Path, offline: bool, force: bool, report: Report, environ: Mapping[str, str]) -> Tree:
    state = _state(pin, folder)
    if state.tree is None or force:
        with _locked(folder / PIN_NAME):
            # Another process may have made it while this one waited.
            state = _state(pin, folder)
            if state.tree is None or force:
                _refuse_unless_replaceable(state, offline, force)
                _make(pin, folder, report, environ)
                state = _state(pin, folder)
    if state.tree is None:
        raise SourceError(
            "BB309",
            f"the tree is {state.state} right after it was made: {_some(state.differences)}",
            where=str(folder),
            why="another program writes into the folder",
        )
    return state.tree


def _refuse_unless_replaceable(state: TreeState, offline: bool, force: bool) -> None:
    if state.state == "changed" and not force:
        raise SourceError(
            "BB309",
            f"the tree is not what was fetched: {_some(state.differences)}",
            where=str(state.path),
            why="files were edited, added or removed by hand",
            fix="`baseline-build vendor sync --force` fetches the tree again and discards the changes; to keep"
            " a change, make it a patch of the pin",
        )
    if offline:
        raise SourceError(
            "BB310",
            f"the tree is {state.state} and the network must not be used",
            where=str(state.path),
            fix="run `baseline-build vendor sync` once with the network, or build from the sdist",
        )


def _some(differences: Tuple[str, ...]) -> str:
    shown = "; ".join(differences[:5])
    return shown if len(differences) <= 5 else f"{shown}; and {len(differences) - 5} more"


def _make(pin: Pin, folder: Path, report: Report, environ: Mapping[str, str]) -> None:
    """Fetch, verify, unpack, patch, then move into place."""
    try:
        for abandoned in folder.glob(f"{stamp.WORK_PREFIX}*"):
            shutil.rmtree(abandoned)
        with tempfile.TemporaryDirectory(prefix=stamp.WORK_PREFIX, dir=folder) as temporary:
            work = Path(temporary)
            file = work / pin.archive.file
            index.download(pin, pipconfig.read_settings(environ), file, report)
            fresh = work / "tree"
            fresh.mkdir()
            record = _unpack_and_patch(pin, file, fresh, report)
            _move(fresh, folder, record)
    except OSError as error:
        raise SourceError(
            "BB311", f"cannot write the tree: {error}", where=str(folder), fix="make room, or check the permissions"
        ) from error
    patches = f"{len(record.patches)} patch{'' if len(record.patches) == 1 else 'es'}"
    report(f"{pin.tree}: {pin.name} {pin.version}, {len(record.files)} files, {patches}")


def _unpack_and_patch(pin: Pin, file: Path, fresh: Path, report: Report) -> stamp.Stamp:
    unpacked = archive.unpack(file, pin, fresh)
    applied = []
    for patch in pin.patches:
        content = unpacked.patches[patch.file]
        changed = patches.apply_patch(content, patch.strip, fresh / patch.target, f"{pin.tree}: {patch.file}")
        applied.append((patch.file, hashlib.sha256(content).hexdigest()))
        report(f"{pin.tree}: applied {patch.file} to {', '.join(changed)}")
    files: Tuple[TreeFile, ...] = tuple(stamp.describe_file(fresh, path) for path in sorted(unpacked.files))
    return stamp.Stamp(True, pin.digest, pin.archive.sha256, tuple(applied), files)


def _move(fresh: Path, folder: Path, record: stamp.Stamp) -> None:
    """Replace the content of *folder* by *fresh* under a journal; the notes beside the tree stay."""
    journal = stamp.Stamp(False, record.digest, record.archive, record.patches, record.files)
    stamp.write_stamp(folder, journal)
    for old in sorted(folder.iterdir()):
        if old.name in stamp.KEPT_NAMES or old.name.startswith(stamp.WORK_PREFIX):
            continue
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    for new in sorted(fresh.iterdir()):
        os.replace(new, folder / new.name)
    stamp.write_stamp(folder, record)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the pin file *path* locked against other processes; no lock file is left behind."""
    try:
        stream = path.open("rb+")
    except OSError as error:
        raise SourceError(
            "BB311",
            f"the folder cannot be written: {error}",
            where=str(path.parent),
            fix="fetch the sources where the project is writable, or build from the sdist",
        ) from error
    with stream:
        try:
            import fcntl
        except ImportError:
            import msvcrt

            # A byte far behind the end, so that reading the pin is not disturbed.
            stream.seek(1 << 30)
            msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
