"""The debug sections of relocatable objects, as a linker would leave them.

In an object file the addresses, strings and lists that DWARF names stand in relocations. Here they are applied to a
copy of the file, with the addresses that :mod:`.objects` gave the sections, so that whoever reads DWARF of linked files
can read it. Compressed sections are expanded on the way (gABI, "Section Compression"): relocations are meant for what
was compressed.
"""

from __future__ import annotations

import struct
import zlib
from typing import Dict, Iterator, List, Tuple

from . import formats as f
from .headers import read_header
from .model import Image, Section
from .objects import FORMULAS
from .reading import MAX_RECORDS, broken

MAX_OBJECT_DEBUG = 128 << 20  # bytes of debug sections, expanded; the copy is kept in memory
_PIECE = 1 << 20  # bytes expanded at a time
_COMPRESSION = {32: "III", 64: "IIQQ"}  # ch_type, (ch_reserved,) ch_size, ch_addralign


def linked(image: Image) -> memoryview:
    """The file of the relocatable object *image*, to be read for its DWARF as if it were linked.

    Raises BrokenInputError BB402 (a section reaches beyond the file), BB404 (too many relocations) or BB409 (damaged,
    too large, or compressed in a way that is not known).
    """
    return _Debug(image).linked()


class _Debug:
    """Makes the copy of one object."""

    def __init__(self, image: Image) -> None:
        self.image = image
        header, self.window = read_header(image.data, image.name)
        self.headers = header.section_offset
        self.layout = f.LAYOUTS[image.bits]
        self.order = "little" if image.order == "<" else "big"
        self.relocations = 0
        self.room = MAX_OBJECT_DEBUG

    def linked(self) -> memoryview:
        """The whole file with its debug sections expanded, relocated and put behind the rest.

        A section of a group (type units, macros) loses its name: the unit that covers an address stands in none.
        """
        copy = bytearray(self.image.data)
        tables: Dict[int, List[Section]] = {}
        for section in self.image.sections:
            if section.type in (f.SHT_REL, f.SHT_RELA):
                tables.setdefault(section.info, []).append(section)
        for section in self.image.sections:
            if not section.name.startswith(".debug_") or section.type == f.SHT_NOBITS:
                continue
            if section.flags & f.SHF_GROUP:
                self._rewrite(copy, section, name=0)
            elif section.index in tables or section.flags & f.SHF_COMPRESSED:
                contents = self._expanded(section)
                for table in tables.get(section.index, ()):
                    self._relocate(contents, table, section)
                self._rewrite(copy, section, offset=len(copy), size=len(contents))
                copy += contents
        return memoryview(copy)

    def _expanded(self, section: Section) -> bytearray:
        raw = self.window.slice(section.offset, section.size, f"section {section.name}")
        size, start = len(raw), 0
        if section.flags & f.SHF_COMPRESSED:
            form = _COMPRESSION[self.image.bits]
            row = self.window.unpack(form, section.offset, f"the compression header of {section.name}")
            if row[0] != f.ELFCOMPRESS_ZLIB:
                raise broken("BB409", f"section {section.name} is compressed in way {row[0]}", self.image.name)
            size, start = row[-2], struct.calcsize(self.image.order + form)
        self.room -= size
        if self.room < 0:
            raise broken(
                "BB409",
                f"its debug information has more than the {MAX_OBJECT_DEBUG >> 20} MiB that are read of an object",
                self.image.name,
            )
        if not section.flags & f.SHF_COMPRESSED:
            return bytearray(raw)
        expanded = bytearray()
        stream, rest = zlib.decompressobj(), bytes(raw[start:])
        try:
            while rest and len(expanded) <= size:
                expanded += stream.decompress(rest, _PIECE)
                rest = stream.unconsumed_tail
        except zlib.error as error:
            raise broken("BB409", f"section {section.name} cannot be expanded ({error})", self.image.name) from error
        if len(expanded) != size:
            what = f"section {section.name} expands to {len(expanded)} bytes, its header says {size}"
            raise broken("BB409", what, self.image.name)
        return expanded

    def _records(self, table: Section) -> Iterator[Tuple[int, ...]]:
        form = self.layout.rela if table.type == f.SHT_RELA else self.layout.rel
        self.relocations += table.size // struct.calcsize(self.image.order + form)
        if self.relocations > MAX_RECORDS:
            raise broken("BB404", f"more than {MAX_RECORDS} relocations are not read", self.image.name)
        return self.window.records(form, table.offset, table.size, f"section {table.name}")

    def _relocate(self, contents: bytearray, table: Section, section: Section) -> None:
        """Apply *table*. Thread-local offsets and sizes are left as they are: no line depends on them."""
        formulas = FORMULAS.get(self.image.machine, {})
        shift, mask = self.layout.symbol_shift, self.layout.type_mask
        order, symbols = self.order, self.image.symbols
        for offset, info, *addends in self._records(table):
            formula, number = formulas.get(info & mask), info >> shift
            if formula is None or formula.field != "data" or formula.value not in ("S", "P"):
                continue
            width = formula.width
            if offset + width > len(contents) or number >= len(symbols):
                raise broken("BB409", f"a relocation at {offset:#x} of {section.name} leads nowhere", self.image.name)
            place = slice(offset, offset + width)
            addend = addends[0] if addends else int.from_bytes(contents[place], order)  # type: ignore[arg-type]
            value = symbols[number].address + addend - (offset if formula.value == "P" else 0)
            contents[place] = (value & (1 << 8 * width) - 1).to_bytes(width, order)  # type: ignore[arg-type]

    def _rewrite(self, copy: bytearray, section: Section, **changes: int) -> None:
        """Change the header of *section* in *copy*: its name, or where it lies (and it is compressed no more)."""
        form = struct.Struct(self.image.order + self.layout.section)
        at = self.headers + section.index * form.size
        row = list(form.unpack_from(copy, at))
        row[0] = changes.get("name", row[0])
        if "offset" in changes:
            row[2] &= ~f.SHF_COMPRESSED
            row[4], row[5] = changes["offset"], changes["size"]
        form.pack_into(copy, at, *row)
