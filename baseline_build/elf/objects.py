"""Relocatable objects: a small link, so that the rest of the scanner may treat them like linked files.

The allocated sections are laid out one after the other, symbols get addresses, references to symbols of other objects
get an address in a table of *outside* stubs (behind everything else, never code), GOT references get slots, and the
relocations of all sections are applied to copies of their bytes. Relocation numbers and formulas: psABI supplements of
x86-64 (4.4), i386 (4.4) and ELF for the Arm 64-bit Architecture (5.7).
"""

from __future__ import annotations

from array import array
from typing import Dict, List, NamedTuple, Optional, Tuple

from ..isa.model import Machine
from . import formats as f
from .frames import Frames
from .functions import data_in_code, entries_of, merge_functions
from .headers import Header, section_data, symbol_sections
from .model import Image, Region, Section, Segment, Symbol, SymbolReference
from .notes import read_properties
from .reading import MAX_RECORDS, Window, broken

_BASE = 0x10000
_STEP = 16


class Formula(NamedTuple):
    """How a relocation field is computed.

    :param width: bytes of the field; 4 for instructions of ARM64.
    :param value: ``S`` symbol, ``P`` symbol minus place, ``G`` slot, ``GP`` slot minus place, ``B`` symbol minus GOT,
        ``BP`` GOT minus place, ``GB`` slot minus GOT, ``T`` thread-local, ``Z`` size.
    :param field: ``data``, or the immediate of an ARM64 instruction: ``branch26``, ``branch19``, ``branch14``, ``adr``,
        ``page``, ``low12`` with its scale as a suffix.
    """

    width: int
    value: str
    field: str = "data"


FORMULAS: Dict[Machine, Dict[int, Formula]] = {
    Machine.X86_64: {
        1: Formula(8, "S"), 2: Formula(4, "P"), 3: Formula(4, "GB"), 4: Formula(4, "P"), 9: Formula(4, "GP"),
        10: Formula(4, "S"), 11: Formula(4, "S"), 12: Formula(2, "S"), 13: Formula(2, "P"), 14: Formula(1, "S"),
        15: Formula(1, "P"), 17: Formula(8, "T"), 18: Formula(8, "T"), 19: Formula(4, "GP"), 20: Formula(4, "GP"),
        21: Formula(4, "T"), 22: Formula(4, "GP"), 23: Formula(4, "T"), 24: Formula(8, "P"), 25: Formula(8, "B"),
        26: Formula(4, "BP"), 27: Formula(8, "GB"), 28: Formula(8, "GP"), 29: Formula(8, "BP"), 31: Formula(8, "B"),
        32: Formula(4, "Z"), 33: Formula(8, "Z"), 34: Formula(4, "GP"), 35: Formula(0, "T"), 41: Formula(4, "GP"),
        42: Formula(4, "GP"), 43: Formula(4, "GP"), 44: Formula(4, "GP"), 45: Formula(4, "GP"), 46: Formula(4, "GP"),
    },
    Machine.I386: {
        1: Formula(4, "S"), 2: Formula(4, "P"), 3: Formula(4, "GB"), 4: Formula(4, "P"), 9: Formula(4, "B"),
        10: Formula(4, "BP"), 15: Formula(4, "G"), 16: Formula(4, "GB"), 17: Formula(4, "T"), 18: Formula(4, "GB"),
        19: Formula(4, "GB"), 20: Formula(2, "S"), 21: Formula(2, "P"), 22: Formula(1, "S"), 23: Formula(1, "P"),
        32: Formula(4, "T"), 34: Formula(4, "T"), 39: Formula(4, "GB"), 40: Formula(0, "T"), 38: Formula(4, "Z"),
        43: Formula(4, "GB"),
    },
    Machine.AARCH64: {
        257: Formula(8, "S"), 258: Formula(4, "S"), 259: Formula(2, "S"), 260: Formula(8, "P"), 261: Formula(4, "P"),
        262: Formula(2, "P"), 314: Formula(4, "P"), 273: Formula(4, "P", "branch19"), 274: Formula(4, "P", "adr"),
        275: Formula(4, "S", "page"), 276: Formula(4, "S", "page"), 277: Formula(4, "S", "low12/1"),
        278: Formula(4, "S", "low12/1"), 279: Formula(4, "P", "branch14"), 280: Formula(4, "P", "branch19"),
        282: Formula(4, "P", "branch26"), 283: Formula(4, "P", "branch26"), 284: Formula(4, "S", "low12/2"),
        285: Formula(4, "S", "low12/4"), 286: Formula(4, "S", "low12/8"), 299: Formula(4, "S", "low12/16"),
        309: Formula(4, "GP", "branch19"), 311: Formula(4, "G", "page"), 312: Formula(4, "G", "low12/8"),
    },
}  # fmt: skip
# Thread-local relocations and the MOVW groups of ARM64 change only immediates; the instruction they stand in is told
# without them, so their fields stay as they are.
_IGNORED_RANGES: Dict[Machine, Tuple[Tuple[int, int], ...]] = {
    Machine.X86_64: ((0, 0),),
    Machine.I386: ((0, 0), (14, 14), (24, 37), (41, 42)),
    Machine.AARCH64: ((0, 0), (256, 256), (263, 272), (287, 298), (300, 308), (310, 310), (313, 313), (512, 600)),
}


