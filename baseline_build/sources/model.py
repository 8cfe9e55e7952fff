"""What a pin says and what a fetched tree is, as frozen facts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple


@dataclass(frozen=True)
class Archive:
    """The source distribution a tree is cut from.

    :param project: the project's name on the package index.
    :param version: the project's version there (not the version of what it carries).
    :param file: the file name, always ``*.tar.gz`` (PEP 625).
    :param sha256: 64 hexadecimal digits, lower case.
    :param size: bytes; the download stops as soon as it is exceeded.
    """

    project: str
    version: str
    file: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Selection:
    """One folder of the archive whose files are wanted.

    :param source: folder below the archive's single top folder, POSIX, ``"."`` for that folder itself.
    :param target: folder of the tree they land in, POSIX, ``"."`` for the tree itself.
    :param include: patterns relative to *source*; ``*`` and ``?`` stay within one name, ``**`` spans folders. Every
        pattern must match at least one file.
    :param exclude: patterns of files that are left out although *include* matches.
    """

    source: str
    target: str
    include: Tuple[str, ...]
    exclude: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Patch:
    """One unified diff inside the archive, applied in the pin's order.

    :param file: its path below the archive's top folder.
    :param strip: leading folders dropped from the names in the diff, as ``patch -p`` does.
    :param target: folder of the tree it applies to.
    :param closes: identifiers of the vulnerabilities it closes (``CVE-2019-16224``).
    """

    file: str
    strip: int
    target: str
    closes: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Pin:
    """All of one ``source.toml``.

    :param tree: name of the folder it stands in (``lmdb-src``).
    :param name: name of the component (``LMDB``).
    :param version: version of the component.
    :param purl: package URL of the component.
    :param licence: SPDX expression.
    :param licence_files: paths within the tree.
    :param digest: SHA-256 over the meaning of the file: comments and layout do not change it.
    """

    tree: str
    name: str
    version: str
    purl: str
    licence: str
    licence_files: Tuple[str, ...]
    archive: Archive
    selections: Tuple[Selection, ...]
    patches: Tuple[Patch, ...]
    digest: str


@dataclass(frozen=True)
class TreeFile:
    """One file of a finished tree: POSIX path within it, content hash, size in bytes, executable or not."""

    path: str
    sha256: str
    size: int
    executable: bool


@dataclass(frozen=True)
class Tree:
    """A complete, verified tree.

    :param path: the folder.
    :param files: what was fetched, sorted by path.
    :param members: every path (POSIX, within *path*) a source distribution of the project has to carry, so that a
        build from it needs no network: the fetched files, the stamp, the pin and the notes beside it.
    """

    pin: Pin
    path: Path
    files: Tuple[TreeFile, ...]
    members: Tuple[str, ...]

    @property
    def licence_paths(self) -> Tuple[Path, ...]:
        """The licence texts, as paths on this machine."""
        return tuple(self.path / name for name in self.pin.licence_files)


@dataclass(frozen=True)
class TreeState:
    """How one tree stands.

    :param state: ``"complete"``, ``"missing"`` (never fetched), ``"partial"`` (an interrupted sync), ``"outdated"``
        (fetched for another pin) or ``"changed"`` (files differ from what was recorded).
    :param differences: for ``"changed"``: sentences such as ``"mdb.c: content differs"``.
    """

    pin: Pin
    path: Path
    state: str
    differences: Tuple[str, ...] = ()
    tree: Optional[Tree] = None
