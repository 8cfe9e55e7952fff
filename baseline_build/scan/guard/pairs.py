"""Tables of functions read with an index of which some bits tell of the CPU: ``table[2 * size + has_avx2]``."""

from __future__ import annotations

from typing import Container, Dict, Iterator, Optional, Tuple

from ...elf.formats import SHF_ALLOC, SHF_TLS
from .program import Program
from .values import Bits, Value

_WORD = 8
_ALL = (1 << 64) - 1
_MAX_WORDS = 128
# Zeros between one table and the next, at most: what aligns them.
_MAX_GAP = 8


def entries(program: Program, at: int, offset: Bits) -> Optional[Value]:
    """What a word read *offset* bytes from *at* may hold; ``None`` where that is no constant table of functions.

    A table is read within its bounds (C17 6.5.6), but which it is is not known for sure: compilers fold constants
    into addresses (``table[i - 3]``), so *at* may lie in another object, or in the middle. Hence all functions up to
    the end of the object, and of the tables right before it and right behind it, are taken for entries, but for the
    arrays of what the loader runs.
    """
    if offset.zero & _WORD - 1 != _WORD - 1 or not _is_function(program, program.contents.at(at, _WORD)):
        return None
    end = min(program.referred_above(at), _section_end(program, at))
    words = dict(_words(program, at, _WORD))
    if not words or max(words) + _WORD < end or len(words) > _MAX_WORDS:
        return None
    words.update(_words(program, at - _WORD, -_WORD, {*program.image.initialisers, *program.image.finalisers}))
    found: Dict[int, int] = {}
    for place, number in words.items():
        facts = _told(offset, place - at & _ALL)
        if facts is not None:
            found[number] = found.get(number, -1) & facts
    return Value(found) if len(words) <= _MAX_WORDS and any(found) else None


def _words(program: Program, start: int, step: int, without: Container[int] = frozenset()) -> Iterator[Tuple[int, int]]:
    """Constant words from *start* on that hold functions, but not those *without*, or, a few in a row, zeros."""
    gap = 0
    for place in range(start, start + step * (_MAX_WORDS + 1), step):
        number = program.contents.at(place, _WORD) if program.contents.is_constant(place) else None
        if number is None or (number and not _is_function(program, number)) or number - program.base in without:
            return
        gap = 0 if number else gap + 1
        if gap > _MAX_GAP:
            return
        yield place, number


def _section_end(program: Program, address: int) -> int:
    """Where the section around *address* ends: no object lies in two. Very high without section headers."""
    for section in program.image.sections:
        # Thread-local templates without contents take no room where they stand.
        if section.flags & (SHF_ALLOC | SHF_TLS) == SHF_ALLOC and 0 <= address - section.address < section.size:
            return section.address + section.size
    return 1 << 62


def _is_function(program: Program, number: Optional[int]) -> bool:
    return number is not None and program.image.is_code(number - program.base)


def _told(offset: Bits, distance: int) -> Optional[int]:
    """Facts that hold when *offset* is *distance*; ``None`` where it cannot be."""
    if distance & offset.zero or ~distance & offset.one:
        return None
    told = 0
    for bit, facts in offset.ones.items():
        told |= facts if distance >> bit & 1 else 0
    for bit, facts in offset.zeros.items():
        told |= facts if not distance >> bit & 1 else 0
    return told
