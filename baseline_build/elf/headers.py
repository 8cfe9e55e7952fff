"""ELF header, program headers, section headers, symbol tables."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import List, Optional, Tuple

from ..isa.model import Machine
from . import formats as f
from .model import Section, Segment, Symbol
from .reading import Buffer, Strings, Window, broken, words_of


@dataclass(frozen=True)
class Header:
    """The ELF header's facts; ``bits`` and ``order`` choose all other layouts."""

    bits: int
    order: str
    type: int
    machine: Machine
    entry: int
    flags: int
    segment_offset: int
    segment_size: int
    segment_count: int
    section_offset: int
    section_size: int
    section_count: int
    names_index: int

    @property
    def layout(self) -> f.Layout:
        """The formats of this class."""
        return f.LAYOUTS[self.bits]


def is_elf(data: Buffer) -> bool:
    """Whether *data* begins as an ELF file does."""
    return bytes(data[:4]) == f.MAGIC


def read_header(data: Buffer, name: str) -> Tuple[Header, Window]:
    """The header and a window with the file's byte order. Raises BrokenInputError BB401, BB402, BB403, BB405."""
    window = Window(data, name)
    if not is_elf(data):
        start = bytes(data[:4]).hex(" ") or "nothing"
        raise broken(
            "BB401", f"not an ELF file: it starts with {start}", name, "The file is of another kind or damaged."
        )
    identity = bytes(window.slice(0, 16, "the ELF identification"))
    bits = {1: 32, 2: 64}.get(identity[4])
    order = {1: "<", 2: ">"}.get(identity[5])
    if bits is None or order is None:
        raise broken("BB403", f"no such ELF class or byte order: {identity[4]}, {identity[5]}", name)
    if identity[6] != 1:
        raise broken("BB403", f"no such ELF version: {identity[6]}", name)
    window = Window(data, name, order)
    layout = f.LAYOUTS[bits]
    (kind, number, _, entry, segments, sections, flags, _, segment_size, segment_count, section_size, section_count,
     names) = window.unpack(layout.header, 16, "the ELF header")  # fmt: skip
    if kind not in (f.ET_REL, f.ET_EXEC, f.ET_DYN):
        raise broken(
            "BB405",
            f"ELF type {kind} is neither an object, an executable nor a shared object",
            name,
            "Core dumps and vendor-specific files hold no code of their own that could be judged.",
        )
    machine = f.MACHINES.get((number, 0, order)) or f.MACHINES.get((number, bits, order)) or Machine.OTHER
    header = Header(
        bits, order, kind, machine, entry, flags, segments, segment_size, segment_count, sections, section_size,
        section_count, names,
    )  # fmt: skip
    return _with_large_counts(header, window), window


def _with_large_counts(header: Header, window: Window) -> Header:
    """Counts that do not fit the header stand in section header 0 (gABI, "ELF Header", e_shnum and others)."""
    large = (
        header.segment_count == f.PN_XNUM
        or (header.section_count == 0 and header.section_offset)
        or header.names_index == f.SHN_XINDEX
    )
    if not large or not header.section_offset:
        return header
    row = window.unpack(header.layout.section, header.section_offset, "section header 0")
    size, link, info = row[5], row[6], row[7]
    values = dict(vars(header))
    if header.section_count == 0:
        values["section_count"] = size
    if header.names_index == f.SHN_XINDEX:
        values["names_index"] = link
    if header.segment_count == f.PN_XNUM:
        values["segment_count"] = info
    return Header(**values)


def read_segments(header: Header, window: Window) -> Tuple[Segment, ...]:
    """The program headers. Raises BrokenInputError BB402, BB403."""
    if not header.segment_count:
        return ()
    layout = header.layout.segment
    _check_entry_size(window, header.segment_size, layout, "program headers")
    order = header.layout.segment_order
    found = []
    rows = window.records(
        layout, header.segment_offset, header.segment_count * header.segment_size, "the program headers"
    )
    for row in rows:
        segment = Segment(*(row[position] for position in order))
        if (
            segment.type in (f.PT_LOAD, f.PT_DYNAMIC, f.PT_INTERP, f.PT_NOTE, f.PT_GNU_PROPERTY, f.PT_TLS)
            and segment.file_size
        ):
            window.slice(segment.offset, segment.file_size, f"the segment at address {segment.address:#x}")
        if segment.address + segment.memory_size > 1 << header.bits:
            raise broken("BB403", f"the segment at {segment.address:#x} reaches beyond the address space", window.name)
        found.append(segment)
    return tuple(found)


