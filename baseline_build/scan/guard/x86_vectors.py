"""x86-64 vector instructions: followed only where they carry integers, accounted for everywhere else."""

from __future__ import annotations

from typing import Any, Mapping

from .operations import VECTORS, Operand
from .x86_operands import Cursor, Operations, X86Base, lost, modrm


def _vector_register(cursor: Cursor) -> Operand:
    return ("r", VECTORS + cursor.reg, 128, 0)


def vector_load(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    """movups/movaps/movdqa/movdqu and movss/movsd, both directions."""
    modrm(cursor)
    size = 16
    if opcode in (0x10, 0x11) and cursor.repeat:
        size = 4 if cursor.repeat == 0xF3 else 8
    operand = lifter.reader.vector(cursor, size * 8)
    register = _vector_register(cursor)
    if opcode in (0x6F, 0x7F) and not cursor.repeat and not cursor.operand16:
        return [("lost", (), operand if operand[0] == "m" and opcode == 0x7F else None, False)]
    store = opcode in (0x11, 0x29, 0x7F, 0x2B, 0xE7)
    if size != 16 and operand[0] == "r":
        return lost(operand if store else register, flags=False)
    return [("vmov", operand, register, size) if store else ("vmov", register, operand, size)]


def vector_from_general(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    """MOVD and MOVQ."""
    modrm(cursor)
    size = 8 if cursor.rex & 8 else 4
    if opcode == 0x7E and cursor.repeat == 0xF3:
        return [("vlow", _vector_register(cursor), lifter.reader.vector(cursor, 64), 8)]
    if opcode == 0xD6:
        operand = lifter.reader.vector(cursor, 64)
        return [("vlow" if operand[0] == "r" else "vget", operand, _vector_register(cursor), 8)]
    operand = lifter.reader.operand(cursor, size * 8)
    if not cursor.operand16:
        return lost(operand, flags=False) if opcode == 0x7E else []
    if opcode == 0x6E:
        return [("vlow", _vector_register(cursor), operand, size)]
    return [("vget", operand, _vector_register(cursor), size)]


def vector_half(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    """movlps/movhps and their pd forms: loads and stores of one half."""
    modrm(cursor)
    operand = lifter.reader.vector(cursor, 64)
    register = _vector_register(cursor)
    if operand[0] == "r":
        return lost(register, flags=False)
    if opcode in (0x12, 0x16):
        return [("vput", register, operand, 0 if opcode == 0x12 else 2, 8)]
    return [("vtake", operand, register, 0 if opcode == 0x13 else 2, 8)]


def vector_mix(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    """PUNPCKLDQ, PUNPCKLQDQ, UNPCKLPS and UNPCKLPD."""
    modrm(cursor)
    operand = lifter.reader.vector(cursor, 128)
    register = _vector_register(cursor)
    if not cursor.operand16 and opcode != 0x14:
        return lost(flags=False)
    kind = {0x62: "dq", 0x6C: "qdq", 0x14: "dq" if not cursor.operand16 else "qdq"}[opcode]
    return [("vmix", kind, register, register, operand)]


VECTOR_LOGIC = {0xDB: "and", 0xDF: "andn", 0xEB: "or", 0xEF: "xor", 0x54: "and", 0x55: "andn", 0x56: "or", 0x57: "xor"}


def vector_logic(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    """AND, ANDN, OR and XOR of vectors."""
    modrm(cursor)
    operand = lifter.reader.vector(cursor, 128)
    register = _vector_register(cursor)
    if opcode >= 0xD0 and not cursor.operand16:
        return []
    if opcode in (0xEF, 0x57) and operand == register:
        return [("vzero", register)]
    return [("vbin", VECTOR_LOGIC[opcode], register, register, operand)]


def vector_shuffle(lifter: X86Base, cursor: Cursor, _: int) -> Operations:
    """PSHUFD; its relatives are not followed."""
    modrm(cursor)
    operand = lifter.reader.vector(cursor, 128, 1)
    order = cursor.byte()
    register = _vector_register(cursor)
    if not cursor.operand16 or cursor.repeat:
        return lost(register, flags=False)
    return [("vshuffle", register, operand, order)]


# Two-byte opcodes that write a general register (ModRM.reg) from vectors, with an immediate byte or without.
_TO_GENERAL = frozenset([0x2C, 0x2D, 0x50, 0xD7, 0xC5])
_IMMEDIATE_BYTE = frozenset([0x70, 0x71, 0x72, 0x73, 0xC2, 0xC4, 0xC5, 0xC6])
_VECTOR_STORES = frozenset([0x13, 0x17, 0x29, 0x2B, 0xE7, 0xD6, 0x7E, 0x7F, 0x11])
_COMPARES = frozenset([0x2E, 0x2F])


def vector_other(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    """Any other SSE or MMX instruction."""
    modrm(cursor)
    trailing = 1 if opcode in _IMMEDIATE_BYTE else 0
    operand = lifter.reader.vector(cursor, 128, trailing)
    cursor.at += trailing
    if opcode in _TO_GENERAL:
        return lost(("r", cursor.reg, 64, 0), flags=False)
    if opcode in _COMPARES:
        return [("lost", (), None, True)]
    target = operand if opcode in (0x71, 0x72, 0x73) else _vector_register(cursor)
    if opcode in _VECTOR_STORES:
        target = operand
    return lost(target, flags=False)


def three_byte(lifter: X86Base, cursor: Cursor, plane: int, opcode: int) -> Operations:
    """0F 38 and 0F 3A: only what they overwrite is told, apart from inserting integers into vectors."""
    modrm(cursor)
    trailing = 1 if plane == 0x3A else 0
    register = _vector_register(cursor)
    general = ("r", cursor.reg, 64, 0)
    if plane == 0x3A:
        if opcode == 0x22:
            size = 8 if cursor.rex & 8 else 4
            operand = lifter.reader.operand(cursor, size * 8, trailing)
            lane = cursor.byte() & (1 if size == 8 else 3)
            return [("vput", register, operand, lane * size // 4, size)]
        operand = lifter.reader.operand(cursor, 64, trailing)
        cursor.at += 1
        if 0x14 <= opcode <= 0x17:
            return lost(operand, flags=False)
        return lost(register, ("r", 1, 64, 0)) if 0x60 <= opcode <= 0x63 else lost(register, flags=False)
    operand = lifter.reader.operand(cursor, 64)
    if opcode in (0xF0, 0xF1, 0xF6, 0xF8, 0xF9, 0xFC):
        return lost(general, operand) if operand[0] == "m" else lost(general, ("r", operand[1], 64, 0))
    return lost(register, flags=opcode == 0x17)


def extended(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    """VEX, EVEX and XOP: lengths, and everything they might overwrite."""
    first = cursor.byte()
    evex = opcode == 0x62
    length = 0
    if opcode == 0xC5:
        cursor.rex = 4 if not first & 0x80 else 0
        plane, last = 1, first
    else:
        cursor.rex = (~first >> 5) & 7
        plane = first & (7 if evex else 31)
        last = cursor.byte()
        if evex:
            length = cursor.byte()
    number = cursor.byte()
    if number == 0x77 and plane == 1 and not evex:
        return [("lost", tuple(range(VECTORS, VECTORS + 16)), None, False)]
    modrm(cursor)
    if opcode == 0x8F:
        trailing = {8: 1, 9: 0, 10: 4}.get(plane, 0)
    else:
        trailing = 1 if plane == 3 or (plane == 1 and number in _IMMEDIATE_BYTE) else 0
    # At most the vector's length is written: VEX.L, EVEX.L'L.
    width = 128 << (length >> 5 & 3) if evex else 256 if last & 4 else 128
    operand = lifter.reader.operand(cursor, width, trailing)
    if evex and cursor.mod == 1 and operand[0] == "m" and operand[1] is not None:
        # disp8 counts in units of the vector's length for whole-vector accesses (SDM vol. 2, 2.7.5).
        operand = (*operand[:4], operand[4] * (16 << (length >> 5 & 3)), operand[5])
    cursor.at += trailing
    if cursor.at > len(cursor.code):
        raise IndexError
    other = ~last >> 3 & 15
    registers = [VECTORS + cursor.reg, VECTORS + other]
    general = plane > 3 or number in _GENERAL[plane]
    if general:
        registers += [cursor.reg, other, 1]
    if operand[0] == "r":
        registers += [operand[1], VECTORS + operand[1]] if general else [VECTORS + operand[1]]
    registers = [register for register in registers if register != 4]
    stores = operand if operand[0] == "m" and _may_store(plane, number) else None
    return [("lost", tuple(registers), stores, True)]


# VEX and EVEX opcodes that read or write general registers, by map; in all other maps every opcode counts as one.
_GENERAL: Mapping[int, Any] = {
    0: frozenset(range(256)),
    1: frozenset([0x2A, 0x2C, 0x2D, 0x50, 0x6E, 0x78, 0x79, 0x7B, 0x7E, 0x92, 0x93, 0xC4, 0xC5, 0xD7]),
    2: frozenset([0x49, 0x4B, *range(0x7A, 0x7D), *range(0xE0, 0x100)]),
    3: frozenset([*range(0x14, 0x18), 0x20, 0x22, *range(0x60, 0x64), 0xF0]),
}  # fmt: skip


# Map 1 and 2 opcodes of VEX/EVEX that only read their memory operand are the rule; these may write it.
_STORES: Mapping[int, Any] = {
    1: frozenset([0x11, 0x13, 0x17, 0x29, 0x2B, 0x7E, 0x7F, 0xD6, 0xE7, 0x91, 0xF7]),
    2: frozenset([0x2E, 0x2F, 0x8E, 0x63, 0x8A, 0x8B, *range(0x10, 0x16), *range(0x20, 0x26), *range(0x30, 0x36),
                  *range(0xA0, 0xA4), *range(0xE0, 0xF0)]),
    3: frozenset([0x14, 0x15, 0x16, 0x17, 0x19, 0x1B, 0x1D, 0x39, 0x3B]),
}  # fmt: skip


def _may_store(plane: int, number: int) -> bool:
    return plane not in _STORES or number in _STORES[plane]
