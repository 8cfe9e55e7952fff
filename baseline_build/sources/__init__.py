"""Third-party sources: pinned by hash, fetched from the user's own index, patched, recorded; never committed.

``pins(project_dir)`` reads what is wanted, ``sync`` makes it so, ``check`` tells how it stands and ``requirements``
what a build environment needs for ``sync``. The pin format is described in :mod:`baseline_build.sources.pins`.
"""

from __future__ import annotations

from .model import Archive, Patch, Pin, Selection, Tree, TreeFile, TreeState
from .pins import pins, read_pin
from .trees import check, requirements, sync

__all__ = [
    "Archive",
    "Patch",
    "Pin",
    "Selection",
    "Tree",
    "TreeFile",
    "TreeState",
    "check",
    "pins",
    "read_pin",
    "requirements",
    "sync",
]
