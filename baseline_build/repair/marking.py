"""Declaring a level that a file does not declare yet, so that loaders and auditwheel refuse it instead of a SIGILL.

Toolchains write GNU_PROPERTY_X86_ISA_1_NEEDED only when asked. Where the note is there, its value is set in place.
Where it is not, it is added at the end of the file: a segment that maps the note together with a copy of the program
headers that has room for it, and a section so that tools which read sections see it as well. Nothing else moves.

Layouts: System V gABI, "Program Header" and "Sections"; "Linux Extensions to gABI", ".note.gnu.property".
"""

from __future__ import annotations

import struct
from typing import List, Optional, Tuple

from .. import elf
from ..elf import marker
from ..errors import ConfigError
from ..isa import Machine

_PAGE = 0x1000
_LARGEST_GAP = 64 << 20  # bytes of zeros between file and note; a program's uninitialised data lies there in memory
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_PT_LOAD, _PT_NOTE, _PT_PHDR, _PT_GNU_PROPERTY = 1, 4, 6, 0x6474E553
_SHT_NOTE, _SHF_ALLOC, _PF_R = 7, 2, 4
_NAME = b".note.gnu.property\0"


def declaring(data: bytes, level: str, name: str) -> bytes:
    """The ELF file *data* with the declared level *level*; the same length when it has the note already.

    :param name: what to call the file in errors.
    :raises ConfigError: BB524, files of this kind have no declared level.
    :raises BrokenInputError: BB4xx, the file is damaged.
    """
    image = elf.parse(data, name)
    if image.machine is not Machine.X86_64 or image.kind == "object":
        raise ConfigError(
            "BB524",
            f"this file ({image.kind}, {image.machine.value}) cannot declare a level",
            where=name,
            why="the note exists for linked files of x86-64 only",
        )
    if marker.needed(image) is not None:
        return marker.declared(data, level, name)
    number = marker.LEVELS.index(level) + 1
    note = struct.pack("<III4sIIII", 4, 16, 5, b"GNU\0", 0xC0008002, 4, (1 << number) - 1, 0)
    return _with_note(data, note, name)


def _with_note(data: bytes, note: bytes, name: str) -> bytes:
    header = list(_HEADER.unpack_from(data))
    segments = [_SEGMENT.unpack_from(data, header[5] + i * _SEGMENT.size) for i in range(header[10])]
    offset, address = _place(data, segments, name)
    table = offset
    count = len(segments) + 3
    note_at = table + count * _SEGMENT.size
    note_at += -note_at % 8
    delta = address - offset
    end = note_at + len(note)
    added = (
        (_PT_LOAD, _PF_R, offset, address, address, end - offset, end - offset, _PAGE),
        (_PT_NOTE, _PF_R, note_at, note_at + delta, note_at + delta, len(note), len(note), 8),
        (_PT_GNU_PROPERTY, _PF_R, note_at, note_at + delta, note_at + delta, len(note), len(note), 8),
    )
    moved = [
        (kind, flags, table, table + delta, table + delta, count * _SEGMENT.size, count * _SEGMENT.size, align)
        if kind == _PT_PHDR
        else (kind, flags, *rest, align)
        for kind, flags, *rest, align in segments
    ]
    headers = b"".join(_SEGMENT.pack(*fields) for fields in (*moved, *added))
    body = bytearray(data + bytes(offset - len(data)) + headers)
    body += bytes(note_at - len(body)) + note
    header[5], header[10] = table, count
    if header[6] and header[12]:
        header[6] = _add_section(body, header, note_at, note_at + delta, len(note))
        header[12] += 1
    body[: _HEADER.size] = _HEADER.pack(*header)
    return bytes(body)


def _place(data: bytes, segments: List[Tuple[int, ...]], name: str) -> Tuple[int, int]:
    """File offset and address of what is added: behind everything, the same distance apart as in the first segment.

    Kernels before 5.18 find a program's headers by that distance.
    """
    loads = [segment for segment in segments if segment[0] == _PT_LOAD]
    if not loads:
        raise ConfigError("BB524", "a file without a segment to load cannot declare a level", where=name)
    distance = loads[0][3] - loads[0][2]
    top = max(segment[3] + segment[6] for segment in loads)
    address = max(top, len(data) + distance)
    address += -address % _PAGE
    offset = address - distance
    if offset - len(data) > _LARGEST_GAP:
        raise ConfigError(
            "BB524",
            f"declaring a level would add {(offset - len(data)) >> 20} MiB of zeros to the file",
            where=name,
            why="its uninitialised data is that large",
            fix="let the linker write the note: -Wl,-z,x86-64-v2",
        )
    return offset, address


def _add_section(body: bytearray, header: List[int], offset: int, address: int, size: int) -> int:
    """Append the names and the section headers with one more for the note; where the headers are now."""
    sections = [list(_SECTION.unpack_from(body, header[6] + index * _SECTION.size)) for index in range(header[12])]
    names: Optional[List[int]] = sections[header[13]] if header[13] < len(sections) else None
    name = 0
    if names is not None:
        text = bytes(body[names[4] : names[4] + names[5]])
        name = len(text)
        names[4], names[5] = len(body), len(text) + len(_NAME)
        body += text + _NAME
    body += bytes(-len(body) % 8)
    start = len(body)
    sections.append([name, _SHT_NOTE, _SHF_ALLOC, address, offset, size, 0, 0, 8, 0])
    body += b"".join(_SECTION.pack(*fields) for fields in sections)
    return start
