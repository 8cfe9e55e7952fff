"""ARM64 data processing on general registers, with immediates and with registers.

Encodings are those of the Arm Architecture Reference Manual (DDI 0487), C4.1.
"""

from __future__ import annotations

from typing import Optional, Tuple

from .aarch64_operands import (
    CONDITIONS,
    OPPOSITE,
    OTHER,
    SP,
    WORD,
    Ops,
    bit_mask,
    general,
    general_or_sp,
    imm,
    lost,
    signed,
    width_of,
)
from .operations import SCRATCH, ZERO, Operand


def with_immediate(base: int, word: int, address: int) -> Optional[Ops]:
    """Data processing with an immediate."""
    kind = word >> 23 & 7
    if kind in (0, 1):
        return _address(base, word, address)
    return {2: _add_immediate, 4: _logical_immediate, 5: _move_wide, 6: _bitfield, 7: _extract}.get(kind, _tags)(word)


def _address(base: int, word: int, address: int) -> Ops:
    offset = signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
    number = (address & ~0xFFF) + (offset << 12) if word >> 31 else address + offset
    return [("mov", general(word & 31), imm((number & WORD) + base))]


def _tags(word: int) -> Ops:
    """addg, subg and what else stands there."""
    return lost(word & 31) if word & 31 != 31 else [("lost", (SP,), None, False)]


def _add_immediate(word: int) -> Ops:
    width = width_of(word)
    number = (word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)
    first = general_or_sp(word >> 5 & 31, width)
    subtract, flags = word >> 30 & 1, word >> 29 & 1
    name = "sub" if subtract else "add"
    if not flags:
        if number == 0:
            return [("mov", general_or_sp(word & 31, width), first)]
        return [("bin", name, general_or_sp(word & 31, width), first, imm(number), False)]
    return _with_flags(name, general(word & 31, width), first, imm(number), width)


def _with_flags(name: str, target: Operand, first: Operand, second: Operand, width: int) -> Ops:
    """``adds`` and ``subs``: a comparison where that says the same, then the arithmetic."""
    if name == "sub":
        found: Ops = [("cmp", first, second)]
    elif second[0] == "i" and second[1]:
        # a + n sets the flags that a - (-n) sets, carry included, for every n but 0.
        found = [("cmp", first, imm(-second[1] & ((1 << width) - 1)))]
    else:
        return [("bin", name, target, first, second, "result")]
    return found if target[1] == ZERO else [*found, ("bin", name, target, first, second, False)]


def _logical_immediate(word: int) -> Optional[Ops]:
    width = width_of(word)
    number = bit_mask(word >> 22 & 1, word >> 10 & 63, word >> 16 & 63, width)
    if number is None:
        return None
    name = ("and", "or", "xor", "and")[word >> 29 & 3]
    first = general(word >> 5 & 31, width)
    if word >> 29 & 3 == 3:
        return _ands(general(word & 31, width), first, imm(number), "and")
    if name == "or" and first[1] == ZERO:
        return [("mov", general_or_sp(word & 31, width), imm(number))]
    return [("bin", name, general_or_sp(word & 31, width), first, imm(number), False)]


def _ands(target: Operand, first: Operand, second: Operand, name: str) -> Ops:
    place = ("r", SCRATCH, target[2], 0) if target[1] == ZERO else target
    return [("bin", name, place, first, second, "result")]


def _move_wide(word: int) -> Optional[Ops]:
    width = width_of(word)
    shift = 16 * (word >> 21 & 3)
    number = (word >> 5 & 0xFFFF) << shift
    target = general(word & 31, width)
    kind = word >> 29 & 3
    if kind == 3:
        hole = ((1 << width) - 1) & ~(0xFFFF << shift)
        return [
            ("bin", "and", target, target, imm(hole), False),
            ("bin", "or", target, target, imm(number), False),
        ]
    if kind == 0:
        number = ~number & ((1 << width) - 1)
    return [("mov", target, imm(number))]


