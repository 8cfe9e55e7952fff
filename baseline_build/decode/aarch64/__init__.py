"""ARM64: words of four bytes -> features, control flow, references.

The same interface as the room's, without the *machine* argument. ``encodings.txt`` is the table.
"""

from __future__ import annotations

from .sweeping import instruction, requirement, sweep

__all__ = ["instruction", "requirement", "sweep"]
