"""x86-64 instructions with an opcode of two bytes, those on general registers."""

from __future__ import annotations

from typing import Dict

from .operations import Operand
from .x86_operands import (
    CONDITIONS,
    Cursor,
    Handler,
    Operations,
    X86Base,
    lost,
    modrm,
    nothing,
    pop_flags,
    push_flags,
    stop,
)
from .x86_vectors import (
    VECTOR_LOGIC,
    vector_from_general,
    vector_half,
    vector_load,
    vector_logic,
    vector_mix,
    vector_other,
    vector_shuffle,
)


def _group7(lifter: X86Base, cursor: Cursor, _: int) -> Operations:
    byte = modrm(cursor)
    if byte == 0xD0:
        return [("xcr",)]
    if byte == 0xF9:
        return lost(("r", 0, 64, 0), ("r", 1, 64, 0), ("r", 2, 64, 0), flags=False)
    if cursor.mod == 3:
        return lost(("r", 0, 64, 0), ("r", 2, 64, 0))
    return lost(lifter.reader.memory(cursor, 64, 0))


def _conditional_move(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    modrm(cursor)
    width = cursor.width
    register = ("r", cursor.reg, width, 0)
    return [("cmov", CONDITIONS[opcode & 15], register, lifter.reader.operand(cursor, width), register)]


def _set(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    modrm(cursor)
    return [("set", CONDITIONS[opcode & 15], lifter.reader.operand(cursor, 8))]


def _branch_near(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    return [("branch", CONDITIONS[opcode & 15], lifter.target(cursor, 4))]


def _extend(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    modrm(cursor)
    source = lifter.reader.operand(cursor, 16 if opcode & 1 else 8)
    return [("mov" if opcode < 0xB8 else "movsx", ("r", cursor.reg, cursor.width, 0), source)]


def _bit_test(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    width = cursor.width
    if opcode == 0xBA:
        form = modrm(cursor) >> 3 & 3
        operand = lifter.reader.operand(cursor, width, 1)
        number: Operand = ("i", cursor.byte() & (width - 1))
    else:
        form = opcode >> 3 & 3
        modrm(cursor)
        operand = lifter.reader.operand(cursor, width)
        number = ("r", cursor.reg, width, 0)
        if operand[0] == "m":
            return lost(operand) if form else [("lost", (), None, True)]
    if form == 0:
        return [("bit", operand, number)]
    if number[0] != "i":
        return lost(operand)
    mask = 1 << number[1]
    name, other = {1: ("or", mask), 2: ("and", ~mask), 3: ("xor", mask)}[form]
    return [("bin", name, operand, operand, ("i", other), False), ("lost", (), None, True)]


def _double_shift(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    modrm(cursor)
    trailing = 0 if opcode & 1 else 1
    operand = lifter.reader.operand(cursor, cursor.width, trailing)
    cursor.at += trailing
    return lost(operand)


def _multiply(lifter: X86Base, cursor: Cursor, _: int) -> Operations:
    modrm(cursor)
    width = cursor.width
    register = ("r", cursor.reg, width, 0)
    operand = lifter.reader.operand(cursor, width)
    return [("bin", "mul", register, register, operand, False), ("lost", (), None, True)]


def _compare_exchange(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    modrm(cursor)
    width = 8 if not opcode & 1 else cursor.width
    operand = lifter.reader.operand(cursor, width)
    register = lifter.reader.register(cursor, cursor.reg, width)
    return [("swap", operand, register, ("r", 0, width, 0))]


def _group9(lifter: X86Base, cursor: Cursor, _: int) -> Operations:
    modrm(cursor)
    if cursor.mod == 3:
        return lost(lifter.reader.operand(cursor, 64))
    return lost(("r", 0, 64, 0), ("r", 2, 64, 0), lifter.reader.memory(cursor, 128, 0))


def _exchange_add(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    modrm(cursor)
    width = 8 if not opcode & 1 else cursor.width
    operand = lifter.reader.operand(cursor, width)
    return lost(operand, lifter.reader.register(cursor, cursor.reg, width))


def _scan_bits(lifter: X86Base, cursor: Cursor, _: int) -> Operations:
    modrm(cursor)
    lifter.reader.operand(cursor, cursor.width)
    return lost(("r", cursor.reg, 64, 0))


def _swap_bytes(_: X86Base, cursor: Cursor, opcode: int) -> Operations:
    return lost(("r", opcode & 7 | (cursor.rex & 1) << 3, 64, 0), flags=False)


def _question(_: X86Base, __: Cursor, ___: int) -> Operations:
    return [("cpuid",)]


def _hint(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    byte = modrm(cursor)
    operand = lifter.reader.operand(cursor, 32)
    if opcode == 0x1E and cursor.repeat == 0xF3 and cursor.mod == 3 and byte >> 3 & 7 == 1:
        # rdssp changes its register only where shadow stacks are on; code sets it to 0 before.
        return [("known", ("r", operand[1], 64, 0), ("shstk",))]
    return []


def _clock(_: X86Base, __: Cursor, ___: int) -> Operations:
    return lost(("r", 0, 64, 0), ("r", 2, 64, 0), flags=False)


def _system_call(_: X86Base, __: Cursor, ___: int) -> Operations:
    return lost(("r", 0, 64, 0), ("r", 1, 64, 0), ("r", 11, 64, 0))


def _fence(lifter: X86Base, cursor: Cursor, _: int) -> Operations:
    form = modrm(cursor) >> 3 & 7
    if cursor.mod == 3:
        return lost(lifter.reader.operand(cursor, 64)) if cursor.repeat else []
    memory = lifter.reader.memory(cursor, 64, 0)
    return lost(memory, flags=False) if form in (0, 3, 4) else []


def _move_nontemporal(lifter: X86Base, cursor: Cursor, _: int) -> Operations:
    modrm(cursor)
    width = cursor.width
    return [("mov", lifter.reader.operand(cursor, width), lifter.reader.register(cursor, cursor.reg, width))]


# --- vectors: moves between them, memory and general registers are followed, in lanes of 32 bits -----------------

TWO_BYTE: Dict[int, Handler] = {}
for _codes, _handler in (
    ((*range(0x10, 0x12), *range(0x14, 0x16), *range(0x28, 0x30), *range(0x50, 0x80), *range(0xC2, 0xC7),
      *range(0xD0, 0x100)), vector_other),
    ((0x10, 0x11, 0x28, 0x29, 0x2B, 0x6F, 0x7F, 0xE7), vector_load), ((0x6E, 0x7E, 0xD6), vector_from_general),
    ((0x12, 0x13, 0x16, 0x17), vector_half), ((0x62, 0x6C, 0x14), vector_mix), (tuple(VECTOR_LOGIC), vector_logic),
    ((0x70,), vector_shuffle),
    ((0xC3,), _move_nontemporal), ((0x01,), _group7), ((0x05, 0x34), _system_call), ((0x0B,), stop),
    ((0x06, 0x08, 0x09, 0x0E, 0x77, 0xAA), nothing), ((0x0D, *range(0x18, 0x20)), _hint),
    ((0x31, 0x32, 0x33), _clock), (range(0x40, 0x50), _conditional_move), (range(0x80, 0x90), _branch_near),
    (range(0x90, 0xA0), _set), ((0xA0, 0xA8), push_flags), ((0xA1, 0xA9), pop_flags), ((0xA2,), _question),
    ((0xA3, 0xAB, 0xB3, 0xBB, 0xBA), _bit_test), ((0xA4, 0xA5, 0xAC, 0xAD), _double_shift), ((0xAE,), _fence),
    ((0xAF,), _multiply), ((0xB0, 0xB1), _compare_exchange), ((0xB6, 0xB7, 0xBE, 0xBF), _extend),
    ((0xB8, 0xBC, 0xBD), _scan_bits), ((0xC0, 0xC1), _exchange_add), ((0xC7,), _group9),
    (range(0xC8, 0xD0), _swap_bytes), ((0xB9, 0xFF), stop),
):  # fmt: skip
    for _code in _codes:
        TWO_BYTE[_code] = _handler
