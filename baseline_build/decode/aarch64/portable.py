"""The portable engine: one pass over ARM64 code with nothing but the interpreter.

Most words of real code are plain: baseline, no branch, no address. For five words in six a few bits of three of their
bytes tell what they are, and they tell it of all words at once, some nanoseconds each: the planes of these bytes are
translated and joined (:class:`_Planes`). The interpreter looks closely only at the rest.

Each word of a round gets a *kind*: plain, to be looked at, odd, or ``_NOTED + 8 * flow + operand``.
"""

from __future__ import annotations

import itertools
import sys
from array import array
from functools import lru_cache
from typing import Dict, Iterable, List, Sequence, Tuple, TypeVar

from ...elf.reading import words_of
from .addresses import ADDRESS, PAIR_WINDOW, low_half, named_address
from .notes import Notes
from .table import Operand, Row, candidates, row_of

_CHUNK = 1 << 12  # words a round: bounds the memory of the intermediate lists
_MEMORY = 1 << 18  # distinct words whose kind is remembered
_PLAIN, _LOOK, _ODD, _NOTED = range(4)
_FLOWS = bytes((kind - _NOTED) >> 3 & 7 if kind >= _NOTED else 0 for kind in range(256))
_OPERANDS = bytes((kind - _NOTED) & 7 if kind >= _NOTED else 0 for kind in range(256))
_FAR, _NEAR, _PAGE = int(Operand.IMM26), int(Operand.IMM19), int(Operand.ADRP)
_SPLIT = _NOTED + 64  # the first number after the kinds
_PYPY = sys.implementation.name == "pypy"
# Selectors: nought for the kinds that are passed over.
_IS_LOOK = bytes(kind == _LOOK for kind in range(256))
_DONE = bytes(_PLAIN if kind == _LOOK else kind for kind in range(256))
_IS_NOTED = bytes(kind >= _NOTED for kind in range(256))
_IS_BRANCH = bytes(bool(_FLOWS[kind]) for kind in range(256))
_IS_PAGE = bytes(kind == _NOTED + _PAGE for kind in range(256))
_IS_REFERENCE = bytes(kind >= _NOTED and kind != _NOTED + _PAGE and not _FLOWS[kind] for kind in range(256))

_Pairs = List[Tuple[int, int]]
_Item = TypeVar("_Item")


def compress(items: Iterable[_Item], selectors: Iterable[int]) -> Iterable[_Item]:
    """Those of *items* whose selector is not nought: as of ``itertools``, which PyPy's compiler does not look into."""
    if _PYPY:
        return [item for item, selector in zip(items, selectors) if selector]
    return itertools.compress(items, selectors)


def _kind(row: Row) -> int:
    return _NOTED + 8 * row.flow + row.operand if row.flow or row.operand else _PLAIN


def _told(word: int, known: int) -> int:
    """The kind of the words that have the bits *known* of *word*; :data:`_LOOK` where these do not tell."""
    rows = [row for row in candidates(word) if not (word ^ row.value) & row.mask & known]
    last = next((number for number, row in enumerate(rows) if not row.mask & ~known), None)
    if last is None:
        return _LOOK
    if all(row.plain for row in rows[: last + 1]):
        return _PLAIN
    return _kind(rows[0]) if last == 0 and rows[0].valid and not rows[0].requirement else _LOOK


