"""Which bytes of a linked file can be executed.

The loader knows only segments, so segments decide. Section headers, where they exist, tell which bytes of an executable
segment are read-only data that an older linker put beside the code; executable bytes that no section header mentions
are kept as regions of their own, so that nothing hides by being left out of the headers.
"""

from __future__ import annotations

from typing import Iterable, List, Sequence, Tuple

from . import formats as f
from .dynamic import Dynamic
from .headers import Header
from .model import Region, Section, Segment
from .notes import property_places
from .reading import Window, broken

# Linkers fill gaps with zeros, nops or breakpoints; patchelf fills what it moved away with the letter X (pop rax).
_PADDING = frozenset(b"\x00\x90\xccX")
_ARM_NOP = bytes.fromhex("1f2003d5")

Span = Tuple[int, int]


def memory_of(window: Window, segments: Sequence[Segment]) -> Tuple[Region, ...]:
    """All bytes the file puts into memory, ascending by address."""
    blocks = [
        Region(s.address, s.offset, window.slice(s.offset, s.file_size, "a segment"), f"segment@{s.address:x}")
        for s in segments
        if s.type == f.PT_LOAD and s.file_size
    ]
    return tuple(sorted(blocks, key=lambda block: block.address))


def subtract(spans: Iterable[Span], holes: Iterable[Span]) -> List[Span]:
    """*spans* without *holes*, ascending."""
    ordered = sorted(hole for hole in holes if hole[0] < hole[1])
    left: List[Span] = []
    for first, end in sorted(spans):
        start = first
        for hole_start, hole_end in ordered:
            if hole_end <= start:
                continue
            if hole_start >= end:
                break
            if hole_start > start:
                left.append((start, hole_start))
            start = max(start, hole_end)
        if start < end:
            left.append((start, end))
    return left


def read_regions(
    header: Header,
    window: Window,
    segments: Tuple[Segment, ...],
    sections: Tuple[Section, ...],
    dynamic: Dynamic,
    data: Iterable[Span] = (),
) -> Tuple[Region, ...]:
    """The executable bytes. Raises BrokenInputError BB403 when executable segments overlap.

    :param data: more (start, end) addresses known to hold no code (unwind tables).
    """
    loads = [s for s in segments if s.type == f.PT_LOAD and s.executable and s.file_size]
    _refuse_overlap(window, loads)
    regions: List[Region] = []
    for load in loads:
        span = (load.address, load.address + load.file_size)
        inside = [s for s in sections if s.flags & f.SHF_ALLOC and s.type != f.SHT_NOBITS and s.size and _maps(load, s)]
        code = [s for s in inside if s.flags & f.SHF_EXECINSTR]
        taken: List[Span] = []
        for section in sorted(code, key=lambda s: (s.address, s.index)):
            for start, end in subtract([(section.address, section.address + section.size)], taken):
                regions.append(_region(window, load, (start, end), section.name, declared=True))
            taken.append((section.address, section.address + section.size))
        known = list(data) + list(dynamic.known_data)
        known += _headers(header, load, sections) + _noted(load, segments, sections)
        known += [(s.address, s.address + s.size) for s in inside]
        for start, end in subtract([span], known):
            region = _region(window, load, (start, end), f"segment@{start:x}", declared=False)
            if not _is_padding(header, region.data):
                regions.append(region)
    return tuple(sorted(regions, key=lambda region: region.address))


def _refuse_overlap(window: Window, loads: Sequence[Segment]) -> None:
    by_address = sorted((load.address, load.file_size) for load in loads)
    by_offset = sorted((load.offset, load.file_size) for load in loads)
    for spans, what in ((by_address, "addresses"), (by_offset, "bytes")):
        for (start, size), (following, _) in zip(spans, spans[1:]):
            if following < start + size:
                raise broken("BB403", f"executable segments share the {what} at {following:#x}", window.name)


def _maps(load: Segment, section: Section) -> bool:
    """Whether *section* lies in *load*, by address and by file offset alike."""
    distance = section.address - load.address
    return distance >= 0 and distance + section.size <= load.file_size and section.offset - load.offset == distance


def _region(window: Window, load: Segment, span: Span, name: str, *, declared: bool) -> Region:
    offset = load.offset + span[0] - load.address
    return Region(span[0], offset, window.slice(offset, span[1] - span[0], "code"), name, declared)


def _headers(header: Header, load: Segment, sections: Tuple[Section, ...]) -> List[Span]:
    """The ELF and program headers, which the first segment often maps; Go's linker puts the section headers there, too.

    The first section header has the type SHT_NULL (gABI, "Sections"): a table without it is not believed.
    """
    size = 64 if header.bits == 64 else 52
    spans = [(0, size), (header.segment_offset, header.segment_offset + header.segment_count * header.segment_size)]
    if sections and sections[0].type == f.SHT_NULL:
        spans.append((header.section_offset, header.section_offset + header.section_count * header.section_size))
    return [(start - load.offset + load.address, end - load.offset + load.address) for start, end in spans]


def _noted(load: Segment, segments: Sequence[Segment], sections: Tuple[Section, ...]) -> List[Span]:
    spans = [(s.offset, s.offset + s.file_size) for s in segments if s.type == f.PT_INTERP]
    spans += [(offset, offset + size) for offset, size in property_places(tuple(segments), sections)]
    return [(start - load.offset + load.address, end - load.offset + load.address) for start, end in spans]


def _is_padding(header: Header, data: bytes | memoryview) -> bool:
    raw = bytes(data)
    if set(raw) <= _PADDING:
        return True
    return header.machine.value == "aarch64" and not raw.replace(_ARM_NOP, b"").strip(b"\0")


def refers_outside(regions: Sequence[Region], addresses: Iterable[int], segments: Sequence[Segment]) -> List[int]:
    """Those of *addresses* that lie in an executable segment but in no region: headers that hide code."""
    loads = [s for s in segments if s.type == f.PT_LOAD and s.executable]
    spans = [(region.address, region.end) for region in regions]
    outside = []
    for address in addresses:
        mapped = any(s.address <= address < s.address + s.file_size for s in loads)
        if mapped and not any(start <= address < end for start, end in spans):
            outside.append(address)
    return outside
