"""Data of another library that tells what the CPU can do, as the file that imports it sees it.

The compilers' run-time library shares such an object with its users; ``data-x86.txt`` says what its bits mean. The
dynamic linker writes its address into a slot of the file before any code of the file runs (System V ABI, chapter 5,
"Global Offset Table"), and nobody but that library writes the object.
"""

from __future__ import annotations

from functools import cache
from typing import Dict, List, Mapping, Optional, Tuple

from ...elf import Image
from ...isa import Machine
from . import arithmetic
from .facts import Facts, rows
from .values import PLAIN, Bits, Value

# Where these objects seem to stand: above the image, below the thread-local block and the stack.
_LOW = 1 << 48
_ROOM = 1 << 12
_WORD = 4

_Words = Mapping[int, Tuple[Tuple[int, str], ...]]


class Foreign:
    """The answering objects that *image*, moved up by *base*, imports.

    An executable may hold an object itself, which the dynamic linker fills with a copy of the library's (a copy
    relocation): then it is found at its own address.
    """

    def __init__(self, image: Image, base: int, facts: Facts) -> None:
        told = _told(image.machine)
        self._facts = facts
        self._objects: Dict[int, _Words] = {}
        # Slot -> the address of the object it points to, moved up.
        self.pointers: Dict[int, int] = {}
        # (first, end) of everything whose users may learn something.
        self.places: List[Tuple[int, int]] = []
        for place, name in sorted(image.imports.items()):
            if name not in told:
                continue
            copied = image.exports.get(name) == place
            low = place + base if copied else _LOW + _ROOM * len(self._objects)
            self._objects[low] = told[name]
            self.places.append((place, place + (_size(told[name]) if copied else 1)))
            if not copied:
                self.pointers[place] = low

    def __contains__(self, address: int) -> bool:
        return self._beginning(address) is not None

    def _beginning(self, address: int) -> Optional[int]:
        for low, words in self._objects.items():
            if low <= address < low + _size(words):
                return low
        return None

    def at(self, address: int, size: int) -> Value:
        """What *size* bytes at *address*, within one of the objects, tell."""
        low = self._beginning(address)
        offset = address - low if low is not None else 0
        word = self._word(self._objects[low], offset - offset % _WORD) if low is not None else None
        if word is None or offset % _WORD + size > _WORD:
            return PLAIN
        return arithmetic.taken(word, offset % _WORD * 8, size * 8)

    def _word(self, words: _Words, offset: int) -> Optional[Value]:
        told = words.get(offset)
        if told is None:
            return None
        ones: Dict[int, int] = {}
        for bit, feature in told:
            ones[bit] = ones.get(bit, 0) | self._facts.shown(feature)
        return Value({}, Bits(0xFFFFFFFF << 32, 0, ones, {}))


def _size(words: _Words) -> int:
    return max(words) + _WORD


@cache
def _told(machine: Machine) -> Mapping[str, _Words]:
    """Name -> offset of a word -> (bit, feature), …"""
    if machine is not Machine.X86_64:
        return {}
    table: Dict[str, Dict[int, Tuple[Tuple[int, str], ...]]] = {}
    for name, offset, bit, feature in rows("data-x86.txt", 4):
        words = table.setdefault(name, {})
        words[int(offset)] = (*words.get(int(offset), ()), (int(bit), feature))
    return table