def _bitfield(word: int) -> Optional[Ops]:
    width = width_of(word)
    rotation, last = word >> 16 & 63, word >> 10 & 63
    target, source = general(word & 31, width), general(word >> 5 & 31, width)
    kind = word >> 29 & 3
    length, low, up = (last - rotation + 1, rotation, 0) if last >= rotation else (last + 1, 0, width - rotation)
    field: Operand = ("r", SCRATCH, 64, 0)
    mask = (1 << length) - 1
    found: Ops = [("mov", field, source)]
    if low:
        found.append(("bin", "shr", field, field, imm(low), False))
    if kind == 0:  # sbfm
        found.append(("movsx", field, ("r", SCRATCH, length, 0)))
    else:
        found.append(("bin", "and", field, field, imm(mask), False))
    if up:
        found.append(("bin", "shl", field, field, imm(up), False))
    if kind == 1:  # bfm
        hole = ((1 << width) - 1) & ~(mask << up)
        found.append(("bin", "and", target, target, imm(hole), False))
        return [*found, ("bin", "or", target, target, ("r", SCRATCH, width, 0), False)]
    return [*found, ("mov", target, ("r", SCRATCH, width, 0))]


def _extract(word: int) -> Ops:
    number, amount = word >> 5 & 31, word >> 10 & 63
    if number == word >> 16 & 31:
        width = width_of(word)
        return [("bin", "ror", general(word & 31, width), general(number, width), imm(amount), False)]
    return lost(word & 31)


def with_registers(_: int, word: int, __: int) -> Optional[Ops]:
    """Data processing with registers."""
    if not word >> 28 & 1:
        if not word >> 24 & 1:
            return _logical(word)
        return _add_extended(word) if word >> 21 & 1 else _add_shifted(word)
    if word >> 24 & 1:
        return _three_sources(word)
    kind = word >> 21 & 15
    if kind == 4:
        return _select(word)
    if kind == 6:
        return _one_source(word) if word >> 30 & 1 else _two_sources(word)
    if kind == 2:
        return _compare_again(word)
    return lost(word & 31, flags=True)  # adc, sbc, rmif, setf


def _shifted(word: int, width: int) -> Tuple[Ops, Operand]:
    """The second operand with its shift, in the scratch register where there is one."""
    source = general(word >> 16 & 31, width)
    amount = word >> 10 & 63
    if not amount:
        return [], source
    name = ("shl", "shr", "sar", "ror")[word >> 22 & 3]
    place = ("r", SCRATCH, width, 0)
    return [("bin", name, place, source, imm(amount), False)], place


def _logical(word: int) -> Ops:
    width = width_of(word)
    found, second = _shifted(word, width)
    first, target = general(word >> 5 & 31, width), general(word & 31, width)
    name = ("and", "or", "xor", "and")[word >> 29 & 3]
    if word >> 21 & 1:
        if name == "and":
            first, second, name = second, first, "andn"
        else:
            place = ("r", SCRATCH, width, 0)
            found = [*found, ("bin", "xor", place, second, imm((1 << width) - 1), False)]
            second = place
    if word >> 29 & 3 == 3:
        if name == "and" and first == second:
            # tst x, x: the outcome tells of the register itself.
            copy: Ops = [] if target[1] in (ZERO, first[1]) else [("mov", target, first)]
            return [*found, *copy, ("bin", "or", first, first, imm(0), "result")]
        return [*found, *_ands(target, first, second, name)]
    if name == "or" and first[1] == ZERO:
        return [*found, ("mov", target, second)]
    return [*found, ("bin", name, target, first, second, False)]


def _add_shifted(word: int) -> Ops:
    width = width_of(word)
    found, second = _shifted(word, width)
    return [*found, *_sum(word, general(word & 31, width), general(word >> 5 & 31, width), second, width)]


def _sum(word: int, target: Operand, first: Operand, second: Operand, width: int) -> Ops:
    name = "sub" if word >> 30 & 1 else "add"
    if word >> 29 & 1:
        return _with_flags(name, target, first, second, width)
    return [("bin", name, target, first, second, False)]


def _extended(word: int) -> Tuple[Ops, Operand]:
    """Rm with its extension and shift, 64 bits wide, in the scratch register."""
    option, amount = word >> 13 & 7, word >> 10 & 7
    place: Operand = ("r", SCRATCH, 64, 0)
    source = general(word >> 16 & 31, 8 << (option & 3))
    found: Ops = [("movsx" if option & 4 and option != 7 else "mov", place, source)]
    if amount:
        found.append(("bin", "shl", place, place, imm(amount), False))
    return found, place


