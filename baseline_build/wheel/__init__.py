"""Wheels: read from strangers within limits, packed so that the same files give the same bytes.

:func:`open_wheel` opens one, :func:`unpack` and :func:`pack` go to a folder and back,
:func:`repack` changes members on the way, :mod:`.record` knows
RECORD, :mod:`.names` file names and tags.
"""

from __future__ import annotations

from .archive import Limits, Member, WheelFile, open_wheel, unpack
from .names import WheelName
from .packing import Content, pack, repack, timestamp, write

__all__ = [
    "Content",
    "Limits",
    "Member",
    "WheelFile",
    "WheelName",
    "open_wheel",
    "pack",
    "repack",
    "timestamp",
    "unpack",
    "write",
]
