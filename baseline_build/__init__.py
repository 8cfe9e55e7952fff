"""baseline-build: wheels that run on every CPU of their architecture, proven from the machine code."""

from __future__ import annotations

__version__ = "0.1.0"
