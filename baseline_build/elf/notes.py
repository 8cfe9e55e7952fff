"""GNU property notes: what a file *declares* it needs.

Layout: "Linux Extensions to gABI", section ".note.gnu.property"; the x86 numbers: x86-64 psABI, "Program Property".
"""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, Optional, Tuple

from . import formats as f
from .headers import Header
from .model import Properties, Section, Segment
from .reading import Window


def property_places(segments: Tuple[Segment, ...], sections: Tuple[Section, ...]) -> List[Tuple[int, int]]:
    """(offset, size) of every run of notes that may hold properties: segments and sections, mostly the same bytes."""
    places = [(s.offset, s.file_size) for s in segments if s.type in (f.PT_NOTE, f.PT_GNU_PROPERTY)]
    places += [(s.offset, s.size) for s in sections if s.type == f.SHT_NOTE]
    return sorted(set(places))


def property_fields(header: Header, window: Window, place: Tuple[int, int]) -> Iterator[Tuple[int, int, int]]:
    """(property number, file offset of its data, size of its data) in the notes at *place*.

    A note that reaches outside of its run ends the walk: the loader ignores such notes too, and notes are claims, never
    a proof that code is baseline. Raises BrokenInputError BB402 when the run itself is not in the file.
    """
    offset, size = place
    window.slice(offset, size, "the notes")
    at, end = offset, offset + size
    align = 8 if header.bits == 64 else 4
    while at + 12 <= end:
        name_size, data_size, kind = window.unpack("III", at, "a note")
        name = at + 12
        data = name + (name_size + 3 & ~3)
        if data + data_size > end:
            return
        if kind == f.NT_GNU_PROPERTY_TYPE_0 and bytes(window.data[name : name + name_size]) == b"GNU\0":
            yield from _fields(window, data, data + data_size, align)
            at = data + (data_size + align - 1 & -align)
        else:
            at = data + (data_size + 3 & ~3)


def _fields(window: Window, at: int, end: int, align: int) -> Iterator[Tuple[int, int, int]]:
    while at + 8 <= end:
        number, size = window.unpack("II", at, "a program property")
        if at + 8 + size > end:
            return
        yield number, at + 8, size
        at += 8 + (size + align - 1 & -align)


def read_properties(
    header: Header, window: Window, segments: Tuple[Segment, ...], sections: Tuple[Section, ...]
) -> Properties:
    """The property note, its numbers joined over all places where it stands."""
    numbers: Dict[int, int] = {}
    for place in property_places(segments, sections):
        for number, offset, size in property_fields(header, window, place):
            if size == 4:
                numbers[number] = numbers.get(number, 0) | window.unpack("I", offset, "a program property")[0]

    value: Callable[[int], Optional[int]] = numbers.get
    # The numbers 0xc0000000 and up belong to the processor: x86's old numbering and ARM64's protection share one.
    if header.machine.value not in ("x86-64", "i386"):
        return Properties(protection=value(f.GNU_PROPERTY_AARCH64_FEATURE_1_AND))
    return Properties(
        value(f.GNU_PROPERTY_X86_ISA_1_NEEDED),
        value(f.GNU_PROPERTY_X86_COMPAT_ISA_1_NEEDED),
        value(f.GNU_PROPERTY_X86_FEATURE_1_AND),
    )
