"""Which CPU does this need? Wheels, ELF files, folders and installed distributions, judged by their machine code.

:func:`scan_path` is the way in; :class:`ScanOptions` says what is promised.
"""

from __future__ import annotations

from .inputs import scan_installed, scan_path
from .model import CodeMap, FileReport, Finding, InputReport, Report, SourceLine, Verdict, gravest
from .options import ScanOptions, Waiver

__all__ = [
    "CodeMap", "FileReport", "Finding", "InputReport", "Report", "ScanOptions", "SourceLine", "Verdict", "Waiver",
    "gravest", "scan_installed", "scan_path",
]  # fmt: skip
