"""ARM64 vectors and floating point where they carry integers; of SVE and SME what they may write.

Encodings are those of the Arm Architecture Reference Manual (DDI 0487), C4.1.
"""

from __future__ import annotations

from typing import Optional

from .aarch64_operands import SP, Ops, general, lost, vector_register
from .operations import SCRATCH, VECTORS, Operand

# op and cmode of movi whose immediate 0 makes the whole register 0.
_ZEROS = frozenset([(0, 0), (0, 2), (0, 4), (0, 6), (0, 8), (0, 10), (0, 14), (1, 14)])


def floating(_: int, word: int, __: int) -> Optional[Ops]:
    """Vectors and floating point."""
    number, source = word & 31, word >> 5 & 31
    if word & 0x5F20FC00 == 0x1E200000:
        return _conversion(word, number, source)
    if word & 0x5F200000 == 0x1E000000:  # fixed point
        return lost(VECTORS + number) + lost(number)
    if word & 0xFF20FC00 == 0x1E202000 or word & 0xFF200C00 == 0x1E200400:
        return lost(flags=True)  # fcmp, fccmp
    if word & 0xBFE0FC00 == 0x0E003C00 or word & 0xBFE0FC00 == 0x0E002C00:
        return lost(number)  # umov, smov
    if word & 0x9FF80C00 == 0x0F000400 and not word & 0x000703E0 and (word >> 29 & 1, word >> 12 & 15) in _ZEROS:
        return [("vzero", vector_register(number))]
    if word & 0xBFE0FC00 == 0x2E201C00 and source == word >> 16 & 31:
        return [("vzero", vector_register(number))]  # eor v, v, v
    if word & 0xFFE0FC00 == 0x4EA01C00 and source == word >> 16 & 31:
        return [("vmov", vector_register(number), vector_register(source), 16)]
    return lost(VECTORS + number)


def _conversion(word: int, number: int, source: int) -> Ops:
    """Between general and vector registers: fmov as it is, the rest lost on either side."""
    if word & 0xFFFFFC00 in (0x1E270000, 0x9E670000):
        size = 4 if word >> 31 == 0 else 8
        return [("vlow", vector_register(number), general(source, size * 8), size)]
    if word & 0xFFFFFC00 in (0x1E260000, 0x9E660000):
        size = 4 if word >> 31 == 0 else 8
        return [("vget", general(number, size * 8), vector_register(source), size)]
    return lost(number, VECTORS + number)


def scalable(_: int, word: int, __: int) -> Ops:
    """SVE and SME: what they may write."""
    found: Ops = [("lost", (SCRATCH,), None, False)]
    registers = (word & 31, VECTORS + (word & 31))
    if word & 31 == 31 and word >> 24 == 4:
        found.append(("lost", (SP,), None, False))  # addvl sp, addpl sp
    memory: Optional[Operand] = None
    if word >> 29 == 7 or word >> 25 & 15 == 0:
        memory = ("m", word >> 5 & 31, SCRATCH, 1, 0, 512)
    return [*found, *lost(*registers, memory=memory, flags=True)]
