"""Which CPU does this need? Wheels, ELF files, folders and installed distributions, judged by their machine code.

:func:`scan_path` is the way in; :class:`ScanOptions` says what is promised.
"""

from __future__ import annotations

import sys
from os import PathLike
from types import ModuleType
from typing import Sequence, Union

from .inputs import scan_installed, scan_path
from .model import CodeMap, FileReport, Finding, InputReport, Report, SourceLine, Verdict, gravest
from .options import ScanOptions, Waiver

__all__ = [
    "CodeMap", "FileReport", "Finding", "InputReport", "Report", "ScanOptions", "SourceLine", "Verdict", "Waiver",
    "gravest", "scan_installed", "scan_path",
]  # fmt: skip

_Path = Union[str, "PathLike[str]"]
_DEFAULTS = ScanOptions()


class _Callable(ModuleType):
    """``baseline_build.scan(…)`` is the documented way in, and importing this package puts it under that name."""

    def __call__(self, paths: Union[_Path, Sequence[_Path]], options: ScanOptions = _DEFAULTS) -> Report:
        return scan_path(paths, options)


sys.modules[__name__].__class__ = _Callable
