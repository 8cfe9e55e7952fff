"""Dynamic relocations: what the words of a loaded file hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Tuple

from ..isa.model import Machine
from . import formats as f
from .dynamic import AddressSpace, Dynamic, relocation_tables
from .headers import Header
from .model import Section, Segment, Symbol
from .reading import MAX_RECORDS, Window, broken

_SYMBOLIC = frozenset(("absolute", "slot"))


@dataclass
class Words:
    """Relocated words of one file while they are collected; the meaning of each is :class:`model.Image`'s."""

    relocations: Dict[int, int] = field(default_factory=dict)
    imports: Dict[int, str] = field(default_factory=dict)
    resolvers: Dict[int, int] = field(default_factory=dict)
    tls_slots: Dict[int, int] = field(default_factory=dict)


class Relocator:
    """Reads every relocation table of a linked file into :class:`Words`."""

    def __init__(self, header: Header, window: Window, segments: Tuple[Segment, ...], dynamic: Dynamic) -> None:
        self.header = header
        self.window = window
        self.segments = segments
        self.dynamic = dynamic
        self.space = AddressSpace(segments)
        self.words = Words()
        self._kinds: Mapping[int, str] = f.RELOCATIONS.get(header.machine, {})
        self._mask = (1 << header.bits) - 1

    def run(self, sections: Tuple[Section, ...]) -> Words:
        """All tables. Raises BrokenInputError BB402 to BB404."""
        if self._kinds:
            tags = self.dynamic.tags
            for layout, tag, size in relocation_tables(tags):
                offset = self.space.offset(tags[tag])
                if offset is None:
                    if tags.get(size):
                        raise broken(
                            "BB402", f"the relocations at address {tags[tag]:#x} are not in the file", self.window.name
                        )
                    continue
                self._table(layout, offset, tags.get(size, 0))
            if f.DT_RELR in tags:
                self._relative_bitmap(tags[f.DT_RELR], tags.get(f.DT_RELRSZ, 0))
            if not tags:
                self._static(sections)
        return self.words

    def _table(self, layout: str, offset: int, size: int) -> None:
        explicit = layout == "rela"
        form = self.header.layout.rela if explicit else self.header.layout.rel
        shift, mask = self.header.layout.symbol_shift, self.header.layout.type_mask
        relative = {number for number, kind in self._kinds.items() if kind == "relative"}
        relocations = self.words.relocations
        for row in self.window.records(form, offset, size, "the relocations"):
            slot, info = row[0], row[1]
            number = info & mask
            addend = row[2] if explicit else self._stored(slot)
            if number in relative:
                relocations[slot] = addend & self._mask
            elif number in self._kinds:
                self._word(self._kinds[number], slot, info >> shift, addend)

    def _stored(self, slot: int) -> int:
        offset = self.space.offset(slot)
        if offset is None:
            return 0
        return int(self.window.unpack(self.header.layout.word, offset, f"the relocated word at {slot:#x}")[0])

    def _word(self, kind: str, slot: int, index: int, addend: int) -> None:
        words = self.words
        if kind == "resolver":
            words.resolvers[slot] = addend & self._mask
            return
        symbols = self.dynamic.symbols
        if index >= len(symbols):
            raise broken(
                "BB403", f"the relocation of {slot:#x} names symbol {index}; there are {len(symbols)}", self.window.name
            )
        symbol = symbols[index]
        if kind in _SYMBOLIC:
            self._symbolic(slot, symbol, addend if kind == "absolute" else 0)
        elif kind == "copy":
            words.imports.setdefault(slot, symbol.name)
        elif not symbol.defined and index:
            words.imports[slot] = symbol.name
        elif kind == "module":
            words.tls_slots.setdefault(slot, symbol.address if index else self._stored(slot + self.header.bits // 8))
        elif kind == "offset":
            words.tls_slots[slot - self.header.bits // 8] = (symbol.address + addend) & self._mask
        else:
            words.tls_slots[slot] = (symbol.address + addend) & self._mask

    def _symbolic(self, slot: int, symbol: Symbol, addend: int) -> None:
        if not symbol.defined:
            if symbol.name:
                self.words.imports[slot] = symbol.name
            else:
                self.words.relocations[slot] = addend & self._mask
        elif symbol.type == f.STT_GNU_IFUNC:
            self.words.resolvers[slot] = symbol.address
        else:
            self.words.relocations[slot] = (symbol.address + addend) & self._mask

    def _relative_bitmap(self, address: int, size: int) -> None:
        """DT_RELR: an even word is a place to relocate, an odd one a bitmap of the places after it (gABI, 2022)."""
        offset = self.space.offset(address)
        if offset is None:
            raise broken(
                "BB402", f"the relative relocations at address {address:#x} are not in the file", self.window.name
            )
        step = self.header.bits // 8
        place = 0
        places: List[int] = []
        for (word,) in self.window.records(self.header.layout.word, offset, size, "the relative relocations"):
            if not word & 1:
                places.append(word)
                place = word + step
                continue
            bits = word >> 1
            at = place
            while bits:
                if bits & 1:
                    places.append(at)
                bits >>= 1
                at += step
            place += step * (self.header.bits - 1)
            if len(places) > MAX_RECORDS:
                raise broken("BB404", f"more than {MAX_RECORDS} relative relocations are not read", self.window.name)
        relocations = self.words.relocations
        for at in places:
            relocations[at] = self._stored(at)

    def _static(self, sections: Tuple[Section, ...]) -> None:
        """Static programs have no dynamic section; their start code walks a table of IFUNC relocations all the same."""
        tables = [s for s in sections if s.type in (f.SHT_RELA, f.SHT_REL) and s.flags & f.SHF_ALLOC]
        for section in tables:
            self._table("rela" if section.type == f.SHT_RELA else "rel", section.offset, section.size)
        if not tables and self.header.machine in (Machine.X86_64, Machine.AARCH64):
            self._search_resolvers()

    def _search_resolvers(self) -> None:
        """Without section headers: IRELATIVE entries are recognised by their number, a data slot and a code address."""
        number = next(n for n, kind in self._kinds.items() if kind == "resolver")
        needle = number.to_bytes(8, "little")
        loads = [s for s in self.segments if s.type == f.PT_LOAD and s.file_size]
        for load in loads:
            raw = bytes(self.window.slice(load.offset, load.file_size, "a segment")) if not load.writable else b""
            at = raw.find(needle)
            while at >= 0:
                if at >= 8 and (load.offset + at) % 8 == 0 and at + 16 <= len(raw):
                    slot = int.from_bytes(raw[at - 8 : at], "little")
                    target = int.from_bytes(raw[at + 8 : at + 16], "little")
                    if _in(loads, slot, writable=True) and _in(loads, target, executable=True):
                        self.words.resolvers[slot] = target
                at = raw.find(needle, at + 1)


def _in(loads: List[Segment], address: int, *, writable: bool = False, executable: bool = False) -> bool:
    return any(
        load.address <= address < load.address + load.memory_size
        and (load.writable or not writable)
        and (load.executable or not executable)
        for load in loads
    )
