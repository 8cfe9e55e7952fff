"""Settings: one model of frozen dataclasses; its reader, JSON schema and option tables."""

from __future__ import annotations

from .model import (
    Data,
    Enforce,
    Executable,
    Kernel,
    Levels,
    Origin,
    Platform,
    Resolved,
    Selector,
    Settings,
    Waiver,
)
from .reader import fields_with_values, read, resolve

__all__ = [
    "Data",
    "Enforce",
    "Executable",
    "Kernel",
    "Levels",
    "Origin",
    "Platform",
    "Resolved",
    "Selector",
    "Settings",
    "Waiver",
    "fields_with_values",
    "read",
    "resolve",
]