def _check_entry_size(window: Window, claimed: int, layout: str, what: str) -> None:
    size = struct.calcsize(window.order + layout)
    if claimed != size:
        raise broken("BB403", f"the {what} claim {claimed} bytes each, the format has {size}", window.name)


def read_sections(header: Header, window: Window) -> Tuple[Section, ...]:
    """The section headers, none when the file was stripped of them. Raises BrokenInputError BB402, BB403, BB404."""
    if not header.section_offset or not header.section_count:
        return ()
    layout = header.layout.section
    _check_entry_size(window, header.section_size, layout, "section headers")
    rows = list(
        window.records(layout, header.section_offset, header.section_count * header.section_size, "the section headers")
    )
    if header.names_index >= len(rows):
        raise broken(
            "BB403", f"section {header.names_index} should hold the section names, there are {len(rows)}", window.name
        )
    names_row = rows[header.names_index]
    raw: Buffer = b"\0"
    if header.names_index and names_row[1] != f.SHT_NOBITS:
        raw = window.slice(names_row[4], names_row[5], "the section names")
    names = Strings(raw, window.name, "the section names")
    sections = []
    for index, row in enumerate(rows):
        section = Section(index, names.at(row[0]) if raw != b"\0" else "", *row[1:])
        if section.type not in (0, f.SHT_NOBITS) and section.size:
            window.slice(section.offset, section.size, f"section {section.name or index}")
        sections.append(section)
    return tuple(sections)


def section_data(window: Window, section: Section) -> memoryview:
    """The bytes of *section* as they are in the file (none for SHT_NOBITS)."""
    if section.type in (0, f.SHT_NOBITS):
        return window.data[0:0]
    return window.slice(section.offset, section.size, f"section {section.name or section.index}")


def read_symbols(
    header: Header,
    window: Window,
    table: Tuple[int, int],
    strings: Strings,
    extended: Optional[memoryview] = None,
) -> Tuple[Symbol, ...]:
    """The symbols in ``table`` = (offset, size). Raises BrokenInputError BB402 to BB404.

    :param extended: the contents of SHT_SYMTAB_SHNDX, which holds the section numbers that do not fit.
    """
    at = strings.at
    symbols: List[Symbol] = []
    numbers = words_of(extended, 4, header.order) if extended is not None else None
    name_at, info_at, other_at, section_at, value_at, size_at = header.layout.symbol_order
    for index, row in enumerate(window.records(header.layout.symbol, table[0], table[1], "the symbol table")):
        info = row[info_at]
        section = row[section_at]
        if section == f.SHN_XINDEX and numbers is not None and index < len(numbers):
            section = numbers[index]
        symbols.append(
            Symbol(
                at(row[name_at]),
                row[value_at],
                row[size_at],
                info & 15,
                info >> 4,
                section,
                row[other_at] & 3,
                row[other_at],
            )
        )
    return tuple(symbols)


def symbol_sections(header: Header, window: Window, sections: Tuple[Section, ...], kind: int) -> Tuple[Symbol, ...]:
    """The symbols of the first section of type *kind* (SHT_SYMTAB or SHT_DYNSYM), none without such a section."""
    for section in sections:
        if section.type != kind:
            continue
        if section.link >= len(sections):
            raise broken(
                "BB403", f"{section.name} names section {section.link} as its strings; there is none", window.name
            )
        strings = Strings(section_data(window, sections[section.link]), window.name, sections[section.link].name)
        extended = next(
            (section_data(window, s) for s in sections if s.type == f.SHT_SYMTAB_SHNDX and s.link == section.index),
            None,
        )
        return read_symbols(header, window, (section.offset, section.size), strings, extended)
    return ()
