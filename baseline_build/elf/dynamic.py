"""The dynamic section: what the loader reads. Works without section headers."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

from . import formats as f
from .headers import Header, read_symbols, symbol_sections
from .model import Section, Segment, Symbol
from .reading import Strings, Window, broken


class AddressSpace:
    """Maps addresses to file offsets through the loadable segments."""

    def __init__(self, segments: Tuple[Segment, ...]) -> None:
        self._loads = [s for s in segments if s.type == f.PT_LOAD and s.file_size]

    def offset(self, address: int) -> Optional[int]:
        """The file offset of *address*, or ``None`` where the file backs nothing."""
        for load in self._loads:
            if load.address <= address < load.address + load.file_size:
                return load.offset + address - load.address
        return None

    def run(self, address: int) -> int:
        """How many bytes from *address* on the file backs."""
        for load in self._loads:
            if load.address <= address < load.address + load.file_size:
                return load.address + load.file_size - address
        return 0


@dataclass(frozen=True)
class Dynamic:
    """The dynamic tags (last value of each), the lists among them, and the dynamic symbols."""

    tags: Dict[int, int] = field(default_factory=dict)
    needed: Tuple[str, ...] = ()
    soname: Optional[str] = None
    rpath: Optional[str] = None
    runpath: Optional[str] = None
    symbols: Tuple[Symbol, ...] = ()
    known_data: Tuple[Tuple[int, int], ...] = ()


def read_dynamic(
    header: Header, window: Window, segments: Tuple[Segment, ...], sections: Tuple[Section, ...]
) -> Dynamic:
    """The dynamic section. Raises BrokenInputError BB402 to BB404."""
    segment = next((s for s in segments if s.type == f.PT_DYNAMIC), None)
    if segment is None:
        return Dynamic()
    tags: Dict[int, int] = {}
    needed: List[int] = []
    for tag, value in window.records(header.layout.dynamic, segment.offset, segment.file_size, "the dynamic section"):
        if tag == 0:
            break
        if tag == f.DT_NEEDED:
            needed.append(value)
        tags[tag] = value & ((1 << header.bits) - 1)
    space = AddressSpace(segments)
    strings = _strings(tags, window, space)
    symbols, extent = _symbols(tags, header, window, space, sections, strings)

    def text(tag: int) -> Optional[str]:
        return strings.at(tags[tag]) if tag in tags else None

    return Dynamic(
        tags,
        tuple(strings.at(offset) for offset in needed),
        text(f.DT_SONAME),
        text(f.DT_RPATH),
        text(f.DT_RUNPATH),
        symbols,
        tuple(_known_data(tags, extent)),
    )


def _strings(tags: Dict[int, int], window: Window, space: AddressSpace) -> Strings:
    if f.DT_STRTAB not in tags:
        return Strings(b"", window.name, "the dynamic strings")
    offset = space.offset(tags[f.DT_STRTAB])
    if offset is None:
        raise broken("BB402", f"the dynamic strings at address {tags[f.DT_STRTAB]:#x} are not in the file", window.name)
    return Strings(
        window.slice(offset, tags.get(f.DT_STRSZ, 0), "the dynamic strings"), window.name, "the dynamic strings"
    )


def _symbols(
    tags: Dict[int, int],
    header: Header,
    window: Window,
    space: AddressSpace,
    sections: Tuple[Section, ...],
    strings: Strings,
) -> Tuple[Tuple[Symbol, ...], int]:
    """The dynamic symbols and the size of their table; the loader knows their number only through the hash tables."""
    if f.DT_SYMTAB not in tags:
        return (), 0
    offset = space.offset(tags[f.DT_SYMTAB])
    if offset is None:
        raise broken("BB402", f"the dynamic symbols at address {tags[f.DT_SYMTAB]:#x} are not in the file", window.name)
    size = struct.calcsize("<" + header.layout.symbol)
    count = _hash_count(tags, window, space)
    if f.DT_GNU_HASH in tags:
        count = max(count, _gnu_hash_count(tags[f.DT_GNU_HASH], header, window, space))
    if not count and any(s.type == f.SHT_DYNSYM for s in sections):
        symbols = symbol_sections(header, window, sections, f.SHT_DYNSYM)
        return symbols, size * len(symbols)
    count = max(count, _relocated_count(tags, header, window, space))
    return read_symbols(header, window, (offset, count * size), strings), count * size


def _hash_count(tags: Dict[int, int], window: Window, space: AddressSpace) -> int:
    if f.DT_HASH not in tags:
        return 0
    offset = space.offset(tags[f.DT_HASH])
    if offset is None:
        raise broken("BB402", f"the symbol hash table at address {tags[f.DT_HASH]:#x} is not in the file", window.name)
    return int(window.unpack("II", offset, "the symbol hash table")[1])


def _gnu_hash_count(address: int, header: Header, window: Window, space: AddressSpace) -> int:
    """One more than the highest symbol the GNU hash table reaches: the end of its last chain."""
    what = "the GNU hash table"
    offset = space.offset(address)
    if offset is None:
        raise broken("BB402", f"{what} at address {address:#x} is not in the file", window.name)
    buckets, first, bloom, _ = window.unpack("IIII", offset, what)
    start = offset + 16 + bloom * header.bits // 8
    highest = max((row[0] for row in window.records("I", start, buckets * 4, what)), default=0)
    if highest < first:
        return int(first)
    chain = start + buckets * 4 + (highest - first) * 4
    while not window.unpack("I", chain, what)[0] & 1:
        highest += 1
        chain += 4
    return int(highest) + 1


def _relocated_count(tags: Dict[int, int], header: Header, window: Window, space: AddressSpace) -> int:
    """One more than the highest symbol a relocation names: undefined symbols stand in no hash table."""
    highest = -1
    for layout, tag, size_tag in relocation_tables(tags):
        offset = space.offset(tags[tag])
        if offset is None:
            continue
        form = header.layout.rela if layout == "rela" else header.layout.rel
        for row in window.records(form, offset, tags.get(size_tag, 0), "the relocations"):
            highest = max(highest, row[1] >> header.layout.symbol_shift)
    return highest + 1


def relocation_tables(tags: Dict[int, int]) -> List[Tuple[str, int, int]]:
    """(``rel`` or ``rela``, tag of the address, tag of the size) of each table there is."""
    tables = []
    if f.DT_RELA in tags:
        tables.append(("rela", f.DT_RELA, f.DT_RELASZ))
    if f.DT_REL in tags:
        tables.append(("rel", f.DT_REL, f.DT_RELSZ))
    if f.DT_JMPREL in tags:
        tables.append(("rela" if tags.get(f.DT_PLTREL) == f.DT_RELA else "rel", f.DT_JMPREL, f.DT_PLTRELSZ))
    return tables


def _known_data(tags: Dict[int, int], symbols: int) -> List[Tuple[int, int]]:
    """(start, end) addresses of the loader's own tables: no code, though executable segments may map them."""
    ranges = []
    for tag, size_tag in (
        (f.DT_STRTAB, f.DT_STRSZ), (f.DT_RELA, f.DT_RELASZ), (f.DT_REL, f.DT_RELSZ), (f.DT_JMPREL, f.DT_PLTRELSZ),
        (f.DT_RELR, f.DT_RELRSZ),
    ):  # fmt: skip
        if tag in tags:
            ranges.append((tags[tag], tags[tag] + tags.get(size_tag, 0)))
    if f.DT_SYMTAB in tags:
        ranges.append((tags[f.DT_SYMTAB], tags[f.DT_SYMTAB] + symbols))
    return ranges
