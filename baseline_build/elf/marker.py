"""The declared x86 level: GNU_PROPERTY_X86_ISA_1_NEEDED, which auditwheel refuses by and glibc refuses to start by.

Bit n of its value stands for x86-64-v(n+1) (x86-64 psABI, "Program Property"; v1 is called *baseline* there). The value
is changed in place wherever it stands (PT_GNU_PROPERTY, PT_NOTE and the section are mostly the same bytes), so that
nothing else in the file moves.
"""

from __future__ import annotations

from typing import List, Optional

from ..errors import ConfigError
from ..isa import X86
from . import formats as f
from .headers import read_header, read_sections, read_segments
from .model import Image, Properties
from .notes import property_fields, property_places
from .reading import Buffer

LEVELS = tuple(level.name for level in X86.levels if level.name.startswith("x86-64"))

# The numbering of before 2020 has one bit for each extension: SSE3 to SSE4.2 are bits 5 to 8, AVX to FMA 9 to 11,
# the AVX-512 parts follow.
_OLD = ((0xFFFFFFFF << 12, 3), (7 << 9, 2), (15 << 5, 1), (31, 0))


def needed(source: Image | Properties) -> Optional[str]:
    """The level the file declares it needs, ``None`` when it declares none."""
    value = _properties(source).isa_needed
    return LEVELS[min(value.bit_length(), len(LEVELS)) - 1] if value else None


def formerly_needed(source: Image | Properties) -> Optional[str]:
    """The level the file declares in the numbering of before 2020, which binutils 2.30 to 2.35 wrote.

    No loader has ever refused a file by it, and auditwheel does not read it.
    """
    value = _properties(source).old_needed or 0
    return next((LEVELS[position] for mask, position in _OLD if value & mask), None)


def _properties(source: Image | Properties) -> Properties:
    return source if isinstance(source, Properties) else source.properties


def _places(data: Buffer, name: str) -> tuple[str, List[int]]:
    header, window = read_header(data, name)
    segments, sections = read_segments(header, window), read_sections(header, window)
    found = {
        offset
        for place in property_places(segments, sections)
        for number, offset, size in property_fields(header, window, place)
        if number == f.GNU_PROPERTY_X86_ISA_1_NEEDED and size == 4
    }
    return header.order, sorted(found)


def _mask(level: str) -> int:
    if level not in LEVELS:
        raise ConfigError("BB220", f"there is no level {level!r} for x86-64", fix=f"Use one of {', '.join(LEVELS)}.")
    return (1 << LEVELS.index(level) + 1) - 1


def cleared(data: Buffer, level: str, name: str = "the file") -> bytes:
    """*data* with the bits above *level* cleared; the same bytes when none is set.

    Only right once the machine code has been proven to keep to *level*. Raises BrokenInputError BB401 to BB405,
    ConfigError BB220.
    """
    mask = _mask(level)
    order, places = _places(data, name)
    changed = bytearray(data)
    for place in places:
        value = int.from_bytes(changed[place : place + 4], "little" if order == "<" else "big")
        changed[place : place + 4] = (value & mask).to_bytes(4, "little" if order == "<" else "big")
    return bytes(changed)


def declared(data: Buffer, level: str, name: str = "the file") -> bytes:
    """*data* with the note's bits up to *level* set and the others cleared, where it has the note; else unchanged.

    Raises BrokenInputError BB401 to BB405, ConfigError BB220.
    """
    mask = _mask(level)
    order, places = _places(data, name)
    changed = bytearray(data)
    for place in places:
        changed[place : place + 4] = mask.to_bytes(4, "little" if order == "<" else "big")
    return bytes(changed)
