"""Reading one x86-64 instruction: prefixes, ModRM, operands, and what all groups of instructions share."""

from __future__ import annotations

from typing import Callable, List, Optional

from .operations import GO_X86_64_ABI, THREAD, VECTORS, X86_64_ABI, Lifter, Operand, Operation

CONDITIONS = ("o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g")


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


def modrm(cursor: Cursor) -> int:
    """Read the ModRM byte, which is returned."""
    byte = cursor.byte()
    cursor.mod = byte >> 6
    cursor.reg = byte >> 3 & 7 | (cursor.rex & 4) << 1
    cursor.rm = byte & 7
    return byte


class Reader:
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


Operations = List[Operation]
Handler = Callable[["X86Base", Cursor, int], Operations]


class X86Base(Lifter):
    """What the instructions need of the lifter for x86-64."""

    abi = X86_64_ABI
    go_abi = GO_X86_64_ABI

    def __init__(self, base: int) -> None:
        super().__init__(base)
        self.reader = Reader(base)

    def target(self, cursor: Cursor, size: int) -> int:
        """Target of a relative jump whose displacement is read now."""
        displacement = cursor.signed(size)
        return cursor.address + (cursor.at - cursor.start) + displacement & (1 << 64) - 1


def immediate(cursor: Cursor, width: int) -> int:
    """The next immediate of an operand of *width* bits: at most four bytes, signed."""
    return cursor.signed({8: 1, 16: 2, 32: 4, 64: 4}[width])


def lost(*operands: Operand, flags: bool = True) -> Operations:
    """Operands written with something not followed."""
    registers = tuple(operand[1] for operand in operands if operand[0] == "r")
    memory = next((operand for operand in operands if operand[0] == "m"), None)
    return [("lost", registers, memory, flags)]


def nothing(_: X86Base, __: Cursor, ___: int) -> Operations:
    """Changes nothing that is followed."""
    return []


def stop(_: X86Base, cursor: Cursor, opcode: int) -> Operations:
    """Control does not go on, or only through the kernel."""
    if opcode == 0xCD:
        cursor.byte()
        return lost(("r", 0, 64, 0))
    return [("stop",)]


STACK = ("r", 4, 64, 0)
_TOP = ("m", 4, None, 1, 0, 64)


def pushed(source: Operand) -> Operations:
    """*source* goes on the stack."""
    return [
        ("mov", ("r", 66, 64, 0), source),
        ("bin", "sub", STACK, STACK, ("i", 8), False),
        ("mov", _TOP, ("r", 66, 64, 0)),
    ]


def popped(target: Operand) -> Operations:
    """*target* comes from the stack."""
    return [
        ("mov", ("r", 66, 64, 0), _TOP),
        ("bin", "add", STACK, STACK, ("i", 8), False),
        ("mov", target, ("r", 66, 64, 0)),
    ]


def flags_lost(_: X86Base, __: Cursor, ___: int) -> Operations:
    """Flags that are not followed."""
    return [("lost", (), None, True)]


def pop_flags(_: X86Base, __: Cursor, ___: int) -> Operations:
    """POPF."""
    return [("bin", "add", STACK, STACK, ("i", 8), False), ("lost", (), None, True)]


def push_flags(_: X86Base, __: Cursor, ___: int) -> Operations:
    """PUSHF."""
    return [("lost", (66,), None, False), *pushed(("r", 66, 64, 0))[1:]]
