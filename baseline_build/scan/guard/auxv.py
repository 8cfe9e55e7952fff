"""Walks over the auxiliary vector itself: what a program on ARM64 does that reads ``/proc/self/auxv``.

The kernel's vector is an array of pairs (number, value). A program that looks for AT_HWCAP loads the number, compares
it with 16 and, where they are equal, loads the word behind it: that is what ``getauxval(16)`` would have answered. The
shape is only looked for in files that name ``/proc/self/auxv``.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, Optional, Tuple

from ...elf import Image
from ...isa import Machine
from .state import State
from .values import without_plain

_FILE = b"/proc/self/auxv"
# cmp xN, #16 (AT_HWCAP) and cmp xN, #26 (AT_HWCAP2): bytes of the little-endian word.
_COMPARE = re.compile(rb"[\x1f\x3f\x5f\x7f\x9f\xbf\xdf\xff]([\x40-\x43\x68-\x6b])\x00\xf1", re.DOTALL)
_BACK, _AHEAD, _TO_BRANCH = 10, 8, 3


def loads(image: Image) -> Dict[int, Tuple[int, int]]:
    """Address of each load of such a value -> (register, AT_HWCAP or AT_HWCAP2 as a number)."""
    found: Dict[int, Tuple[int, int]] = {}
    if image.machine is not Machine.AARCH64 or not _names_the_file(image):
        return found
    for region in image.regions:
        data = bytes(region.data)
        for match in _COMPARE.finditer(data):
            at = match.start()
            if (region.address + at) % 4 == 0:
                tag = 16 if match[1][0] < 0x44 else 26
                for place, register in _answers(data, at):
                    found[region.address + place] = (register, tag)
    return found


def _names_the_file(image: Image) -> bool:
    return any(_FILE in bytes(block.data) for block in image.memory)


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _load(word: int) -> Optional[Tuple[int, int, int]]:
    """(register, base, offset) of a 64-bit load with an unsigned offset."""
    if word & 0xFFC00000 != 0xF9400000:
        return None
    return word & 31, word >> 5 & 31, (word >> 10 & 0xFFF) * 8


def _answers(data: bytes, at: int) -> Iterator[Tuple[int, int]]:
    """(offset, register) of loads behind the number compared at offset *at*."""
    key = _word(data, at) >> 5 & 31
    source = None
    for before in range(at - 4, max(at - 4 * _BACK, 0) - 4, -4):
        word = _word(data, before)
        if word & 31 == key and not _is_branch(word):
            source = _load(word)
            break
    if source is None or source[1] == key:
        return
    start = _when_equal(data, at)
    if start is None:
        return
    for place in range(start, start + 4 * _AHEAD, 4):
        word = _word(data, place)
        load = _load(word)
        if load is not None and load[1:] == (source[1], source[2] + 8):
            yield place, load[0]
            return
        if not _is_branch(word) and word & 31 == source[1]:
            return


def _is_branch(word: int) -> bool:
    """Branches and comparisons with an immediate: words whose lowest bits name no register they write."""
    return word >> 26 & 7 == 5 or word & 0x7F00001F == 0x7100001F


def _when_equal(data: bytes, at: int) -> Optional[int]:
    """Where control goes when the comparison at *at* finds both equal."""
    for place in range(at + 4, at + 4 + 4 * _TO_BRANCH, 4):
        word = _word(data, place)
        if word & 0xFF00001E == 0x54000000:
            offset = ((word >> 5 & 0x7FFFF) ^ 0x40000) - 0x40000
            target = place + 4 * offset
            return (target if target >= 0 else None) if not word & 1 else place + 4
    return None


def reconcile(known: State, state: State) -> Tuple[State, State]:
    """Both states of a function that walks the vector, where one of them never found an answer.

    A register that holds the answer on one way and something unrelated on the other (a count, an error) is taken for
    the answer, as it is where such functions store it: see :meth:`.cells.Cells.store`.
    """
    ours, theirs = known, state
    for number, (mine, other) in enumerate(zip(known.registers, state.registers)):
        if mine is other or not (mine.informed or other.informed):
            continue
        if mine.plain:
            ours = ours if ours is not known else known.copy()
            ours.registers[number] = without_plain(mine)
        if other.plain:
            theirs = theirs if theirs is not state else state.copy()
            theirs.registers[number] = without_plain(other)
    return ours, theirs
