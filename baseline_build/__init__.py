"""baseline-build: wheels that run on every CPU of their architecture, proven from the machine code.

As a build backend (``build-backend = "baseline_build"``) this module has the hooks of PEP 517 and PEP 660. As a library
it has :func:`scan`. Both are loaded when they are first asked for, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import (
        build_editable,
        build_sdist,
        build_wheel,
        get_requires_for_build_editable,
        get_requires_for_build_sdist,
        get_requires_for_build_wheel,
        prepare_metadata_for_build_editable,
        prepare_metadata_for_build_wheel,
    )
    from .scan import scan_path as scan
    from .scan.model import Report, Verdict
    from .scan.options import ScanOptions

__version__ = "0.1.0"

__all__ = [
    "Report",
    "ScanOptions",
    "Verdict",
    "__version__",
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
    "scan",
]

_LIBRARY = {
    "scan": ("scan", "scan_path"),
    "Report": ("scan.model", "Report"),
    "Verdict": ("scan.model", "Verdict"),
    "ScanOptions": ("scan.options", "ScanOptions"),
}


def __getattr__(name: str) -> Any:
    """Load a hook or a part of the library; frontends take a missing hook from the ``AttributeError``."""
    import importlib

    if name in _LIBRARY:
        module, attribute = _LIBRARY[name]
        return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    if name in __all__:
        return importlib.import_module(f"{__name__}.backend").hook_named(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
