"""The option ``--level``."""

from __future__ import annotations

from typing import Optional, Tuple

from ..isa import AARCH64, X86
from .options import one_of


def names() -> Tuple[str, ...]:
    """Every level that can be promised, and ``auto``."""
    return ("auto", *(level.name for isa in (X86, AARCH64) for level in isa.levels))


def level(value: str) -> Optional[str]:
    """An argparse type: a known level, ``None`` for ``auto``. Raises ConfigError BB251 naming the nearest."""
    one_of("level", names())(value)
    return None if value == "auto" else value
