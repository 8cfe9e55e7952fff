"""x86-64 instructions with an opcode of one byte."""

from __future__ import annotations

from typing import Dict

from .operations import SCRATCH, THREAD, Operand
from .x86_operands import (
    CONDITIONS,
    STACK,
    Cursor,
    Handler,
    Operations,
    X86Base,
    flags_lost,
    immediate,
    lost,
    modrm,
    nothing,
    pop_flags,
    popped,
    push_flags,
    pushed,
    stop,
)

_GROUP1 = ("add", "or", "adc", "sbb", "and", "sub", "xor", "cmp")
_SHIFTS = ("rol", "ror", "rcl", "rcr", "shl", "shr", "shl", "sar")

_CARRY = ("r", SCRATCH, 64, 0)


def _arithmetic_operation(name: str, destination: Operand, source: Operand) -> Operations:
    if name == "cmp":
        return [("cmp", destination, source)]
    if name == "sbb" and destination == source:
        return [("carry", destination)]
    if name in ("adc", "sbb"):
        plain = "add" if name == "adc" else "sub"
        return [
            ("set", "b", _CARRY),
            ("bin", plain, destination, destination, source, False),
            ("bin", plain, destination, destination, _CARRY, False),
            ("lost", (), None, True),
        ]
    if destination == source and name in ("xor", "sub"):
        return [("mov", destination, ("i", 0)), ("test", destination, destination)]
    return [("bin", name, destination, destination, source, True)]


