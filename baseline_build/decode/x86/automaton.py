"""The automatons of both modes, made when first asked for."""

from __future__ import annotations

import threading
from typing import Dict, List

from .rows import Index
from .states import States
from .vectors import VECTOR_ESCAPES

_ROWS: List[Index] = []
_STATES: Dict[int, States] = {}
_LOCK = threading.Lock()


def states(mode: int) -> States:
    """The automaton of *mode* (64 or 32)."""
    with _LOCK:
        if not _ROWS:
            _ROWS.append(Index())
        if mode not in _STATES:
            _STATES[mode] = States(mode, _ROWS[0], VECTOR_ESCAPES)
        return _STATES[mode]
