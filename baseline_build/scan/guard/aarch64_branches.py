"""ARM64 branches, exceptions and system instructions, with the questions to ID registers.

Encodings are those of the Arm Architecture Reference Manual (DDI 0487), C4.1.
"""

from __future__ import annotations

from typing import Optional

from .aarch64_features import questions
from .aarch64_operands import CONDITIONS, WORD, Ops, general, lost, signed, width_of
from .operations import THREAD

_THREAD_POINTER = 0xD53BD040  # mrs x0, tpidr_el0


def branches(_: int, word: int, address: int) -> Optional[Ops]:
    """Branches, exceptions, system instructions."""
    top = word >> 26 & 31
    if top == 0b00101:
        target = address + 4 * signed(word, 26) & WORD
        return [("call" if word >> 31 else "jump", target)]
    near = address + 4 * signed(word >> 5, 19) & WORD
    if word >> 25 & 63 == 0b011010:
        width = width_of(word)
        return [("zero", general(word & 31, width), near, not word >> 24 & 1)]
    if word >> 25 & 63 == 0b011011:
        number = word >> 26 & 32 | word >> 19 & 31
        target = address + 4 * signed(word >> 5, 14) & WORD
        return [("tbit", general(word & 31), number, target, not word >> 24 & 1)]
    if word >> 25 == 0b0101010:
        if word >> 24 & 1:
            return [("ret",)]  # retaasppc
        condition = CONDITIONS[word & 15]
        return [("jump", near)] if condition is None else [("branch", condition, near)]
    if word >> 24 == 0xD4:
        # svc: the kernel keeps everything but x0 and may write memory it was given; brk, hlt: the end.
        return lost(0, memory=("m", 1, None, 1, 0, 512)) if word & 0xFFE0001F == 0xD4000001 else [("stop",)]
    if word >> 24 == 0xD5:
        return _system(word)
    if word >> 25 == 0b1101011:
        return _register_branch(word)
    if word >> 25 & 63 == 0b111010:
        return _compare_branch(word, address)
    return None


def _compare_branch(word: int, address: int) -> Ops:
    """cb<cc> (FEAT_CMPBR): which way is taken tells nothing that is followed."""
    target = address + 4 * signed(word >> 5, 9) & WORD
    return [("branch", None, target)]


def _register_branch(word: int) -> Ops:
    kind = word >> 21 & 15
    source = general(word >> 5 & 31)
    if kind in (0, 8):
        return [("jumpi", source)]
    if kind in (1, 9):
        return [("calli", source)]
    return [("ret",)]


def _system(word: int) -> Ops:
    number = word & 31
    if word & 0xFFFFF01F == 0xD503201F:
        # Hints. Pointer authentication with implied registers changes x17 or the link register, which nothing follows.
        return lost(17) if word >> 8 & 15 == 1 else []
    if word & 0xFFE00000 == 0xD5200000:
        if word & 0xFFFFFFE0 == _THREAD_POINTER & ~31:
            return [("mov", general(number), ("r", THREAD, 64, 0))]
        if word & 0xFFFFF000 == 0xD5380000 and word >> 8 & 15 >= 4:
            return [("ask", general(number), questions().get(word >> 4 & 0xF0 | word >> 5 & 7, ()))]
        return lost(number)
    if word & 0xFFFFFFE0 == 0xD51B4200 or word & 0xFFF8F01F == 0xD500401F:
        return lost(flags=True)  # msr nzcv, cfinv, xaflag, axflag
    if word & 0xFFFFFFE0 == 0xD50B7420:
        return lost(memory=("m", number, None, 1, 0, 512))  # dc zva
    return []
