"""x86 in 64-bit and 32-bit mode: opcode tables, the automaton grown from them, the engines that walk it."""

from __future__ import annotations

from typing import Sequence, Tuple

from ..engine import library
from ..model import Sweep
from ..notes import Bytes
from . import engine
from .engine import instruction, requirement

__all__ = ["instruction", "requirement", "sweep"]


def sweep(
    mode: int, code: Bytes, address: int, entries: Sequence[int] = (), data: Sequence[Tuple[int, int]] = ()
) -> Sweep:
    """As :func:`.engine.sweep`, by the compiled engine where that is built and wanted."""
    compiled = library()
    if compiled is None:
        return engine.sweep(mode, code, address, entries, data)
    from .compiled import sweep as compiled_sweep

    return compiled_sweep(compiled, mode, code, address, entries, data)
