"""ELF files, read within bounds: regions of code, functions, imports, relocations, notes, DWARF look-ups.

:func:`parse` reads linked files and relocatable objects; :mod:`.archive` reads static archives, :mod:`.lines` finds the
source line of an address, :mod:`.marker` reads and clears the declared x86 level. Whatever a file holds, only
:class:`~baseline_build.errors.BrokenInputError` is raised.
"""

from __future__ import annotations

from .headers import is_elf
from .model import Function, Image, Properties, Region, Section, Segment, Symbol, SymbolReference
from .parsing import parse

__all__ = [
    "Function", "Image", "Properties", "Region", "Section", "Segment", "Symbol", "SymbolReference", "is_elf", "parse",
]  # fmt: skip