def _arithmetic(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    name = _GROUP1[opcode >> 3]
    form = opcode & 7
    width = 8 if not form & 1 else cursor.width
    if form in (4, 5):
        register = ("r", 0, width, 0)
        return _arithmetic_operation(name, register, ("i", immediate(cursor, width)))
    modrm(cursor)
    register = lifter.reader.register(cursor, cursor.reg, width)
    operand = lifter.reader.operand(cursor, width)
    return _arithmetic_operation(name, *((operand, register) if form < 2 else (register, operand)))


def _group1(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    width = 8 if opcode == 0x80 else cursor.width
    small = opcode in (0x80, 0x83)
    name = _GROUP1[modrm(cursor) >> 3 & 7]
    trailing = 1 if small else 2 if width == 16 else 4
    operand = lifter.reader.operand(cursor, width, trailing)
    return _arithmetic_operation(name, operand, ("i", cursor.signed(trailing)))


def _test(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    width = 8 if not opcode & 1 else cursor.width
    if opcode >= 0xA8:
        return [("test", ("r", 0, width, 0), ("i", immediate(cursor, width)))]
    modrm(cursor)
    return [("test", lifter.reader.operand(cursor, width), lifter.reader.register(cursor, cursor.reg, width))]


def _exchange(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    if opcode >= 0x90:
        number = opcode & 7 | (cursor.rex & 1) << 3
        if number == 0:
            return []
        return [("xchg", ("r", 0, cursor.width, 0), ("r", number, cursor.width, 0))]
    width = 8 if not opcode & 1 else cursor.width
    modrm(cursor)
    operand = lifter.reader.operand(cursor, width)
    return [("xchg", operand, lifter.reader.register(cursor, cursor.reg, width))]


def _move(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    width = 8 if not opcode & 1 else cursor.width
    modrm(cursor)
    register = lifter.reader.register(cursor, cursor.reg, width)
    operand = lifter.reader.operand(cursor, width)
    return [("mov", operand, register) if opcode < 0x8A else ("mov", register, operand)]


def _move_immediate(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    if opcode >= 0xC6:
        width = 8 if opcode == 0xC6 else cursor.width
        byte = modrm(cursor)
        trailing = 1 if width == 8 else 2 if width == 16 else 4
        operand = lifter.reader.operand(cursor, width, trailing)
        number = cursor.signed(trailing)
        return [("mov", operand, ("i", number))] if not byte >> 3 & 7 else []
    number = opcode & 7 | (cursor.rex & 1) << 3
    if opcode < 0xB8:
        return [("mov", lifter.reader.register(cursor, number, 8), ("i", cursor.signed(1)))]
    width = cursor.width
    return [("mov", ("r", number, width, 0), ("i", cursor.signed(width // 8)))]


def _move_offset(_: X86Base, cursor: Cursor, opcode: int) -> Operations:
    cursor.signed(8)
    width = 8 if not opcode & 1 else cursor.width
    memory = ("m", THREAD, THREAD, 1, 0, width)
    return lost(("r", 0, 64, 0), flags=False) if opcode < 0xA2 else lost(memory, flags=False)


def _push(_: X86Base, cursor: Cursor, opcode: int) -> Operations:
    if opcode in (0x68, 0x6A):
        return pushed(("i", cursor.signed(4 if opcode == 0x68 else 1)))
    return pushed(("r", opcode & 7 | (cursor.rex & 1) << 3, 64, 0))


def _pop(_: X86Base, cursor: Cursor, opcode: int) -> Operations:
    return popped(("r", opcode & 7 | (cursor.rex & 1) << 3, 64, 0))


def _pop_operand(lifter: X86Base, cursor: Cursor, _: int) -> Operations:
    modrm(cursor)
    return popped(lifter.reader.operand(cursor, 64))


def _leave(_: X86Base, __: Cursor, ___: int) -> Operations:
    return [("mov", STACK, ("r", 5, 64, 0)), *popped(("r", 5, 64, 0))]


def _enter(_: X86Base, cursor: Cursor, __: int) -> Operations:
    cursor.signed(3)
    return lost(STACK, ("r", 5, 64, 0), flags=False)


def _address(lifter: X86Base, cursor: Cursor, _: int) -> Operations:
    modrm(cursor)
    if cursor.mod == 3:
        raise KeyError
    cursor.segment = 0
    return [("lea", ("r", cursor.reg, cursor.width, 0), lifter.reader.memory(cursor, 64, 0))]


def _sign_extend_register(_: X86Base, cursor: Cursor, opcode: int) -> Operations:
    width = cursor.width
    if opcode == 0x98:
        return [("movsx", ("r", 0, width, 0), ("r", 0, width // 2, 0))]
    return [("bin", "sar", ("r", 2, width, 0), ("r", 0, width, 0), ("i", width - 1), False)]


def _move_signed(lifter: X86Base, cursor: Cursor, _: int) -> Operations:
    modrm(cursor)
    return [("movsx", ("r", cursor.reg, cursor.width, 0), lifter.reader.operand(cursor, 32))]


def _multiply_immediate(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    modrm(cursor)
    width = cursor.width
    trailing = 1 if opcode == 0x6B else 2 if width == 16 else 4
    operand = lifter.reader.operand(cursor, width, trailing)
    number = cursor.signed(trailing)
    return [("bin", "mul", ("r", cursor.reg, width, 0), operand, ("i", number), False), ("lost", (), None, True)]


def _shift(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    width = 8 if not opcode & 1 else cursor.width
    name = _SHIFTS[modrm(cursor) >> 3 & 7]
    immediate = opcode in (0xC0, 0xC1)
    operand = lifter.reader.operand(cursor, width, 1 if immediate else 0)
    count: Operand = ("i", 1)
    if immediate:
        count = ("i", cursor.byte())
    elif opcode >= 0xD2:
        count = ("r", 1, 8, 0)
    if name in ("rcl", "rcr"):
        return lost(operand)
    operations: Operations = [("bin", name, operand, operand, count, True)]
    if name in ("shr", "sar", "shl") and count[0] == "i" and 0 < count[1] < width:
        # The last bit moved out is the carry; the flags of the result are told too, but carry is what code reads then.
        bit = count[1] - 1 if name != "shl" else width - count[1]
        operations = [("mov", ("r", 67, width, 0), operand), ("bin", name, operand, operand, count, True)]
        operations.append(("moved", ("r", 67, width, 0), bit, operand))
    return operations


def _jump_short(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    if opcode in (0xE9, 0xEB):
        return [("jump", lifter.target(cursor, 4 if opcode == 0xE9 else 1))]
    if opcode == 0xE8:
        return [("call", lifter.target(cursor, 4))]
    if opcode == 0xE3:
        return [("zero", ("r", 1, 64, 0), lifter.target(cursor, 1), True)]
    if opcode >= 0xE0:
        return [("lost", (1,), None, False), ("branch", None, lifter.target(cursor, 1))]
    return [("branch", CONDITIONS[opcode & 15], lifter.target(cursor, 1))]


def _return(_: X86Base, cursor: Cursor, opcode: int) -> Operations:
    if opcode in (0xC2, 0xCA):
        cursor.signed(2)
    return [("ret",)]


def _group3(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    width = 8 if not opcode & 1 else cursor.width
    form = modrm(cursor) >> 3 & 7
    trailing = (1 if width == 8 else 2 if width == 16 else 4) if form < 2 else 0
    operand = lifter.reader.operand(cursor, width, trailing)
    if form < 2:
        return [("test", operand, ("i", cursor.signed(trailing)))]
    if form == 2:
        return [("bin", "xor", operand, operand, ("i", (1 << width) - 1), False)]
    if form == 3:
        return [("neg", operand)]
    return lost(("r", 0, 64, 0), ("r", 2, 64, 0))


def _group5(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    form = modrm(cursor) >> 3 & 7
    width = 8 if opcode == 0xFE else cursor.width
    if form in (2, 4):
        operand = lifter.reader.operand(cursor, 64)
        return [("calli" if form == 2 else "jumpi", operand)]
    if form == 6:
        return pushed(lifter.reader.operand(cursor, 64))
    operand = lifter.reader.operand(cursor, width)
    if form in (0, 1):
        return [("bin", "add" if form == 0 else "sub", operand, operand, ("i", 1), "result")]
    raise KeyError


def _string(_: X86Base, cursor: Cursor, opcode: int) -> Operations:
    width = 8 if not opcode & 1 else cursor.width
    if opcode in (0xAA, 0xAB) and cursor.repeat:
        return [("fill", width)]
    if opcode in (0xA4, 0xA5) and cursor.repeat:
        return [("copy", width)]
    return [("lost", (0, 1, 6, 7), ("m", 7, None, 1, 0, width), True)]


def _x87(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    form = modrm(cursor) >> 3 & 7
    if cursor.mod == 3:
        # fnstsw ax; fcomi, fucomi and their popping forms set the flags.
        return lost(("r", 0, 64, 0)) if opcode == 0xDF and form == 4 else lost()
    memory = lifter.reader.memory(cursor, 80, 0)
    stores = (opcode in (0xD9, 0xDD) and form in (2, 3, 6, 7)) or (opcode in (0xDB, 0xDF) and form in (1, 2, 3, 6, 7))
    return lost(memory, flags=False) if stores else []


def _port(_: X86Base, cursor: Cursor, opcode: int) -> Operations:
    if opcode < 0xE8:
        cursor.byte()
    return lost(("r", 0, 64, 0))


ONE_BYTE: Dict[int, Handler] = {}
for _code in range(0x40):
    if _code & 7 < 6:
        ONE_BYTE[_code] = _arithmetic
for _codes, _handler in (
    (range(0x50, 0x58), _push), (range(0x58, 0x60), _pop), ((0x63,), _move_signed), ((0x68, 0x6A), _push),
    ((0x69, 0x6B), _multiply_immediate), (range(0x6C, 0x70), _string), (range(0x70, 0x80), _jump_short),
    ((0x80, 0x81, 0x83), _group1), ((0x84, 0x85, 0xA8, 0xA9), _test), ((0x86, 0x87), _exchange),
    (range(0x88, 0x8C), _move), ((0x8D,), _address), ((0x8F,), _pop_operand), (range(0x90, 0x98), _exchange),
    ((0x98, 0x99), _sign_extend_register), ((0x9B,), nothing), ((0x9C,), push_flags), ((0x9D,), pop_flags),
    ((0x9E,), flags_lost), (range(0xA0, 0xA4), _move_offset), ((*range(0xA4, 0xA8), *range(0xAA, 0xB0)), _string),
    (range(0xB0, 0xC0), _move_immediate), ((0xC6, 0xC7), _move_immediate), ((0xC0, 0xC1), _shift),
    (range(0xD0, 0xD4), _shift), ((0xC2, 0xC3, 0xCA, 0xCB, 0xCF), _return), ((0xC8,), _enter), ((0xC9,), _leave),
    ((0xCC, 0xF4, 0xF1, 0xCD), stop), (range(0xD8, 0xE0), _x87), (range(0xE0, 0xE4), _jump_short),
    ((*range(0xE4, 0xE8), *range(0xEC, 0xF0)), _port), ((0xE8, 0xE9, 0xEB), _jump_short),
    ((0xF5, 0xF8, 0xF9), flags_lost), ((0xFC, 0xFD, 0xFA, 0xFB), nothing), ((0xF6, 0xF7), _group3),
    ((0xFE, 0xFF), _group5),
):  # fmt: skip
    for _code in _codes:
        ONE_BYTE[_code] = _handler


def _lahf(_: X86Base, __: Cursor, ___: int) -> Operations:
    return lost(("r", 0, 64, 0), flags=False)


def _segment_move(lifter: X86Base, cursor: Cursor, opcode: int) -> Operations:
    modrm(cursor)
    operand = lifter.reader.operand(cursor, cursor.width)
    return lost(operand, flags=False) if opcode == 0x8C else []


def _table_byte(_: X86Base, __: Cursor, ___: int) -> Operations:
    return lost(("r", 0, 64, 0), flags=False)


ONE_BYTE[0x9F] = _lahf
ONE_BYTE[0x8C] = ONE_BYTE[0x8E] = _segment_move
ONE_BYTE[0xD7] = _table_byte
