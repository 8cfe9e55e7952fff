"""Which engine answers: the compiled one where it is built and wanted, else the portable one.

``BASELINE_BUILD_ENGINE``: ``python`` forces the portable engine, ``c`` insists on the compiled one; unset or ``auto``
takes the compiled one where it can be imported.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple, Optional

from ..errors import ConfigError

VARIABLE = "BASELINE_BUILD_ENGINE"
_CHOICES = ("", "auto", "c", "python")


class Library(NamedTuple):
    """The compiled module's two halves, as cffi names them."""

    ffi: Any
    lib: Any


def _imported() -> Optional[Library]:
    try:
        from . import _engine  # type: ignore[attr-defined]
    except ImportError:
        return None
    return Library(_engine.ffi, _engine.lib)


_LIBRARY = _imported()


def library() -> Optional[Library]:
    """The compiled engine to use now, ``None`` for the portable one.

    Raises :class:`~baseline_build.errors.ConfigError` (BB912) where the variable asks for what there is not.
    """
    choice = os.environ.get(VARIABLE, "")
    if choice not in _CHOICES:
        raise ConfigError("BB912", f"{choice!r} is no engine", where=VARIABLE, fix="use c, python or auto")
    if choice == "c" and _LIBRARY is None:
        raise ConfigError(
            "BB912",
            "the compiled engine is asked for and not built",
            where=VARIABLE,
            fix="python -m baseline_build.decode._engine_build, or unset the variable",
        )
    return None if choice == "python" else _LIBRARY


def engine_name() -> str:
    """``"c"`` where the compiled engine is used, else ``"python"``."""
    return "python" if library() is None else "c"
