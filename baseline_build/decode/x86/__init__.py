"""x86 in 64-bit and 32-bit mode: opcode tables, the automaton grown from them, the engines that walk it."""

from __future__ import annotations

from .engine import instruction, requirement, sweep

__all__ = ["instruction", "requirement", "sweep"]
