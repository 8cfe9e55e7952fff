"""x86-64 instructions as micro-operations: general-purpose data flow in full, vectors only where they carry integers.

Opcodes are those of the Intel SDM vol. 2, appendix A. What is not followed is still accounted for: the registers and
the memory it writes hold "something not followed" afterwards.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional

from .operations import SCRATCH, THREAD, VECTORS, X86_64_ABI, Lifter, Operand, Operation, Step

_CONDITIONS = ("o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g")
_GROUP1 = ("add", "or", "adc", "sbb", "and", "sub", "xor", "cmp")
_SHIFTS = ("rol", "ror", "rcl", "rcr", "shl", "shr", "shl", "sar")
_MAX = 15


class Cursor:
    """One instruction being read: prefixes, opcode, ModRM."""

    __slots__ = (
        "address",
        "at",
        "code",
        "mod",
        "operand16",
        "prefix",
        "reg",
        "repeat",
        "rex",
        "rm",
        "segment",
        "start",
    )

    def __init__(self, code: bytes, offset: int, address: int) -> None:
        self.code = code
        self.start = self.at = offset
        self.address = address
        self.rex = 0
        self.operand16 = False
        self.repeat = 0
        self.segment = 0
        self.prefix = False
        self.mod = self.reg = self.rm = 0

    def byte(self) -> int:
        """The next byte. Raises ``IndexError`` at the end."""
        value = self.code[self.at]
        self.at += 1
        return value

    def signed(self, size: int) -> int:
        """The next *size* bytes as a signed number."""
        raw = self.code[self.at : self.at + size]
        if len(raw) < size:
            raise IndexError
        self.at += size
        return int.from_bytes(raw, "little", signed=True)

    @property
    def width(self) -> int:
        """Operand size in bits."""
        return 64 if self.rex & 8 else 16 if self.operand16 else 32

    def prefixes(self) -> int:
        """Read the legacy prefixes and REX; the first opcode byte is returned."""
        while True:
            byte = self.byte()
            if byte == 0x66:
                self.operand16 = True
            elif byte in (0xF2, 0xF3):
                self.repeat = byte
            elif byte in (0x64, 0x65):
                self.segment = byte
            elif byte not in (0x26, 0x2E, 0x36, 0x3E, 0x67, 0xF0):
                break
        if byte & 0xF0 == 0x40:
            self.rex = byte
            byte = self.byte()
        return byte


def _modrm(cursor: Cursor) -> int:
    byte = cursor.byte()
    cursor.mod = byte >> 6
    cursor.reg = byte >> 3 & 7 | (cursor.rex & 4) << 1
    cursor.rm = byte & 7
    return byte


class _Reader:
    """Turns ModRM operands into :mod:`.operations` operands."""

    def __init__(self, base: int) -> None:
        self.base = base

    def memory(self, cursor: Cursor, width: int, trailing: int) -> Operand:
        """The memory operand of the ModRM byte just read; *trailing* immediate bytes follow the displacement."""
        rex = cursor.rex
        base: Optional[int] = cursor.rm | (rex & 1) << 3
        index: Optional[int] = None
        scale = 1
        displacement = 0
        if cursor.rm == 4:
            sib = cursor.byte()
            index = sib >> 3 & 7 | (rex & 2) << 2
            scale = 1 << (sib >> 6)
            if index == 4:
                index = None
            base = sib & 7 | (rex & 1) << 3
            if sib & 7 == 5 and cursor.mod == 0:
                base = None
                displacement = cursor.signed(4)
        elif cursor.rm == 5 and cursor.mod == 0:
            displacement = cursor.signed(4)
            end = cursor.address + (cursor.at - cursor.start) + trailing
            return ("m", None, None, 1, (end + displacement & (1 << 64) - 1) + self.base, width)
        if cursor.mod == 1:
            displacement = cursor.signed(1)
        elif cursor.mod == 2:
            displacement = cursor.signed(4)
        if cursor.segment:
            if cursor.segment == 0x65 or (base is not None and index is not None):
                return ("m", THREAD, THREAD, 1, 0, width)
            if base is None:
                base = THREAD
            else:
                base, index, scale = THREAD, base, 1
        return ("m", base, index, scale, displacement, width)

    def register(self, cursor: Cursor, number: int, width: int) -> Operand:
        """General register *number*; without REX, byte registers 4 to 7 are AH to BH."""
        if width == 8 and not cursor.rex and 4 <= number < 8:
            return ("r", number - 4, 8, 8)
        return ("r", number, width, 0)

    def operand(self, cursor: Cursor, width: int, trailing: int = 0) -> Operand:
        """The r/m operand."""
        if cursor.mod == 3:
            return self.register(cursor, cursor.rm | (cursor.rex & 1) << 3, width)
        return self.memory(cursor, width, trailing)

    def vector(self, cursor: Cursor, width: int, trailing: int = 0) -> Operand:
        """The xmm/m operand."""
        if cursor.mod == 3:
            return ("r", VECTORS + (cursor.rm | (cursor.rex & 1) << 3), 128, 0)
        return self.memory(cursor, width, trailing)


_Ops = List[Operation]
_Handler = Callable[["X86Lifter", Cursor, int], _Ops]


class X86Lifter(Lifter):
    """The lifter for x86-64."""

    abi = X86_64_ABI

    def __init__(self, base: int, *, absolute: bool = False) -> None:
        super().__init__(base)
        self.reader = _Reader(base)
        self.absolute = absolute

    def lift(self, code: bytes, offset: int, address: int) -> Optional[Step]:
        """See :meth:`Lifter.lift`."""
        cursor = Cursor(code, offset, address)
        try:
            opcode = cursor.prefixes()
            if opcode == 0x0F:
                opcode = cursor.byte()
                if opcode in (0x38, 0x3A):
                    operations = _three_byte(self, cursor, opcode, cursor.byte())
                else:
                    operations = _TWO_BYTE[opcode](self, cursor, opcode)
            elif opcode in (0xC4, 0xC5, 0x62) or (opcode == 0x8F and code[cursor.at] & 0x1F >= 8):
                operations = _extended(self, cursor, opcode)
            elif opcode == 0xD5:
                return None
            else:
                operations = _ONE_BYTE[opcode](self, cursor, opcode)
        except (IndexError, KeyError):
            return None
        length = cursor.at - offset
        return Step(length, tuple(operations)) if length <= _MAX else None

    def target(self, cursor: Cursor, size: int) -> int:
        """Target of a relative jump whose displacement is read now."""
        displacement = cursor.signed(size)
        return cursor.address + (cursor.at - cursor.start) + displacement & (1 << 64) - 1


def _immediate(cursor: Cursor, width: int) -> int:
    return cursor.signed({8: 1, 16: 2, 32: 4, 64: 4}[width])


def _lost(*operands: Operand, flags: bool = True) -> _Ops:
    """Operands written with something not followed."""
    registers = tuple(operand[1] for operand in operands if operand[0] == "r")
    memory = next((operand for operand in operands if operand[0] == "m"), None)
    return [("lost", registers, memory, flags)]


def _nothing(_: X86Lifter, __: Cursor, ___: int) -> _Ops:
    return []


_CARRY = ("r", SCRATCH, 64, 0)


def _arithmetic_operation(name: str, destination: Operand, source: Operand) -> _Ops:
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


def _arithmetic(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    name = _GROUP1[opcode >> 3]
    form = opcode & 7
    width = 8 if not form & 1 else cursor.width
    if form in (4, 5):
        register = ("r", 0, width, 0)
        return _arithmetic_operation(name, register, ("i", _immediate(cursor, width)))
    _modrm(cursor)
    register = lifter.reader.register(cursor, cursor.reg, width)
    operand = lifter.reader.operand(cursor, width)
    return _arithmetic_operation(name, *((operand, register) if form < 2 else (register, operand)))


def _group1(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    width = 8 if opcode == 0x80 else cursor.width
    small = opcode in (0x80, 0x83)
    name = _GROUP1[_modrm(cursor) >> 3 & 7]
    trailing = 1 if small else 2 if width == 16 else 4
    operand = lifter.reader.operand(cursor, width, trailing)
    return _arithmetic_operation(name, operand, ("i", cursor.signed(trailing)))


def _test(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    width = 8 if not opcode & 1 else cursor.width
    if opcode >= 0xA8:
        return [("test", ("r", 0, width, 0), ("i", _immediate(cursor, width)))]
    _modrm(cursor)
    return [("test", lifter.reader.operand(cursor, width), lifter.reader.register(cursor, cursor.reg, width))]


def _exchange(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    if opcode >= 0x90:
        number = opcode & 7 | (cursor.rex & 1) << 3
        if number == 0:
            return []
        return [("xchg", ("r", 0, cursor.width, 0), ("r", number, cursor.width, 0))]
    width = 8 if not opcode & 1 else cursor.width
    _modrm(cursor)
    operand = lifter.reader.operand(cursor, width)
    return [("xchg", operand, lifter.reader.register(cursor, cursor.reg, width))]


def _move(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    width = 8 if not opcode & 1 else cursor.width
    _modrm(cursor)
    register = lifter.reader.register(cursor, cursor.reg, width)
    operand = lifter.reader.operand(cursor, width)
    return [("mov", operand, register) if opcode < 0x8A else ("mov", register, operand)]


def _move_immediate(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    if opcode >= 0xC6:
        width = 8 if opcode == 0xC6 else cursor.width
        byte = _modrm(cursor)
        trailing = 1 if width == 8 else 2 if width == 16 else 4
        operand = lifter.reader.operand(cursor, width, trailing)
        number = cursor.signed(trailing)
        return [("mov", operand, ("i", number))] if not byte >> 3 & 7 else []
    number = opcode & 7 | (cursor.rex & 1) << 3
    if opcode < 0xB8:
        return [("mov", lifter.reader.register(cursor, number, 8), ("i", cursor.signed(1)))]
    width = cursor.width
    return [("mov", ("r", number, width, 0), ("i", cursor.signed(width // 8)))]


def _move_offset(_: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    cursor.signed(8)
    width = 8 if not opcode & 1 else cursor.width
    memory = ("m", THREAD, THREAD, 1, 0, width)
    return _lost(("r", 0, 64, 0), flags=False) if opcode < 0xA2 else _lost(memory, flags=False)


def _push(_: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    if opcode in (0x68, 0x6A):
        return _pushed(("i", cursor.signed(4 if opcode == 0x68 else 1)))
    return _pushed(("r", opcode & 7 | (cursor.rex & 1) << 3, 64, 0))


_STACK = ("r", 4, 64, 0)
_TOP = ("m", 4, None, 1, 0, 64)


def _pushed(source: Operand) -> _Ops:
    return [
        ("mov", ("r", 66, 64, 0), source),
        ("bin", "sub", _STACK, _STACK, ("i", 8), False),
        ("mov", _TOP, ("r", 66, 64, 0)),
    ]


def _popped(target: Operand) -> _Ops:
    return [
        ("mov", ("r", 66, 64, 0), _TOP),
        ("bin", "add", _STACK, _STACK, ("i", 8), False),
        ("mov", target, ("r", 66, 64, 0)),
    ]


def _pop(_: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    return _popped(("r", opcode & 7 | (cursor.rex & 1) << 3, 64, 0))


def _pop_operand(lifter: X86Lifter, cursor: Cursor, _: int) -> _Ops:
    _modrm(cursor)
    return _popped(lifter.reader.operand(cursor, 64))


def _leave(_: X86Lifter, __: Cursor, ___: int) -> _Ops:
    return [("mov", _STACK, ("r", 5, 64, 0)), *_popped(("r", 5, 64, 0))]


def _enter(_: X86Lifter, cursor: Cursor, __: int) -> _Ops:
    cursor.signed(3)
    return _lost(_STACK, ("r", 5, 64, 0), flags=False)


def _address(lifter: X86Lifter, cursor: Cursor, _: int) -> _Ops:
    _modrm(cursor)
    if cursor.mod == 3:
        raise KeyError
    cursor.segment = 0
    return [("lea", ("r", cursor.reg, cursor.width, 0), lifter.reader.memory(cursor, 64, 0))]


def _sign_extend_register(_: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    width = cursor.width
    if opcode == 0x98:
        return [("movsx", ("r", 0, width, 0), ("r", 0, width // 2, 0))]
    return [("bin", "sar", ("r", 2, width, 0), ("r", 0, width, 0), ("i", width - 1), False)]


def _move_signed(lifter: X86Lifter, cursor: Cursor, _: int) -> _Ops:
    _modrm(cursor)
    return [("movsx", ("r", cursor.reg, cursor.width, 0), lifter.reader.operand(cursor, 32))]


def _multiply_immediate(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    _modrm(cursor)
    width = cursor.width
    trailing = 1 if opcode == 0x6B else 2 if width == 16 else 4
    operand = lifter.reader.operand(cursor, width, trailing)
    number = cursor.signed(trailing)
    return [("bin", "mul", ("r", cursor.reg, width, 0), operand, ("i", number), False), ("lost", (), None, True)]


def _shift(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    width = 8 if not opcode & 1 else cursor.width
    name = _SHIFTS[_modrm(cursor) >> 3 & 7]
    immediate = opcode in (0xC0, 0xC1)
    operand = lifter.reader.operand(cursor, width, 1 if immediate else 0)
    count: Operand = ("i", 1)
    if immediate:
        count = ("i", cursor.byte())
    elif opcode >= 0xD2:
        count = ("r", 1, 8, 0)
    if name in ("rcl", "rcr"):
        return _lost(operand)
    operations: _Ops = [("bin", name, operand, operand, count, True)]
    if name in ("shr", "sar", "shl") and count[0] == "i" and 0 < count[1] < width:
        # The last bit moved out is the carry; the flags of the result are told too, but carry is what code reads then.
        bit = count[1] - 1 if name != "shl" else width - count[1]
        operations = [("mov", ("r", 67, width, 0), operand), ("bin", name, operand, operand, count, True)]
        operations.append(("moved", ("r", 67, width, 0), bit, operand))
    return operations


def _jump_short(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    if opcode in (0xE9, 0xEB):
        return [("jump", lifter.target(cursor, 4 if opcode == 0xE9 else 1))]
    if opcode == 0xE8:
        return [("call", lifter.target(cursor, 4))]
    if opcode == 0xE3:
        return [("zero", ("r", 1, 64, 0), lifter.target(cursor, 1), True)]
    if opcode >= 0xE0:
        return [("lost", (1,), None, False), ("branch", None, lifter.target(cursor, 1))]
    return [("branch", _CONDITIONS[opcode & 15], lifter.target(cursor, 1))]


def _return(_: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    if opcode in (0xC2, 0xCA):
        cursor.signed(2)
    return [("ret",)]


def _stop(_: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    if opcode == 0xCD:
        cursor.byte()
        return _lost(("r", 0, 64, 0))
    return [("stop",)]


def _group3(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    width = 8 if not opcode & 1 else cursor.width
    form = _modrm(cursor) >> 3 & 7
    trailing = (1 if width == 8 else 2 if width == 16 else 4) if form < 2 else 0
    operand = lifter.reader.operand(cursor, width, trailing)
    if form < 2:
        return [("test", operand, ("i", cursor.signed(trailing)))]
    if form == 2:
        return [("bin", "xor", operand, operand, ("i", (1 << width) - 1), False)]
    if form == 3:
        return [("neg", operand)]
    return _lost(("r", 0, 64, 0), ("r", 2, 64, 0))


def _group5(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    form = _modrm(cursor) >> 3 & 7
    width = 8 if opcode == 0xFE else cursor.width
    if form in (2, 4):
        operand = lifter.reader.operand(cursor, 64)
        return [("calli" if form == 2 else "jumpi", operand)]
    if form == 6:
        return _pushed(lifter.reader.operand(cursor, 64))
    operand = lifter.reader.operand(cursor, width)
    if form in (0, 1):
        return [("bin", "add" if form == 0 else "sub", operand, operand, ("i", 1), "result")]
    raise KeyError


def _string(_: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    width = 8 if not opcode & 1 else cursor.width
    if opcode in (0xAA, 0xAB) and cursor.repeat:
        return [("fill", width)]
    if opcode in (0xA4, 0xA5) and cursor.repeat:
        return [("copy", width)]
    return [("lost", (0, 1, 6, 7), ("m", 7, None, 1, 0, width), True)]


def _x87(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    form = _modrm(cursor) >> 3 & 7
    if cursor.mod == 3:
        # fnstsw ax; fcomi, fucomi and their popping forms set the flags.
        return _lost(("r", 0, 64, 0)) if opcode == 0xDF and form == 4 else _lost()
    memory = lifter.reader.memory(cursor, 80, 0)
    stores = (opcode in (0xD9, 0xDD) and form in (2, 3, 6, 7)) or (opcode in (0xDB, 0xDF) and form in (1, 2, 3, 6, 7))
    return _lost(memory, flags=False) if stores else []


def _flags_lost(_: X86Lifter, __: Cursor, ___: int) -> _Ops:
    return [("lost", (), None, True)]


def _pop_flags(_: X86Lifter, __: Cursor, ___: int) -> _Ops:
    return [("bin", "add", _STACK, _STACK, ("i", 8), False), ("lost", (), None, True)]


def _push_flags(_: X86Lifter, __: Cursor, ___: int) -> _Ops:
    return [("lost", (66,), None, False), *_pushed(("r", 66, 64, 0))[1:]]


def _port(_: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    if opcode < 0xE8:
        cursor.byte()
    return _lost(("r", 0, 64, 0))


_ONE_BYTE: Dict[int, _Handler] = {}
for _code in range(0x40):
    if _code & 7 < 6:
        _ONE_BYTE[_code] = _arithmetic
for _codes, _handler in (
    (range(0x50, 0x58), _push), (range(0x58, 0x60), _pop), ((0x63,), _move_signed), ((0x68, 0x6A), _push),
    ((0x69, 0x6B), _multiply_immediate), (range(0x6C, 0x70), _string), (range(0x70, 0x80), _jump_short),
    ((0x80, 0x81, 0x83), _group1), ((0x84, 0x85, 0xA8, 0xA9), _test), ((0x86, 0x87), _exchange),
    (range(0x88, 0x8C), _move), ((0x8D,), _address), ((0x8F,), _pop_operand), (range(0x90, 0x98), _exchange),
    ((0x98, 0x99), _sign_extend_register), ((0x9B,), _nothing), ((0x9C,), _push_flags), ((0x9D,), _pop_flags),
    ((0x9E,), _flags_lost), (range(0xA0, 0xA4), _move_offset), ((*range(0xA4, 0xA8), *range(0xAA, 0xB0)), _string),
    (range(0xB0, 0xC0), _move_immediate), ((0xC6, 0xC7), _move_immediate), ((0xC0, 0xC1), _shift),
    (range(0xD0, 0xD4), _shift), ((0xC2, 0xC3, 0xCA, 0xCB, 0xCF), _return), ((0xC8,), _enter), ((0xC9,), _leave),
    ((0xCC, 0xF4, 0xF1, 0xCD), _stop), (range(0xD8, 0xE0), _x87), (range(0xE0, 0xE4), _jump_short),
    ((*range(0xE4, 0xE8), *range(0xEC, 0xF0)), _port), ((0xE8, 0xE9, 0xEB), _jump_short),
    ((0xF5, 0xF8, 0xF9), _flags_lost), ((0xFC, 0xFD, 0xFA, 0xFB), _nothing), ((0xF6, 0xF7), _group3),
    ((0xFE, 0xFF), _group5),
):  # fmt: skip
    for _code in _codes:
        _ONE_BYTE[_code] = _handler


def _lahf(_: X86Lifter, __: Cursor, ___: int) -> _Ops:
    return _lost(("r", 0, 64, 0), flags=False)


def _segment_move(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    _modrm(cursor)
    operand = lifter.reader.operand(cursor, cursor.width)
    return _lost(operand, flags=False) if opcode == 0x8C else []


def _table_byte(_: X86Lifter, __: Cursor, ___: int) -> _Ops:
    return _lost(("r", 0, 64, 0), flags=False)


_ONE_BYTE[0x9F] = _lahf
_ONE_BYTE[0x8C] = _ONE_BYTE[0x8E] = _segment_move
_ONE_BYTE[0xD7] = _table_byte


def _group7(lifter: X86Lifter, cursor: Cursor, _: int) -> _Ops:
    byte = _modrm(cursor)
    if byte == 0xD0:
        return [("xcr",)]
    if byte == 0xF9:
        return _lost(("r", 0, 64, 0), ("r", 1, 64, 0), ("r", 2, 64, 0), flags=False)
    if cursor.mod == 3:
        return _lost(("r", 0, 64, 0), ("r", 2, 64, 0))
    return _lost(lifter.reader.memory(cursor, 64, 0))


def _conditional_move(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    _modrm(cursor)
    width = cursor.width
    register = ("r", cursor.reg, width, 0)
    return [("cmov", _CONDITIONS[opcode & 15], register, lifter.reader.operand(cursor, width), register)]


def _set(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    _modrm(cursor)
    return [("set", _CONDITIONS[opcode & 15], lifter.reader.operand(cursor, 8))]


def _branch_near(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    return [("branch", _CONDITIONS[opcode & 15], lifter.target(cursor, 4))]


def _extend(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    _modrm(cursor)
    source = lifter.reader.operand(cursor, 16 if opcode & 1 else 8)
    return [("mov" if opcode < 0xB8 else "movsx", ("r", cursor.reg, cursor.width, 0), source)]


def _bit_test(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    width = cursor.width
    if opcode == 0xBA:
        form = _modrm(cursor) >> 3 & 3
        operand = lifter.reader.operand(cursor, width, 1)
        number: Operand = ("i", cursor.byte() & (width - 1))
    else:
        form = opcode >> 3 & 3
        _modrm(cursor)
        operand = lifter.reader.operand(cursor, width)
        number = ("r", cursor.reg, width, 0)
        if operand[0] == "m":
            return _lost(operand) if form else [("lost", (), None, True)]
    if form == 0:
        return [("bit", operand, number)]
    if number[0] != "i":
        return _lost(operand)
    mask = 1 << number[1]
    name, other = {1: ("or", mask), 2: ("and", ~mask), 3: ("xor", mask)}[form]
    return [("bin", name, operand, operand, ("i", other), False), ("lost", (), None, True)]


def _double_shift(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    _modrm(cursor)
    trailing = 0 if opcode & 1 else 1
    operand = lifter.reader.operand(cursor, cursor.width, trailing)
    cursor.at += trailing
    return _lost(operand)


def _multiply(lifter: X86Lifter, cursor: Cursor, _: int) -> _Ops:
    _modrm(cursor)
    width = cursor.width
    register = ("r", cursor.reg, width, 0)
    operand = lifter.reader.operand(cursor, width)
    return [("bin", "mul", register, register, operand, False), ("lost", (), None, True)]


def _compare_exchange(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    _modrm(cursor)
    width = 8 if not opcode & 1 else cursor.width
    operand = lifter.reader.operand(cursor, width)
    register = lifter.reader.register(cursor, cursor.reg, width)
    return [("swap", operand, register, ("r", 0, width, 0))]


def _group9(lifter: X86Lifter, cursor: Cursor, _: int) -> _Ops:
    _modrm(cursor)
    if cursor.mod == 3:
        return _lost(lifter.reader.operand(cursor, 64))
    return _lost(("r", 0, 64, 0), ("r", 2, 64, 0), lifter.reader.memory(cursor, 128, 0))


def _exchange_add(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    _modrm(cursor)
    width = 8 if not opcode & 1 else cursor.width
    operand = lifter.reader.operand(cursor, width)
    return _lost(operand, lifter.reader.register(cursor, cursor.reg, width))


def _scan_bits(lifter: X86Lifter, cursor: Cursor, _: int) -> _Ops:
    _modrm(cursor)
    lifter.reader.operand(cursor, cursor.width)
    return _lost(("r", cursor.reg, 64, 0))


def _swap_bytes(_: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    return _lost(("r", opcode & 7 | (cursor.rex & 1) << 3, 64, 0), flags=False)


def _question(_: X86Lifter, __: Cursor, ___: int) -> _Ops:
    return [("cpuid",)]


def _hint(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    byte = _modrm(cursor)
    operand = lifter.reader.operand(cursor, 32)
    if opcode == 0x1E and cursor.repeat == 0xF3 and cursor.mod == 3 and byte >> 3 & 7 == 1:
        # rdssp changes its register only where shadow stacks are on; code sets it to 0 before.
        return [("known", ("r", operand[1], 64, 0), ("shstk",))]
    return []


def _clock(_: X86Lifter, __: Cursor, ___: int) -> _Ops:
    return _lost(("r", 0, 64, 0), ("r", 2, 64, 0), flags=False)


def _system_call(_: X86Lifter, __: Cursor, ___: int) -> _Ops:
    return _lost(("r", 0, 64, 0), ("r", 1, 64, 0), ("r", 11, 64, 0))


def _fence(lifter: X86Lifter, cursor: Cursor, _: int) -> _Ops:
    form = _modrm(cursor) >> 3 & 7
    if cursor.mod == 3:
        return _lost(lifter.reader.operand(cursor, 64)) if cursor.repeat else []
    memory = lifter.reader.memory(cursor, 64, 0)
    return _lost(memory, flags=False) if form in (0, 3, 4) else []


def _move_nontemporal(lifter: X86Lifter, cursor: Cursor, _: int) -> _Ops:
    _modrm(cursor)
    width = cursor.width
    return [("mov", lifter.reader.operand(cursor, width), lifter.reader.register(cursor, cursor.reg, width))]


# --- vectors: moves between them, memory and general registers are followed, in lanes of 32 bits -----------------


def _vector_register(cursor: Cursor) -> Operand:
    return ("r", VECTORS + cursor.reg, 128, 0)


def _vector_load(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    """movups/movaps/movdqa/movdqu and movss/movsd, both directions."""
    _modrm(cursor)
    size = 16
    if opcode in (0x10, 0x11) and cursor.repeat:
        size = 4 if cursor.repeat == 0xF3 else 8
    operand = lifter.reader.vector(cursor, size * 8)
    register = _vector_register(cursor)
    if opcode in (0x6F, 0x7F) and not cursor.repeat and not cursor.operand16:
        return [("lost", (), operand if operand[0] == "m" and opcode == 0x7F else None, False)]
    store = opcode in (0x11, 0x29, 0x7F, 0x2B, 0xE7)
    if size != 16 and operand[0] == "r":
        return _lost(operand if store else register, flags=False)
    return [("vmov", operand, register, size) if store else ("vmov", register, operand, size)]


def _vector_from_general(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    _modrm(cursor)
    size = 8 if cursor.rex & 8 else 4
    if opcode == 0x7E and cursor.repeat == 0xF3:
        return [("vlow", _vector_register(cursor), lifter.reader.vector(cursor, 64), 8)]
    if opcode == 0xD6:
        operand = lifter.reader.vector(cursor, 64)
        return [("vlow" if operand[0] == "r" else "vget", operand, _vector_register(cursor), 8)]
    operand = lifter.reader.operand(cursor, size * 8)
    if not cursor.operand16:
        return _lost(operand, flags=False) if opcode == 0x7E else []
    if opcode == 0x6E:
        return [("vlow", _vector_register(cursor), operand, size)]
    return [("vget", operand, _vector_register(cursor), size)]


def _vector_half(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    """movlps/movhps and their pd forms: loads and stores of one half."""
    _modrm(cursor)
    operand = lifter.reader.vector(cursor, 64)
    register = _vector_register(cursor)
    if operand[0] == "r":
        return _lost(register, flags=False)
    if opcode in (0x12, 0x16):
        return [("vput", register, operand, 0 if opcode == 0x12 else 2, 8)]
    return [("vtake", operand, register, 0 if opcode == 0x13 else 2, 8)]


def _vector_mix(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    _modrm(cursor)
    operand = lifter.reader.vector(cursor, 128)
    register = _vector_register(cursor)
    if not cursor.operand16 and opcode != 0x14:
        return _lost(flags=False)
    kind = {0x62: "dq", 0x6C: "qdq", 0x14: "dq" if not cursor.operand16 else "qdq"}[opcode]
    return [("vmix", kind, register, register, operand)]


_VECTOR_LOGIC = {0xDB: "and", 0xDF: "andn", 0xEB: "or", 0xEF: "xor", 0x54: "and", 0x55: "andn", 0x56: "or", 0x57: "xor"}


def _vector_logic(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    _modrm(cursor)
    operand = lifter.reader.vector(cursor, 128)
    register = _vector_register(cursor)
    if opcode >= 0xD0 and not cursor.operand16:
        return []
    if opcode in (0xEF, 0x57) and operand == register:
        return [("vzero", register)]
    return [("vbin", _VECTOR_LOGIC[opcode], register, register, operand)]


def _vector_shuffle(lifter: X86Lifter, cursor: Cursor, _: int) -> _Ops:
    _modrm(cursor)
    operand = lifter.reader.vector(cursor, 128, 1)
    order = cursor.byte()
    register = _vector_register(cursor)
    if not cursor.operand16 or cursor.repeat:
        return _lost(register, flags=False)
    return [("vshuffle", register, operand, order)]


# Two-byte opcodes that write a general register (ModRM.reg) from vectors, with an immediate byte or without.
_TO_GENERAL = frozenset([0x2C, 0x2D, 0x50, 0xD7, 0xC5])
_IMMEDIATE_BYTE = frozenset([0x70, 0x71, 0x72, 0x73, 0xC2, 0xC4, 0xC5, 0xC6])
_VECTOR_STORES = frozenset([0x13, 0x17, 0x29, 0x2B, 0xE7, 0xD6, 0x7E, 0x7F, 0x11])
_COMPARES = frozenset([0x2E, 0x2F])


def _vector(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
    """Any other SSE or MMX instruction."""
    _modrm(cursor)
    trailing = 1 if opcode in _IMMEDIATE_BYTE else 0
    operand = lifter.reader.vector(cursor, 128, trailing)
    cursor.at += trailing
    if opcode in _TO_GENERAL:
        return _lost(("r", cursor.reg, 64, 0), flags=False)
    if opcode in _COMPARES:
        return [("lost", (), None, True)]
    target = operand if opcode in (0x71, 0x72, 0x73) else _vector_register(cursor)
    if opcode in _VECTOR_STORES:
        target = operand
    return _lost(target, flags=False)


def _no_operand(_: X86Lifter, __: Cursor, ___: int) -> _Ops:
    return []


_TWO_BYTE: Dict[int, _Handler] = {}
for _codes, _handler in (
    ((*range(0x10, 0x12), *range(0x14, 0x16), *range(0x28, 0x30), *range(0x50, 0x80), *range(0xC2, 0xC7),
      *range(0xD0, 0x100)), _vector),
    ((0x10, 0x11, 0x28, 0x29, 0x2B, 0x6F, 0x7F, 0xE7), _vector_load), ((0x6E, 0x7E, 0xD6), _vector_from_general),
    ((0x12, 0x13, 0x16, 0x17), _vector_half), ((0x62, 0x6C, 0x14), _vector_mix), (tuple(_VECTOR_LOGIC), _vector_logic),
    ((0x70,), _vector_shuffle),
    ((0xC3,), _move_nontemporal), ((0x01,), _group7), ((0x05, 0x34), _system_call), ((0x0B,), _stop),
    ((0x06, 0x08, 0x09, 0x0E, 0x77, 0xAA), _no_operand), ((0x0D, *range(0x18, 0x20)), _hint),
    ((0x31, 0x32, 0x33), _clock), (range(0x40, 0x50), _conditional_move), (range(0x80, 0x90), _branch_near),
    (range(0x90, 0xA0), _set), ((0xA0, 0xA8), _push_flags), ((0xA1, 0xA9), _pop_flags), ((0xA2,), _question),
    ((0xA3, 0xAB, 0xB3, 0xBB, 0xBA), _bit_test), ((0xA4, 0xA5, 0xAC, 0xAD), _double_shift), ((0xAE,), _fence),
    ((0xAF,), _multiply), ((0xB0, 0xB1), _compare_exchange), ((0xB6, 0xB7, 0xBE, 0xBF), _extend),
    ((0xB8, 0xBC, 0xBD), _scan_bits), ((0xC0, 0xC1), _exchange_add), ((0xC7,), _group9),
    (range(0xC8, 0xD0), _swap_bytes), ((0xB9, 0xFF), _stop),
):  # fmt: skip
    for _code in _codes:
        _TWO_BYTE[_code] = _handler


def _three_byte(lifter: X86Lifter, cursor: Cursor, plane: int, opcode: int) -> _Ops:
    """0F 38 and 0F 3A: only what they overwrite is told, apart from inserting integers into vectors."""
    _modrm(cursor)
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
            return _lost(operand, flags=False)
        return _lost(register, ("r", 1, 64, 0)) if 0x60 <= opcode <= 0x63 else _lost(register, flags=False)
    operand = lifter.reader.operand(cursor, 64)
    if opcode in (0xF0, 0xF1, 0xF6, 0xF8, 0xF9, 0xFC):
        return _lost(general, operand) if operand[0] == "m" else _lost(general, ("r", operand[1], 64, 0))
    return _lost(register, flags=opcode == 0x17)


def _extended(lifter: X86Lifter, cursor: Cursor, opcode: int) -> _Ops:
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
    _modrm(cursor)
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