class _Planes:
    """Translation tables that tell the kinds of words by their top eleven bits and bit 4.

    Top bytes are sorted into groups that tell the same with the same three bits after them; the number of the group and
    these bits make a byte. Where bit 4 matters (it tells ``b.cond`` from ``bc.cond``) that byte becomes a *split*.
    """

    def __init__(self) -> None:
        groups: Dict[Tuple[int, ...], int] = {(_LOOK,) * 8: 0}
        splits: Dict[Tuple[int, int], int] = {}
        tops = []
        for top in range(256):
            told = tuple(self._told(top << 24 | bits << 21, splits) for bits in range(8))
            # A byte has room for 32 groups (there are 18); what came after them would be looked at word by word.
            number = groups.setdefault(told, len(groups)) if told in groups or len(groups) < 32 else 0
            tops.append(number << 3)
        self.tops = bytes(tops)
        self.nexts = bytes(byte >> 5 for byte in range(256))
        self.kinds = bytes(kind for told in groups for kind in told).ljust(256, b"\0")
        self.lows = bytes((byte & 16) << 3 for byte in range(256))
        halves = [{number: pair[bit] for pair, number in splits.items()} for bit in (0, 1)]
        self.last = bytes(halves[code >> 7].get(code & 127, code & 127) for code in range(256))

    @staticmethod
    def _told(word: int, splits: Dict[Tuple[int, int], int]) -> int:
        clear, other = _told(word, 0xFFE00010), _told(word | 16, 0xFFE00010)
        if clear == other or _SPLIT + len(splits) > 127:
            return clear if clear == other else _LOOK
        return splits.setdefault((clear, other), _SPLIT + len(splits))

    def of(self, code: bytes) -> bytes:
        """The kinds of the words of *code*; :data:`_LOOK` where these bits do not tell."""
        size = len(code) // 4
        upper = int.from_bytes(code[3::4].translate(self.tops), "little")
        lower = int.from_bytes(code[2::4].translate(self.nexts), "little")
        low = int.from_bytes(code[0::4].translate(self.lows), "little")
        known = int.from_bytes((upper | lower).to_bytes(size, "little").translate(self.kinds), "little")
        return (known | low).to_bytes(size, "little").translate(self.last)


@lru_cache(maxsize=1)
def _planes() -> _Planes:
    return _Planes()


class _Kinds(Dict[int, int]):
    """Whole words seen so far -> their kind; :data:`_ODD` for those that need a feature or are no instruction."""

    def __init__(self) -> None:
        super().__init__()
        self._masks: Dict[int, int] = {}
        self._told: Dict[int, int] = {}

    def __missing__(self, word: int) -> int:
        half = word >> 16
        mask = self._masks.get(half)
        if mask is None:
            mask = self._masks[half] = self._telling(word)
        kind = self._told.get(word & mask, -1)
        if kind < 0:
            row = row_of(word)
            kind = _kind(row) if row.valid and not row.requirement else _ODD
            if len(self._told) < _MEMORY:
                self._told[word & mask] = kind
        if len(self) < _MEMORY:
            self[word] = kind
        return kind

    @staticmethod
    def _telling(word: int) -> int:
        """The bits that tell apart the words with the upper half of *word*."""
        mask = 0xFFFF0000
        for row in candidates(word):
            if not (word ^ row.value) & row.mask & 0xFFFF0000:
                mask |= row.mask
        return mask


_kinds = _Kinds()


def _targets(places: Iterable[int], words: Iterable[int], operands: bytes) -> array[int]:
    """Where the branches *words* at *places* lead: direct branches are near a quarter of all words."""
    found = [
        place + (((word & 0x3FFFFFF ^ 0x2000000) - 0x2000000) << 2)
        if operand == _FAR
        else place + (((word >> 5 & 0x7FFFF ^ 0x40000) - 0x40000) << 2)
        if operand == _NEAR
        else named_address(Operand(operand), word, place)
        if operand
        else 0
        for place, word, operand in zip(places, words, operands)
    ]
    try:
        return array("Q", found)
    except OverflowError:  # beyond an end of the address space, as data may decode
        return array("Q", [target & ADDRESS for target in found])


def _pages(places: Iterable[int], words: Iterable[int]) -> List[int]:
    """The pages that the ``adrp`` *words* at *places* name."""
    return [
        (place & ~0xFFF) + (((word >> 29 & 3 | word >> 3 & 0x1FFFFC) ^ 0x100000) - 0x100000 << 12) & ADDRESS
        for place, word in zip(places, words)
    ]


def _pairs(words: Sequence[int], pages: Iterable[Tuple[int, int]], first: int, found: _Pairs) -> None:
    """Add to *found* where the *pages* of ``adrp`` (index, page) are made full addresses within the next few words.

    *first* is where the first of *words* stands; :data:`PAIR_WINDOW` of them follow each ``adrp``.
    """
    for index, page in pages:
        register = words[index] & 31
        for later in range(index + 1, index + 1 + PAIR_WINDOW):
            word = words[later]
            if word >> 5 & 31 == register:
                low = low_half(word)
                if low >= 0 and (_kinds[word] != _ODD or row_of(word).valid):
                    found.append((first + 4 * later, page + low & ADDRESS))
            if word & 31 == register:
                break


