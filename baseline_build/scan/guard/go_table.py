"""Which code Go's compiler and assembler made: it follows a calling convention of its own.

Every Go program carries a table of its functions ("pclntab", read by its own run-time library, so no tool strips it).
Its header and first part, as the linker of Go 1.18 and later writes them (cmd/link/internal/ld/pcln.go): a magic
number, two zeros, the size of an instruction and of a pointer; then, a word each, the number of functions, of files,
the address of the code, and five offsets from the header, the last of them that of (offset of a function, offset of its
record) pairs of 32 bits each, ascending, with the offset of the end of the code behind them.
"""

from __future__ import annotations

from array import array
from typing import Iterator, Optional, Sequence, Tuple

from ...elf import Image

# Little-endian, Go 1.18 and 1.20.
_MAGIC = (b"\xf0\xff\xff\xff\0\0", b"\xf1\xff\xff\xff\0\0")
_WORDS_AT = 8
_MAX_FUNCTIONS = 2_000_000
_STEPS = (1, 2, 4)


def functions(image: Image) -> Tuple[Sequence[int], int]:
    """Ascending beginnings of Go's functions, and where the last one ends; nothing and 0 in other files."""
    for block in image.memory:
        data = bytes(block.data)
        for magic in _MAGIC:
            at = data.find(magic)
            while at >= 0:
                found = _table(image, data, at, block.address)
                if found is not None:
                    return found
                at = data.find(magic, at + 1)
    return (), 0


def _table(image: Image, data: bytes, at: int, address: int) -> Optional[Tuple[Sequence[int], int]]:
    """The table whose header begins at offset *at* of *data*, which lies at *address*."""
    size = image.bits // 8
    header = data[at : at + _WORDS_AT + 8 * size]
    if len(header) < _WORDS_AT + 8 * size or header[6] not in _STEPS or header[7] != size:
        return None
    words = [int.from_bytes(header[place : place + size], "little") for place in range(_WORDS_AT, len(header), size)]
    count, start, first = words[0], words[2], at + words[7]
    start = image.relocations.get(address + at + _WORDS_AT + 2 * size, start)
    if not 0 < count <= _MAX_FUNCTIONS or first + 8 * count + 4 > len(data):
        return None
    offsets = list(_offsets(data, first, count))
    if offsets != sorted(offsets) or not image.is_code(start) or not image.is_code(start + offsets[-1] - 1):
        return None
    return array("Q", (start + offset for offset in offsets[:-1])), start + offsets[-1]


def _offsets(data: bytes, first: int, count: int) -> Iterator[int]:
    for place in range(first, first + 8 * count + 4, 8):
        yield int.from_bytes(data[place : place + 4], "little")
