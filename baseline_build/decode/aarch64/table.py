"""Loads ``encodings.txt``: which of its rows a 32-bit word belongs to.

The table is ordered: a word belongs to the first row whose ``word & mask == value``. Rows are found through the top
eleven bits of a word, which no allocated group of encodings shares with more than a few dozen rows.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Dict, FrozenSet, List, Tuple

from ...errors import InternalError
from ...isa import AARCH64
from ...isa.model import Requirement
from ..model import Flow

PATH = Path(__file__).with_name("encodings.txt")
KEY_SHIFT = 21
KEYS = 1 << (32 - KEY_SHIFT)

_FLOWS = {
    "": Flow.NEXT,
    "jump": Flow.JUMP,
    "branch": Flow.BRANCH,
    "call": Flow.CALL,
    "jump-indirect": Flow.JUMP_INDIRECT,
    "call-indirect": Flow.CALL_INDIRECT,
    "return": Flow.RETURN,
    "stop": Flow.STOP,
}


class Operand(enum.IntEnum):
    """How a word names another address."""

    NONE = 0
    IMM26 = 1  # b, bl
    IMM19 = 2  # b.cond, cbz
    IMM14 = 3  # tbz
    IMM9 = 4  # cb<cc>
    ADR = 5
    ADRP = 6
    LITERAL = 7


_TARGETS = {"b": 1, "bl": 1, "b.cond": 2, "bc.cond": 2, "cbz": 2, "cbnz": 2, "tbz": 3, "tbnz": 3,
            "cb.cond": 4, "cbb.cond": 4, "cbh.cond": 4, "adr": 5, "adrp": 6}  # fmt: skip
# Arm ARM, C4.1 "Load register (literal)": bits 29:27 = 011, 25:24 = 00.
_LITERAL_MASK, _LITERAL_VALUE = 0x3B000000, 0x18000000


@dataclass(frozen=True)
class Row:
    """One row of the table.

    :param requirement: number of :attr:`features` in :func:`requirements`; 0 where every ARM64 CPU has them.
    :param valid: false for the rows that stand for unallocated encodings.
    :param plain: a sweep has nothing to say about the row's words.
    """

    mask: int
    value: int
    mnemonic: str
    features: FrozenSet[str]
    flow: Flow
    operand: Operand
    requirement: int
    valid: bool
    plain: bool


def _row(mask: int, value: int, mnemonic: str, features: FrozenSet[str], flow: Flow, requirement: int) -> Row:
    operand = _operand(mnemonic, mask, value)
    valid = mnemonic != "-"
    plain = valid and not requirement and flow is Flow.NEXT and operand is Operand.NONE
    return Row(mask, value, mnemonic, features, flow, operand, requirement, valid, plain)


def _operand(mnemonic: str, mask: int, value: int) -> Operand:
    if mask & _LITERAL_MASK == _LITERAL_MASK and value & _LITERAL_MASK == _LITERAL_VALUE:
        return Operand.LITERAL
    return Operand(_TARGETS.get(mnemonic, 0))


UNALLOCATED = _row(0, 0, "-", frozenset(), Flow.NEXT, 0)


@lru_cache(maxsize=1)
def rows() -> Tuple[Row, ...]:
    """The table in its order. Raises :class:`~baseline_build.errors.InternalError` (BB901) on a damaged line."""
    baseline = AARCH64.level("armv8-a").features
    numbers: Dict[Requirement, int] = {}
    found: List[Row] = []
    for number, line in enumerate(PATH.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != 5 or cells[4] not in _FLOWS:
            raise InternalError("BB901", "not a row of the table", where=f"decode/aarch64/{PATH.name}:{number}")
        mask, value, features = int(cells[0], 16), int(cells[1], 16), frozenset(cells[3].split())
        above = not features <= baseline
        requirement = numbers.setdefault(features, len(numbers) + 1) if above else 0
        found.append(_row(mask, value, cells[2], features, _FLOWS[cells[4]], requirement))
    return tuple(found)


@lru_cache(maxsize=1)
def requirements() -> Tuple[Requirement, ...]:
    """Feature sets by requirement number; number 0 is the empty set."""
    numbered = {row.requirement: row.features for row in rows() if row.requirement}
    return (frozenset(), *(numbered[number] for number in range(1, len(numbered) + 1)))


@lru_cache(maxsize=1)
def candidates_by_key() -> Tuple[Tuple[Row, ...], ...]:
    """The rows, in order, that words with each value of the top eleven bits can belong to."""
    lists: List[List[Row]] = [[] for _ in range(KEYS)]
    for row in rows():
        mask, value = row.mask >> KEY_SHIFT, row.value >> KEY_SHIFT
        free = (KEYS - 1) & ~mask
        part = free
        while True:  # every subset of the free bits, from all to none
            lists[value | part].append(row)
            if not part:
                break
            part = (part - 1) & free
    return tuple(tuple(found) for found in lists)


def candidates(word: int) -> Tuple[Row, ...]:
    """The rows, in order, that words with the top eleven bits of *word* can belong to."""
    return candidates_by_key()[word >> KEY_SHIFT]


def row_of(word: int) -> Row:
    """The row *word* belongs to; :data:`UNALLOCATED` where none matches."""
    for row in candidates(word):
        if word & row.mask == row.value:
            return row
    return UNALLOCATED
