"""``parse``: one ELF file, read from front to back into an :class:`~baseline_build.elf.model.Image`."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional, Tuple

from . import formats as f
from .dynamic import AddressSpace, Dynamic, read_dynamic
from .frames import Frames
from .functions import data_in_code, entries_of, initialisers_of, merge_functions
from .headers import Header, read_header, read_sections, read_segments, symbol_sections
from .model import Image, Region, Section, Segment, Symbol
from .notes import read_properties
from .reading import Buffer, Window
from .regions import memory_of, read_regions, refers_outside
from .relocating import Relocator
from .stubs import find_stubs

_EXPORTED = frozenset((f.STB_GLOBAL, f.STB_WEAK, f.STB_GNU_UNIQUE))
_HIDDEN = frozenset((1, 2))


def parse(data: Buffer, name: str) -> Image:
    """All that is needed of the ELF file *data*, called *name* in errors.

    *data* may be a memory-mapped file; regions and memory are views of it, so it must outlive the image.
    Raises BrokenInputError BB401 to BB405.
    """
    header, window = read_header(data, name)
    segments = read_segments(header, window)
    sections = read_sections(header, window)
    if header.type == f.ET_REL:
        from .objects import parse_object

        return parse_object(header, window, sections)
    return _linked(header, window, segments, sections)


def _linked(header: Header, window: Window, segments: Tuple[Segment, ...], sections: Tuple[Section, ...]) -> Image:
    dynamic = read_dynamic(header, window, segments, sections)
    symbols = symbol_sections(header, window, sections, f.SHT_SYMTAB)
    words = Relocator(header, window, segments, dynamic).run(sections)
    frames, tables = _frames(header, window, segments, sections)
    regions = read_regions(header, window, segments, sections, dynamic, tables)
    kind, entry = _kind(header, segments, dynamic)
    image = Image(
        name=window.name,
        machine=header.machine,
        bits=header.bits,
        order=header.order,
        kind=kind,
        flags=header.flags,
        entry=entry,
        data=window.data,
        interpreter=_interpreter(window, segments),
        soname=dynamic.soname,
        needed=dynamic.needed,
        rpath=dynamic.rpath,
        runpath=dynamic.runpath,
        segments=segments,
        sections=sections,
        regions=regions,
        symbols=symbols,
        dynamic_symbols=dynamic.symbols,
        exports=_exports(dynamic.symbols),
        imports=words.imports,
        relocations=words.relocations,
        resolvers=words.resolvers,
        tls_slots=words.tls_slots,
        tls=next((s for s in segments if s.type == f.PT_TLS), None),
        properties=read_properties(header, window, segments, sections),
        memory=memory_of(window, segments),
    )
    return _with_code_facts(image, dynamic, frames)


def _with_code_facts(image: Image, dynamic: Dynamic, frames: List[Tuple[int, int]]) -> Image:
    """Second pass: what needs relocated memory to be known (initialisers) and what follows from them (functions)."""
    width = image.bits // 8
    initialisers = initialisers_of(dynamic.tags, width, image.pointer) or _static_initialisers(image)
    finalisers = initialisers_of(dynamic.tags, width, image.pointer, final=True)
    both = image.symbols + image.dynamic_symbols
    ifuncs = tuple({s.address: s for s in both if s.type == f.STT_GNU_IFUNC and s.defined}.values())
    starts: Dict[int, str] = dict.fromkeys(initialisers + finalisers, "init")
    starts.update((address, "resolver") for address in image.resolvers.values())
    if image.entry is not None:
        starts[image.entry] = "entry"
    hidden = refers_outside(image.regions, list(starts) + [s.address for s in ifuncs], image.segments)
    if hidden:
        image = replace(image, regions=_uncovered(image))
    functions = merge_functions(image.regions, both, frames, starts)
    # In a section that is not loaded (debug information has mapping symbols too) a value is no address.
    loaded = {section.index for section in image.sections if section.flags & f.SHF_ALLOC}
    in_memory = tuple(s for s in both if not image.sections or s.section in loaded)
    data = data_in_code(image.machine, image.regions, in_memory)
    slots = {**image.imports, **image.relocations, **image.resolvers}
    jumps = find_stubs(image.machine, image.regions, slots, dynamic.tags.get(f.DT_PLTGOT))
    return replace(
        image,
        functions=functions,
        ifuncs=ifuncs,
        initialisers=initialisers,
        finalisers=finalisers,
        data_ranges=data,
        entries=entries_of(image.regions, functions, image.relocations.values(), data),
        stubs={stub: image.imports[slot] for stub, slot in jumps.items() if slot in image.imports},
        local_stubs={stub: slot for stub, slot in jumps.items() if slot not in image.imports},
    )


def _uncovered(image: Image) -> Tuple[Region, ...]:
    """Regions without regard to section headers: they hide code that runs on load."""
    return tuple(
        Region(block.address, block.offset, block.data, block.name, declared=False)
        for block in image.memory
        if any(s.type == f.PT_LOAD and s.executable and s.address == block.address for s in image.segments)
    )


def _kind(header: Header, segments: Tuple[Segment, ...], dynamic: Dynamic) -> Tuple[str, Optional[int]]:
    """Executable or shared, and the entry point where it means something."""
    program = (
        header.type == f.ET_EXEC
        or any(s.type == f.PT_INTERP for s in segments)
        or bool(dynamic.tags.get(f.DT_FLAGS_1, 0) & f.DF_1_PIE)
    )
    if not program:
        return "shared", None
    return "executable", header.entry or None


def _interpreter(window: Window, segments: Tuple[Segment, ...]) -> Optional[str]:
    for segment in segments:
        if segment.type == f.PT_INTERP:
            raw = bytes(window.slice(segment.offset, min(segment.file_size, 4096), "the interpreter's path"))
            return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
    return None


def _exports(symbols: Tuple[Symbol, ...]) -> Dict[str, int]:
    return {
        s.name: s.address
        for s in symbols
        if s.defined and s.name and s.binding in _EXPORTED and s.visibility not in _HIDDEN and s.type != f.STT_TLS
    }


def _frames(
    header: Header, window: Window, segments: Tuple[Segment, ...], sections: Tuple[Section, ...]
) -> Tuple[List[Tuple[int, int]], List[Tuple[int, int]]]:
    """(start, size) of functions by unwind records, and the address ranges of the unwind tables themselves."""
    reader = Frames(window, header.bits)
    space = AddressSpace(segments)
    found: Dict[int, int] = {}
    tables: List[Tuple[int, int]] = []
    starts: List[int] = []
    by_section = [
        s for s in sections if s.name == ".eh_frame" and s.type in (f.SHT_PROGBITS, f.SHT_X86_64_UNWIND) and s.size
    ]
    for section in by_section:
        found.update(reader.walk(section.offset, section.size, section.address))
    for segment in segments:
        if segment.type != f.PT_GNU_EH_FRAME or not segment.file_size:
            continue
        tables.append((segment.address, segment.address + segment.file_size))
        frame, index = reader.from_header(segment.offset, segment.file_size, segment.address)
        starts += index
        offset = space.offset(frame) if frame is not None else None
        if not by_section and offset is not None and frame is not None:
            walked = reader.walk(offset, space.run(frame), frame)
            found.update(walked)
            tables.append((frame, frame + reader.walked))
    if not sections and not tables:
        for load in (s for s in segments if s.type == f.PT_LOAD and not s.writable and s.file_size):
            offset = reader.search(load.offset, load.file_size)
            if offset is not None:
                address = load.address + offset - load.offset
                found.update(reader.walk(offset, load.offset + load.file_size - offset, address))
                tables.append((address, address + reader.walked))
                break
    for start in starts:
        found.setdefault(start, 0)
    return sorted(found.items()), tables


def _static_initialisers(image: Image) -> Tuple[int, ...]:
    """A static program's start code walks its arrays between symbols; the section types name the same bytes."""
    found: List[int] = []
    width = image.bits // 8
    for kind in (f.SHT_PREINIT_ARRAY, f.SHT_INIT_ARRAY):
        for section in image.sections:
            if section.type == kind and section.size <= 1 << 20:
                slots = range(section.address, section.address + section.size, width)
                found += [target for target in map(image.pointer, slots) if target]
    return tuple(dict.fromkeys(found))