def _add_extended(word: int) -> Ops:
    width = width_of(word)
    found, place = _extended(word)
    target = general(word & 31, width) if word >> 29 & 1 else general_or_sp(word & 31, width)
    return [*found, *_sum(word, target, general_or_sp(word >> 5 & 31, width), (*place[:2], width, 0), width)]


def _three_sources(word: int) -> Ops:
    width = width_of(word)
    form = word >> 21 & 7
    place: Operand = ("r", SCRATCH, width, 0)
    first, second = general(word >> 5 & 31, width), general(word >> 16 & 31, width)
    found: Ops = []
    if form & 3 == 1 and width == 64:
        # smaddl and umaddl: of the lower halves.
        other: Operand = ("r", OTHER, 64, 0)
        kind = "mov" if form & 4 else "movsx"
        found = [(kind, place, (*first[:2], 32, 0)), (kind, other, (*second[:2], 32, 0))]
        first, second = place, other
    elif form or word >> 29 & 3:
        return lost(word & 31)
    name = "sub" if word >> 15 & 1 else "add"
    return [
        *found,
        ("bin", "mul", place, first, second, False),
        ("bin", name, general(word & 31, width), general(word >> 10 & 31, width), place, False),
    ]


def _two_sources(word: int) -> Ops:
    name = {8: "shl", 9: "shr", 10: "sar", 11: "ror"}.get(word >> 10 & 63)
    if name is None or word >> 29 & 1:
        return lost(word & 31, flags=bool(word >> 29 & 1))
    width = width_of(word)
    return [
        ("bin", name, general(word & 31, width), general(word >> 5 & 31, width), general(word >> 16 & 31, width), False)
    ]


def _one_source(word: int) -> Ops:
    # rbit, rev, clz, pointer authentication: pac* and aut* give the pointer back for what is followed here.
    if word >> 16 & 31 == 1:
        return []
    return lost(word & 31)


def _select(word: int) -> Ops:
    """csel, csinc, csinv, csneg."""
    width = width_of(word)
    condition = CONDITIONS[word >> 12 & 15]
    first, second = general(word >> 5 & 31, width), general(word >> 16 & 31, width)
    target = general(word & 31, width)
    kind = word >> 29 & 2 | word >> 10 & 1
    if condition is None:
        return [("mov", target, first)]
    if kind == 1 and first[1] == second[1] == ZERO:
        return [("set", OPPOSITE[condition], target)]
    place = ("r", SCRATCH, width, 0)
    found: Ops = []
    if kind == 1:
        found = [("bin", "add", place, second, imm(1), False)]
    elif kind == 2:
        found = [("bin", "xor", place, second, imm((1 << width) - 1), False)]
    elif kind == 3:
        found = [("bin", "sub", place, ("r", ZERO, width, 0), second, False)]
    return [*found, ("cmov", condition, target, first, place if found else second)]


def _compare_again(word: int) -> Ops:
    """ccmp, ccmn: the comparison where a condition holds, else given flags.

    Zero and sign are followed: they are those of the difference, or of a constant that stands for the given flags.
    """
    width = width_of(word)
    condition = CONDITIONS[word >> 12 & 15]
    first = general(word >> 5 & 31, width)
    second = imm(word >> 16 & 31) if word >> 11 & 1 else general(word >> 16 & 31, width)
    difference, chosen = ("r", SCRATCH, width, 0), ("r", OTHER, width, 0)
    name = "sub" if word >> 30 & 1 else "add"
    if word & 12 == 12:
        return lost(flags=True)  # negative and zero at once: no number stands for that
    given = 0 if word & 4 else (1 << width) - 1 if word & 8 else 1
    found: Ops = [("bin", name, difference, first, second, False)]
    if condition is None:
        return [*found, ("bin", "or", difference, difference, imm(0), "result")]
    return [
        *found,
        ("mov", chosen, imm(given)),
        ("cmov", condition, chosen, difference, chosen),
        ("bin", "or", chosen, chosen, imm(0), "result"),
    ]
