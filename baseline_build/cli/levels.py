"""The option ``--level``."""

from __future__ import annotations

from typing import Optional, Tuple

from ..errors import ConfigError
from ..isa import AARCH64, X86
from .options import one_of


def names() -> Tuple[str, ...]:
    """Every level that can be promised, and ``auto``."""
    return ("auto", *(level.name for isa in (X86, AARCH64) for level in isa.levels))


def level(value: str) -> Optional[str]:
    """An argparse type: a known level, ``None`` for ``auto``. Raises ConfigError BB251 naming the nearest."""
    if value not in names():
        # v3, x86_64_v3 and X86-64-V3 are short or careless for a level that exists.
        spelt = value.lower().replace("_", "-")
        meant = [name for name in names() if name == spelt or name.endswith(f"-{spelt}")]
        if len(meant) == 1:
            raise ConfigError(
                "BB251",
                f"the level {value!r} is unknown",
                fix=f"did you mean {meant[0]}? Known: {', '.join(names())}",
            )
    one_of("level", names())(value)
    return None if value == "auto" else value