class Round:
    """Some words of a run, and what is to be noted of them."""

    def __init__(self, notes: Notes, code: bytes, words: List[int], address: int) -> None:
        """*words*: those of *code* and a few that follow; *address*: where the first stands."""
        self.notes = notes
        self.words = words
        self.places = range(address, address + len(code), 4)
        self.kinds = bytearray()
        notes.instructions += len(self.places)
        self._look(_planes().of(code))
        noted = self.kinds.translate(_IS_NOTED)
        self.noted = bytes(compress(self.kinds, noted))
        self.noted_places = list(compress(self.places, noted))
        self.noted_words = list(compress(words, noted))

    def _look(self, told: bytes) -> None:
        """Find the kinds that the planes have not *told*, and note what needs a feature or is no instruction."""
        unsure = told.translate(_IS_LOOK)
        words = list(compress(self.words, unsure))
        seen = bytes(map(_kinds.__getitem__, words))
        kinds = self.kinds = bytearray(told.translate(_DONE))
        for index, word, kind in zip(
            compress(compress(range(len(told)), unsure), seen), compress(words, seen), compress(seen, seen)
        ):
            kinds[index] = kind if kind != _ODD else self._odd(index, row_of(word))

    def _odd(self, index: int, row: Row) -> int:
        """Note the word at *index*, which belongs to *row*; its kind apart from that."""
        place = self.places[index]
        if not row.valid:
            self.notes.instructions -= 1
            self.notes.skip(place, 4)
            return _PLAIN
        self.notes.mark_addresses.append(place)
        self.notes.mark_requirements.append(row.requirement)
        return _kind(row)

    def branches(self) -> None:
        """Note the words that lead elsewhere."""
        chosen = self.noted.translate(_IS_BRANCH)
        kinds = bytes(compress(self.noted, chosen))
        places = list(compress(self.noted_places, chosen))
        words = compress(self.noted_words, chosen)
        self.notes.branch_addresses.extend(array("Q", places))
        self.notes.branch_flows.frombytes(kinds.translate(_FLOWS))
        self.notes.branch_targets.extend(_targets(places, words, kinds.translate(_OPERANDS)))

    def references(self, found: _Pairs) -> _Pairs:
        """Note the words that name an address, and those of *found* that stand in this round; the rest is returned."""
        chosen = self.noted.translate(_IS_PAGE)
        places = list(compress(self.noted_places, chosen))
        pages = _pages(places, compress(self.noted_words, chosen))
        found += zip(places, pages)
        indices = compress(range(len(self.kinds)), self.kinds.translate(_IS_PAGE))
        _pairs(self.words, zip(indices, pages), self.places.start, found)
        chosen = self.noted.translate(_IS_REFERENCE)
        operands = compress(self.noted, chosen)
        for place, word, kind in zip(compress(self.noted_places, chosen), compress(self.noted_words, chosen), operands):
            found.append((place, named_address(Operand(_OPERANDS[kind]), word, place)))
        found.sort()
        own = len(found)
        while own and found[own - 1][0] >= self.places.stop:
            own -= 1
        self.notes.reference_addresses.extend(array("Q", [place for place, _ in found[:own]]))
        self.notes.reference_targets.extend(array("Q", [target for _, target in found[:own]]))
        return found[own:]


def run(notes: Notes, view: memoryview, address: int) -> None:
    """Add to *notes* what the words of *view* say, the first being at *address* (a multiple of four)."""
    waiting: _Pairs = []
    for start in range(0, len(view), 4 * _CHUNK):
        code = bytes(view[start : start + 4 * (_CHUNK + PAIR_WINDOW)])
        words = words_of(code, 4).tolist()
        words += [0] * PAIR_WINDOW
        this = Round(notes, code[: 4 * _CHUNK], words, address + start)
        this.branches()
        waiting = this.references(waiting)