class Layout(NamedTuple):
    """Where the sections, the outside symbols and the slots of an object were put."""

    bases: Dict[int, int]
    outside: Dict[str, int]
    slots: Dict[int, int]
    end: int


class ObjectReader:
    """Lays out and relocates one relocatable object."""

    def __init__(self, header: Header, window: Window, sections: Tuple[Section, ...]) -> None:
        self.header = header
        self.window = window
        self.sections = sections
        self.order = "little" if header.order == "<" else "big"
        self.bases = self._lay_out()
        self.end = max((self.bases[s.index] + s.size for s in self._allocated()), default=_BASE) + 4096 & ~4095
        self.outside: Dict[str, int] = {}
        self.slots: Dict[int, int] = {}
        self._raw_symbols = symbol_sections(header, window, sections, f.SHT_SYMTAB)
        self.commons: Dict[str, int] = {}
        self.symbols = tuple(self._placed(symbol) for symbol in self._raw_symbols)
        self.bytes: Dict[int, bytearray] = {}
        self.references: List[SymbolReference] = []
        self.words: Dict[int, int] = {}
        self.imports: Dict[int, str] = {}

    def _allocated(self) -> List[Section]:
        return [s for s in self.sections if s.flags & f.SHF_ALLOC and s.size]

    def _lay_out(self) -> Dict[int, int]:
        bases: Dict[int, int] = {}
        at = _BASE
        for section in self._allocated():
            align = max(section.align, 1)
            if align & align - 1 or align > 1 << 20:
                raise broken("BB403", f"section {section.name} has the alignment {section.align}", self.window.name)
            at = at + align - 1 & -align
            bases[section.index] = at
            at += section.size
            if at >> 47:
                raise broken("BB404", "the sections together are larger than any memory", self.window.name)
        return bases

    def _placed(self, symbol: Symbol) -> Symbol:
        if symbol.section == f.SHN_COMMON:
            return symbol._replace(address=self._outside(symbol.name))
        if symbol.section == f.SHN_ABS or not symbol.defined:
            return symbol
        if symbol.section >= len(self.sections):
            raise broken(
                "BB403", f"symbol {symbol.name!r} lies in section {symbol.section}; there is none", self.window.name
            )
        base = self.bases.get(symbol.section, 0)
        name = symbol.name
        if symbol.type == f.STT_SECTION and not name:
            name = self.sections[symbol.section].name
        return symbol._replace(address=base + symbol.address, name=name)

    def _outside(self, name: str) -> int:
        if name not in self.outside:
            self.outside[name] = self.end + _STEP * (len(self.outside) + len(self.slots))
        return self.outside[name]

    def _slot(self, target: int) -> int:
        if target not in self.slots:
            self.slots[target] = self.end + _STEP * (len(self.outside) + len(self.slots))
        return self.slots[target]

    def run(self) -> None:
        """Copy the sections and apply their relocations. Raises BrokenInputError BB402 to BB404, BB406."""
        for section in self._allocated():
            if section.index in self.bases and section.type != f.SHT_NOBITS:
                self._refuse_compressed(section)
                self.bytes[section.index] = bytearray(section_data(self.window, section))
        total = 0
        for section in self.sections:
            if section.type in (f.SHT_REL, f.SHT_RELA) and section.info in self.bytes:
                total += section.size
                if total // 8 > MAX_RECORDS:
                    raise broken("BB404", f"more than {MAX_RECORDS} relocations are not read", self.window.name)
                self._relocate(section, self.sections[section.info])

    def _refuse_compressed(self, section: Section) -> None:
        if section.flags & f.SHF_COMPRESSED:
            raise broken("BB403", f"section {section.name} is loaded and compressed at once", self.window.name)

    def _relocate(self, table: Section, target: Section) -> None:
        formulas = FORMULAS.get(self.header.machine)
        if formulas is None:
            return
        explicit = table.type == f.SHT_RELA
        form = self.header.layout.rela if explicit else self.header.layout.rel
        shift, mask = self.header.layout.symbol_shift, self.header.layout.type_mask
        code = bool(target.flags & f.SHF_EXECINSTR)
        for row in self.window.records(form, table.offset, table.size, f"section {table.name}"):
            offset, number, index = row[0], row[1] & mask, row[1] >> shift
            if index >= len(self.symbols):
                raise broken(
                    "BB403", f"a relocation names symbol {index}; there are {len(self.symbols)}", self.window.name
                )
            formula = formulas.get(number)
            if formula is None:
                self._refuse_unknown(number, target, offset)
                continue
            self._apply(target, offset, formula, index, row[2] if explicit else None, number, code)

    def _refuse_unknown(self, number: int, target: Section, offset: int) -> None:
        if any(low <= number <= high for low, high in _IGNORED_RANGES[self.header.machine]):
            return
        raise broken(
            "BB406",
            f"relocation {number} of {target.name}+{offset:#x} is unknown",
            self.window.name,
            "The object was made for a newer ABI than this scanner knows, or is damaged.",
        )

    def _apply(
        self, target: Section, offset: int, formula: Formula, index: int, addend: Optional[int], number: int, code: bool
    ) -> None:
        raw = self.bytes[target.index]
        if offset + formula.width > len(raw):
            raise broken(
                "BB402", f"a relocation at {offset:#x} of {target.name} reaches beyond its end", self.window.name
            )
        if formula.value in ("T", "Z"):
            return
        place = self.bases[target.index] + offset
        symbol = self.symbols[index]
        base = self._address(symbol)
        if addend is None:
            addend = int.from_bytes(raw[offset : offset + formula.width], self.order, signed=True)  # type: ignore[arg-type]
        value = self._value(formula, base, addend, place)
        if formula.field == "data":
            size = formula.width
            raw[offset : offset + size] = (value & (1 << 8 * size) - 1).to_bytes(size, self.order)  # type: ignore[arg-type]
        else:
            word = int.from_bytes(raw[offset : offset + 4], "little")
            raw[offset : offset + 4] = (_patched(word, formula.field, value, place) & 0xFFFFFFFF).to_bytes(4, "little")
        if code:
            self.references.append(SymbolReference(place, number, symbol.name, addend, base))
        elif formula.value == "S" and formula.width * 8 == self.header.bits:
            self._word(place, symbol, base + addend)

    def _address(self, symbol: Symbol) -> int:
        return symbol.address if symbol.defined else self._outside(symbol.name)

    def _word(self, place: int, symbol: Symbol, value: int) -> None:
        if symbol.defined:
            self.words[place] = value & (1 << self.header.bits) - 1
        else:
            self.imports[place] = symbol.name

    def _value(self, formula: Formula, base: int, addend: int, place: int) -> int:
        kind = formula.value
        if kind == "S":
            return base + addend
        if kind == "P":
            return base + addend - place
        if kind == "B":
            return base + addend - self.end
        if kind == "BP":
            return self.end + addend - place
        slot = self._slot(base) + addend
        if kind == "GP":
            return slot - place
        return slot - self.end if kind == "GB" else slot

    def image(self) -> Image:
        """The object as an image."""
        code = [s for s in self._allocated() if s.flags & f.SHF_EXECINSTR and s.index in self.bytes]
        regions = tuple(
            Region(self.bases[s.index], s.offset, memoryview(bytes(self.bytes[s.index])), s.name) for s in code
        )
        known = {address: name for name, address in self.outside.items()}
        words, imports = dict(self.words), dict(self.imports)
        for target, slot in self.slots.items():
            if target in known:
                imports[slot] = known[target]
            else:
                words[slot] = target
        inside = tuple(s for s in self.symbols if s.section in self.bases)
        frames = self._frames()
        initialisers = self._initialisers(words)
        functions = merge_functions(regions, inside, frames, dict.fromkeys(initialisers, "init"))
        data = data_in_code(self.header.machine, regions, inside)
        placed = tuple(
            Section(s.index, s.name, s.type, s.flags, self.bases.get(s.index, 0), s.offset, s.size, s.link, s.info,
                    s.align, s.entry_size)
            for s in self.sections
        )  # fmt: skip
        tls = next((s for s in self._allocated() if s.flags & f.SHF_TLS), None)
        return Image(
            name=self.window.name,
            machine=self.header.machine,
            bits=self.header.bits,
            order=self.header.order,
            kind="object",
            flags=self.header.flags,
            entry=None,
            data=self.window.data,
            sections=placed,
            regions=regions,
            functions=functions,
            symbols=self.symbols,
            exports={
                s.name: s.address for s in inside if s.binding in (1, 2, 10) and s.name and s.visibility not in (1, 2)
            },
            imports=imports,
            stubs=known,
            relocations=words,
            ifuncs=tuple(s for s in inside if s.type == f.STT_GNU_IFUNC),
            initialisers=initialisers,
            tls=Segment(f.PT_TLS, 6, tls.offset, self.bases[tls.index], 0, tls.size, tls.align) if tls else None,
            properties=read_properties(self.header, self.window, (), self.sections),
            entries=entries_of(regions, functions, words.values(), data) if regions else array("Q"),
            data_ranges=data,
            references=tuple(self.references),
            memory=tuple(
                Region(self.bases[i], self.sections[i].offset, memoryview(bytes(raw)), self.sections[i].name)
                for i, raw in sorted(self.bytes.items(), key=lambda item: self.bases[item[0]])
            ),
        )

    def _frames(self) -> List[Tuple[int, int]]:
        found: List[Tuple[int, int]] = []
        for section in self.sections:
            if section.name == ".eh_frame" and section.index in self.bytes:
                window = Window(bytes(self.bytes[section.index]), self.window.name, self.header.order)
                found += Frames(window, self.header.bits).walk(0, section.size, self.bases[section.index])
        return found

    def _initialisers(self, words: Dict[int, int]) -> Tuple[int, ...]:
        found: List[int] = []
        for section in self._allocated():
            by_name = section.name.startswith((".init_array", ".ctors", ".preinit_array"))
            if section.type in (f.SHT_INIT_ARRAY, f.SHT_PREINIT_ARRAY) or by_name:
                start = self.bases[section.index]
                found += [words[at] for at in sorted(words) if start <= at < start + section.size]
        return tuple(dict.fromkeys(found))


def _patched(word: int, field: str, value: int, place: int) -> int:
    """An ARM64 instruction with its immediate replaced (Arm ARM, C6.2: B, B.cond, TBZ, ADR, ADRP, ADD, LDR)."""
    if field == "branch26":
        return word & ~0x3FFFFFF | value >> 2 & 0x3FFFFFF
    if field == "branch19":
        return word & ~(0x7FFFF << 5) | (value >> 2 & 0x7FFFF) << 5
    if field == "branch14":
        return word & ~(0x3FFF << 5) | (value >> 2 & 0x3FFF) << 5
    if field.startswith("low12/"):
        return word & ~(0xFFF << 10) | (value & 0xFFF) // int(field[6:]) << 10
    if field == "page":
        value = (value >> 12) - (place >> 12)
    return word & ~(0x7FFFF << 5 | 3 << 29) | (value >> 2 & 0x7FFFF) << 5 | (value & 3) << 29


def parse_object(header: Header, window: Window, sections: Tuple[Section, ...]) -> Image:
    """The image of a relocatable object. Raises BrokenInputError BB402 to BB404, BB406."""
    reader = ObjectReader(header, window, sections)
    reader.run()
    return reader.image()
