"""Levels, features and flags: the tables and their loader."""

from __future__ import annotations

from .model import Feature, Isa, Level, Machine, Requirement
from .tables import AARCH64, X86, baseline_of, isa_of

__all__ = ["AARCH64", "X86", "Feature", "Isa", "Level", "Machine", "Requirement", "baseline_of", "isa_of"]
