"""ARM64 instructions as micro-operations: general-purpose data flow in full, vectors only where they carry integers.

Encodings are those of the Arm Architecture Reference Manual (DDI 0487), C4.1. What is not followed is still accounted
for: the registers and the memory it writes hold "something not followed" afterwards.

Flags: after a comparison the carry of ARM64 means "not below", so ``hs`` is ``ae``; after ``ands`` and ``adds`` carry
is not told at all (operations flagged ``result``), since there it means another thing than on x86.
"""

from __future__ import annotations

from typing import Callable, List, Mapping, Optional, Tuple

from ...decode.aarch64.table import row_of
from .operations import AARCH64_ABI, SCRATCH, THREAD, VECTORS, ZERO, Lifter, Operand, Operation, Step

_Ops = List[Operation]
_SP = 31
_OTHER = SCRATCH + 1
_WORD = (1 << 64) - 1
# eq ne cs cc mi pl vs vc hi ls ge lt gt le al nv
_CONDITIONS: Tuple[Optional[str], ...] = (
    "e", "ne", "ae", "b", "s", "ns", "o", "no", "a", "be", "ge", "l", "g", "le", None, None,
)  # fmt: skip
_OPPOSITE = {condition: _CONDITIONS[number ^ 1] for number, condition in enumerate(_CONDITIONS)}

Table = Tuple[Tuple[int, Tuple[str, ...]], ...]
# What single bits of the ID registers tell (DDI 0487, D23.2): 16 * CRm + op2 (op0 = 3, op1 = CRn = 0) ->
# (bit, features). A field's bit is
# listed where it is only ever 1 with that feature.
_ID_REGISTERS: Mapping[int, Table] = {
    0x60: (  # ID_AA64ISAR0_EL1
        (4, ("aes",)), (5, ("aes",)), (8, ("sha2",)), (12, ("sha2",)), (13, ("sha3",)), (16, ("crc",)),
        (21, ("lse",)), (28, ("rdm",)), (32, ("sha3",)), (36, ("sm4",)), (40, ("sm4",)), (44, ("dotprod",)),
        (48, ("fp16fml",)), (52, ("flagm",)), (53, ("flagm2",)), (60, ("rng",)),
    ),
    0x61: (  # ID_AA64ISAR1_EL1
        (0, ("dpb",)), (1, ("dpb2",)), (12, ("jscvt",)), (16, ("fcma",)), (20, ("rcpc",)), (21, ("rcpc2",)),
        (32, ("frintts",)), (36, ("sb",)), (44, ("bf16",)), (52, ("i8mm",)),
    ),
    0x40: ((32, ("sve",)), (48, ("dit",))),  # ID_AA64PFR0_EL1
    0x44: (  # ID_AA64ZFR0_EL1
        (0, ("sve2",)), (4, ("sve2-aes",)), (5, ("sve2-aes",)), (16, ("sve2-bitperm",)), (32, ("sve2-sha3",)),
        (40, ("sve2-sm4",)), (52, ("f32mm",)), (56, ("f64mm",)),
    ),
}  # fmt: skip
_THREAD_POINTER = 0xD53BD040  # mrs x0, tpidr_el0


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _reg(number: int, width: int = 64) -> Operand:
    """A general register, 31 being the zero register."""
    return ("r", ZERO if number == 31 else number, width, 0)


def _sp(number: int, width: int = 64) -> Operand:
    """A general register, 31 being the stack pointer."""
    return ("r", number, width, 0)


def _vector(number: int) -> Operand:
    return ("r", VECTORS + number, 128, 0)


def _imm(number: int) -> Operand:
    return ("i", number)


def _lost(*registers: int, memory: Optional[Operand] = None, flags: bool = False) -> _Ops:
    return [("lost", tuple(n for n in registers if n != 31), memory, flags)]


def bit_mask(n: int, imms: int, immr: int, width: int) -> Optional[int]:
    """The constant of a logical instruction (DDI 0487, DecodeBitMasks); ``None`` for reserved ones."""
    length = (n << 6 | ~imms & 0x3F).bit_length() - 1
    if length < 1:
        return None
    size = 1 << length
    ones, rotation = (imms & (size - 1)) + 1, immr & (size - 1)
    if ones == size or size > width:
        return None
    element = (1 << ones) - 1
    element = (element >> rotation | element << (size - rotation)) & ((1 << size) - 1)
    result = 0
    for at in range(0, width, size):
        result |= element << at
    return result


class Arm64Lifter(Lifter):
    """ARM64 for the interpreter."""

    abi = AARCH64_ABI

    def lift(self, code: bytes, offset: int, address: int) -> Optional[Step]:
        """See :meth:`Lifter.lift`."""
        raw = code[offset : offset + 4]
        if len(raw) < 4:
            return None
        word = int.from_bytes(raw, "little")
        row = row_of(word)
        if not row.valid:
            return None
        group = _GROUPS[word >> 25 & 15]
        operations = group(self, word, address)
        if operations is None:
            operations = _anything(word)
        return Step(4, tuple(operations))


_Group = Callable[[Arm64Lifter, int, int], Optional[_Ops]]


def _anything(word: int) -> _Ops:
    """All that an instruction nothing is known of may write: any register it names, and memory."""
    registers = {word & 31, word >> 5 & 31, word >> 10 & 31, word >> 16 & 31} - {31}
    memory: Operand = ("m", word >> 5 & 31, None, 1, 0, 512)
    return [("lost", (*registers, VECTORS + (word & 31)), memory, True)]


# --- data processing, immediate ---------------------------------------------------------------------------------------


def _immediate(lifter: Arm64Lifter, word: int, address: int) -> Optional[_Ops]:
    kind = word >> 23 & 7
    if kind in (0, 1):
        return _address(lifter, word, address)
    return {2: _add_immediate, 4: _logical_immediate, 5: _move_wide, 6: _bitfield, 7: _extract}.get(kind, _tags)(word)


def _address(lifter: Arm64Lifter, word: int, address: int) -> _Ops:
    offset = _signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
    number = (address & ~0xFFF) + (offset << 12) if word >> 31 else address + offset
    return [("mov", _reg(word & 31), _imm((number & _WORD) + lifter.base))]


def _tags(word: int) -> _Ops:
    """addg, subg and what else stands there."""
    return _lost(word & 31) if word & 31 != 31 else [("lost", (_SP,), None, False)]


def _width(word: int) -> int:
    return 64 if word >> 31 else 32


def _add_immediate(word: int) -> _Ops:
    width = _width(word)
    number = (word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)
    first = _sp(word >> 5 & 31, width)
    subtract, flags = word >> 30 & 1, word >> 29 & 1
    name = "sub" if subtract else "add"
    if not flags:
        if number == 0:
            return [("mov", _sp(word & 31, width), first)]
        return [("bin", name, _sp(word & 31, width), first, _imm(number), False)]
    return _with_flags(name, _reg(word & 31, width), first, _imm(number), width)


def _with_flags(name: str, target: Operand, first: Operand, second: Operand, width: int) -> _Ops:
    """``adds`` and ``subs``: a comparison where that says the same, then the arithmetic."""
    if name == "sub":
        found: _Ops = [("cmp", first, second)]
    elif second[0] == "i" and second[1]:
        # a + n sets the flags that a - (-n) sets, carry included, for every n but 0.
        found = [("cmp", first, _imm(-second[1] & ((1 << width) - 1)))]
    else:
        return [("bin", name, target, first, second, "result")]
    return found if target[1] == ZERO else [*found, ("bin", name, target, first, second, False)]


def _logical_immediate(word: int) -> Optional[_Ops]:
    width = _width(word)
    number = bit_mask(word >> 22 & 1, word >> 10 & 63, word >> 16 & 63, width)
    if number is None:
        return None
    name = ("and", "or", "xor", "and")[word >> 29 & 3]
    first = _reg(word >> 5 & 31, width)
    if word >> 29 & 3 == 3:
        return _ands(_reg(word & 31, width), first, _imm(number), "and")
    if name == "or" and first[1] == ZERO:
        return [("mov", _sp(word & 31, width), _imm(number))]
    return [("bin", name, _sp(word & 31, width), first, _imm(number), False)]


def _ands(target: Operand, first: Operand, second: Operand, name: str) -> _Ops:
    place = ("r", SCRATCH, target[2], 0) if target[1] == ZERO else target
    return [("bin", name, place, first, second, "result")]


def _move_wide(word: int) -> Optional[_Ops]:
    width = _width(word)
    shift = 16 * (word >> 21 & 3)
    number = (word >> 5 & 0xFFFF) << shift
    target = _reg(word & 31, width)
    kind = word >> 29 & 3
    if kind == 3:
        hole = ((1 << width) - 1) & ~(0xFFFF << shift)
        return [
            ("bin", "and", target, target, _imm(hole), False),
            ("bin", "or", target, target, _imm(number), False),
        ]
    if kind == 0:
        number = ~number & ((1 << width) - 1)
    return [("mov", target, _imm(number))]


def _bitfield(word: int) -> Optional[_Ops]:
    width = _width(word)
    rotation, last = word >> 16 & 63, word >> 10 & 63
    target, source = _reg(word & 31, width), _reg(word >> 5 & 31, width)
    kind = word >> 29 & 3
    length, low, up = (last - rotation + 1, rotation, 0) if last >= rotation else (last + 1, 0, width - rotation)
    field: Operand = ("r", SCRATCH, 64, 0)
    mask = (1 << length) - 1
    found: _Ops = [("mov", field, source)]
    if low:
        found.append(("bin", "shr", field, field, _imm(low), False))
    if kind == 0:  # sbfm
        found.append(("movsx", field, ("r", SCRATCH, length, 0)))
    else:
        found.append(("bin", "and", field, field, _imm(mask), False))
    if up:
        found.append(("bin", "shl", field, field, _imm(up), False))
    if kind == 1:  # bfm
        hole = ((1 << width) - 1) & ~(mask << up)
        found.append(("bin", "and", target, target, _imm(hole), False))
        return [*found, ("bin", "or", target, target, ("r", SCRATCH, width, 0), False)]
    return [*found, ("mov", target, ("r", SCRATCH, width, 0))]


def _extract(word: int) -> _Ops:
    number, amount = word >> 5 & 31, word >> 10 & 63
    if number == word >> 16 & 31:
        width = _width(word)
        return [("bin", "ror", _reg(word & 31, width), _reg(number, width), _imm(amount), False)]
    return _lost(word & 31)


# --- branches, exceptions, system -------------------------------------------------------------------------------------


def _branches(_: Arm64Lifter, word: int, address: int) -> Optional[_Ops]:
    top = word >> 26 & 31
    if top == 0b00101:
        target = address + 4 * _signed(word, 26) & _WORD
        return [("call" if word >> 31 else "jump", target)]
    near = address + 4 * _signed(word >> 5, 19) & _WORD
    if word >> 25 & 63 == 0b011010:
        width = _width(word)
        return [("zero", _reg(word & 31, width), near, not word >> 24 & 1)]
    if word >> 25 & 63 == 0b011011:
        number = word >> 26 & 32 | word >> 19 & 31
        target = address + 4 * _signed(word >> 5, 14) & _WORD
        return [("tbit", _reg(word & 31), number, target, not word >> 24 & 1)]
    if word >> 25 == 0b0101010:
        if word >> 24 & 1:
            return [("ret",)]  # retaasppc
        condition = _CONDITIONS[word & 15]
        return [("jump", near)] if condition is None else [("branch", condition, near)]
    if word >> 24 == 0xD4:
        # svc: the kernel keeps everything but x0 and may write memory it was given; brk, hlt: the end.
        return _lost(0, memory=("m", 1, None, 1, 0, 512)) if word & 0xFFE0001F == 0xD4000001 else [("stop",)]
    if word >> 24 == 0xD5:
        return _system(word)
    if word >> 25 == 0b1101011:
        return _register_branch(word)
    if word >> 25 & 63 == 0b111010:
        return _compare_branch(word, address)
    return None


def _compare_branch(word: int, address: int) -> _Ops:
    """cb<cc> (FEAT_CMPBR): which way is taken tells nothing that is followed."""
    target = address + 4 * _signed(word >> 5, 9) & _WORD
    return [("branch", None, target)]


def _register_branch(word: int) -> _Ops:
    kind = word >> 21 & 15
    source = _reg(word >> 5 & 31)
    if kind in (0, 8):
        return [("jumpi", source)]
    if kind in (1, 9):
        return [("calli", source)]
    return [("ret",)]


def _system(word: int) -> _Ops:
    number = word & 31
    if word & 0xFFFFF01F == 0xD503201F:
        # Hints. Pointer authentication with implied registers changes x17 or the link register, which nothing follows.
        return _lost(17) if word >> 8 & 15 == 1 else []
    if word & 0xFFE00000 == 0xD5200000:
        if word & 0xFFFFFFE0 == _THREAD_POINTER & ~31:
            return [("mov", _reg(number), ("r", THREAD, 64, 0))]
        if word & 0xFFFFF000 == 0xD5380000 and word >> 8 & 15 >= 4:
            return [("ask", _reg(number), _ID_REGISTERS.get(word >> 4 & 0xF0 | word >> 5 & 7, ()))]
        return _lost(number)
    if word & 0xFFFFFFE0 == 0xD51B4200 or word & 0xFFF8F01F == 0xD500401F:
        return _lost(flags=True)  # msr nzcv, cfinv, xaflag, axflag
    if word & 0xFFFFFFE0 == 0xD50B7420:
        return _lost(memory=("m", number, None, 1, 0, 512))  # dc zva
    return []


# --- data processing, register ----------------------------------------------------------------------------------------


def _register(_: Arm64Lifter, word: int, __: int) -> Optional[_Ops]:
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
    return _lost(word & 31, flags=True)  # adc, sbc, rmif, setf


def _shifted(word: int, width: int) -> Tuple[_Ops, Operand]:
    """The second operand with its shift, in the scratch register where there is one."""
    source = _reg(word >> 16 & 31, width)
    amount = word >> 10 & 63
    if not amount:
        return [], source
    name = ("shl", "shr", "sar", "ror")[word >> 22 & 3]
    place = ("r", SCRATCH, width, 0)
    return [("bin", name, place, source, _imm(amount), False)], place


def _logical(word: int) -> _Ops:
    width = _width(word)
    found, second = _shifted(word, width)
    first, target = _reg(word >> 5 & 31, width), _reg(word & 31, width)
    name = ("and", "or", "xor", "and")[word >> 29 & 3]
    if word >> 21 & 1:
        if name == "and":
            first, second, name = second, first, "andn"
        else:
            place = ("r", SCRATCH, width, 0)
            found = [*found, ("bin", "xor", place, second, _imm((1 << width) - 1), False)]
            second = place
    if word >> 29 & 3 == 3:
        if name == "and" and first == second:
            # tst x, x: the outcome tells of the register itself.
            copy: _Ops = [] if target[1] in (ZERO, first[1]) else [("mov", target, first)]
            return [*found, *copy, ("bin", "or", first, first, _imm(0), "result")]
        return [*found, *_ands(target, first, second, name)]
    if name == "or" and first[1] == ZERO:
        return [*found, ("mov", target, second)]
    return [*found, ("bin", name, target, first, second, False)]


def _add_shifted(word: int) -> _Ops:
    width = _width(word)
    found, second = _shifted(word, width)
    return [*found, *_sum(word, _reg(word & 31, width), _reg(word >> 5 & 31, width), second, width)]


def _sum(word: int, target: Operand, first: Operand, second: Operand, width: int) -> _Ops:
    name = "sub" if word >> 30 & 1 else "add"
    if word >> 29 & 1:
        return _with_flags(name, target, first, second, width)
    return [("bin", name, target, first, second, False)]


def _extended(word: int) -> Tuple[_Ops, Operand]:
    """Rm with its extension and shift, 64 bits wide, in the scratch register."""
    option, amount = word >> 13 & 7, word >> 10 & 7
    place: Operand = ("r", SCRATCH, 64, 0)
    source = _reg(word >> 16 & 31, 8 << (option & 3))
    found: _Ops = [("movsx" if option & 4 and option != 7 else "mov", place, source)]
    if amount:
        found.append(("bin", "shl", place, place, _imm(amount), False))
    return found, place


def _add_extended(word: int) -> _Ops:
    width = _width(word)
    found, place = _extended(word)
    target = _reg(word & 31, width) if word >> 29 & 1 else _sp(word & 31, width)
    return [*found, *_sum(word, target, _sp(word >> 5 & 31, width), (*place[:2], width, 0), width)]


def _three_sources(word: int) -> _Ops:
    if word >> 21 & 7 or word >> 29 & 3:
        return _lost(word & 31)
    width = _width(word)
    place = ("r", SCRATCH, width, 0)
    name = "sub" if word >> 15 & 1 else "add"
    return [
        ("bin", "mul", place, _reg(word >> 5 & 31, width), _reg(word >> 16 & 31, width), False),
        ("bin", name, _reg(word & 31, width), _reg(word >> 10 & 31, width), place, False),
    ]


def _two_sources(word: int) -> _Ops:
    name = {8: "shl", 9: "shr", 10: "sar", 11: "ror"}.get(word >> 10 & 63)
    if name is None or word >> 29 & 1:
        return _lost(word & 31, flags=bool(word >> 29 & 1))
    width = _width(word)
    return [("bin", name, _reg(word & 31, width), _reg(word >> 5 & 31, width), _reg(word >> 16 & 31, width), False)]


def _one_source(word: int) -> _Ops:
    # rbit, rev, clz, pointer authentication: pac* and aut* give the pointer back for what is followed here.
    if word >> 16 & 31 == 1:
        return []
    return _lost(word & 31)


def _select(word: int) -> _Ops:
    """csel, csinc, csinv, csneg."""
    width = _width(word)
    condition = _CONDITIONS[word >> 12 & 15]
    first, second = _reg(word >> 5 & 31, width), _reg(word >> 16 & 31, width)
    target = _reg(word & 31, width)
    kind = word >> 29 & 2 | word >> 10 & 1
    if condition is None:
        return [("mov", target, first)]
    if kind == 1 and first[1] == second[1] == ZERO:
        return [("set", _OPPOSITE[condition], target)]
    place = ("r", SCRATCH, width, 0)
    found: _Ops = []
    if kind == 1:
        found = [("bin", "add", place, second, _imm(1), False)]
    elif kind == 2:
        found = [("bin", "xor", place, second, _imm((1 << width) - 1), False)]
    elif kind == 3:
        found = [("bin", "sub", place, ("r", ZERO, width, 0), second, False)]
    return [*found, ("cmov", condition, target, first, place if found else second)]


def _compare_again(word: int) -> _Ops:
    """ccmp, ccmn: the comparison where a condition holds, else given flags.

    Zero and sign are followed: they are those of the difference, or of a constant that stands for the given flags.
    """
    width = _width(word)
    condition = _CONDITIONS[word >> 12 & 15]
    first = _reg(word >> 5 & 31, width)
    second = _imm(word >> 16 & 31) if word >> 11 & 1 else _reg(word >> 16 & 31, width)
    difference, chosen = ("r", SCRATCH, width, 0), ("r", _OTHER, width, 0)
    name = "sub" if word >> 30 & 1 else "add"
    if word & 12 == 12:
        return _lost(flags=True)  # negative and zero at once: no number stands for that
    given = 0 if word & 4 else (1 << width) - 1 if word & 8 else 1
    found: _Ops = [("bin", name, difference, first, second, False)]
    if condition is None:
        return [*found, ("bin", "or", difference, difference, _imm(0), "result")]
    return [
        *found,
        ("mov", chosen, _imm(given)),
        ("cmov", condition, chosen, difference, chosen),
        ("bin", "or", chosen, chosen, _imm(0), "result"),
    ]


# --- loads and stores -------------------------------------------------------------------------------------------------


def _memory(lifter: Arm64Lifter, word: int, address: int) -> Optional[_Ops]:
    kind = word >> 28 & 3
    vector = word >> 26 & 1
    if kind == 3:
        return _single(word)
    if kind == 2:
        return _pair(word)
    if kind == 1 and not word >> 24 & 1:
        return _literal(lifter, word, address)
    if kind == 0:
        if word & 0xBE000000 == 0x0C000000:
            return _structures(word)
        if not vector and word >> 24 & 1 == 0:
            return _exclusive(word)
    if kind == 1 and word & 0x3F200C00 == 0x19000000:
        return _unscaled_release(word)
    return None


def _load(target: int, memory: Operand, size: int, opc: int) -> _Ops:
    """A load of *size* bits into general register *target*; *opc* as encoded: 1 zero-, 2 and 3 sign-extending."""
    if opc == 1:
        return [("mov", _reg(target, 64 if size == 64 else 32), memory)]
    return [("movsx", _reg(target, 64 if opc == 2 else 32), memory)]


def _vector_access(number: int, memory: Operand, size: int, load: bool) -> _Ops:
    """A load or store of the lowest *size* bits of a vector register."""
    if size in (32, 64, 128):
        if size == 128:
            return [("vmov", _vector(number), memory, 16) if load else ("vmov", memory, _vector(number), 16)]
        if load:
            return [("vlow", _vector(number), memory, size // 8)]
        return [("vget", memory, _vector(number), size // 8)]
    return _lost(VECTORS + number) if load else _lost(memory=memory)


def _access(word: int, memory: Operand) -> Optional[_Ops]:
    """The access of a load or store of one register whose address is *memory* (of any width yet)."""
    size, opc, number = word >> 30, word >> 22 & 3, word & 31
    if word >> 26 & 1:
        bits = 128 if opc >> 1 else 8 << size
        return _vector_access(number, (*memory[:5], bits), bits, bool(opc & 1))
    bits = 8 << size
    where = (*memory[:5], bits)
    if opc == 0:
        return [("mov", where, _reg(number, bits))]
    if size == 3 and opc == 2:
        return []  # prfm
    return _load(number, where, bits, opc)


def _single(word: int) -> Optional[_Ops]:
    base = word >> 5 & 31
    if word >> 24 & 1:
        scale = 4 if word & 0x04800000 == 0x04800000 else word >> 30
        return _access(word, ("m", base, None, 1, (word >> 10 & 0xFFF) << scale, 0))
    form = word >> 10 & 3
    if not word >> 21 & 1:
        offset = _signed(word >> 12, 9)
        if form in (0, 2):
            return _access(word, ("m", base, None, 1, offset, 0))
        return _indexed(word, base, offset, before=form == 3)
    if form == 2:
        found, place = _extended_index(word)
        scale = 4 if word & 0x04800000 == 0x04800000 else word >> 30
        accessed = _access(word, ("m", base, place[1], 1 << scale if word >> 12 & 1 else 1, 0, 0))
        return [*found, *accessed] if accessed is not None else None
    if form == 0 and not word >> 26 & 1:
        return _atomic(word)
    if not word >> 26 & 1:  # ldraa, ldrab
        offset = _signed(word >> 13 & 0x200 | word >> 12 & 0x1FF, 10) * 8
        return [*_load(word & 31, ("m", base, None, 1, offset, 64), 64, 1), *_moved(base, offset, word >> 11 & 1)]
    return None


def _moved(base: int, offset: int, wanted: int) -> _Ops:
    return [("lea", _sp(base), ("m", base, None, 1, offset, 64))] if wanted else []


def _indexed(word: int, base: int, offset: int, *, before: bool) -> Optional[_Ops]:
    """Pre- and post-indexed accesses: the address is kept apart, as the register loaded may be the base."""
    accessed = _access(word, ("m", base, None, 1, offset if before else 0, 0))
    return [*accessed, *_moved(base, offset, 1)] if accessed is not None else None


def _extended_index(word: int) -> Tuple[_Ops, Operand]:
    """The index register of an access with a register offset, extended."""
    option = word >> 13 & 7
    place: Operand = ("r", SCRATCH, 64, 0)
    source = _reg(word >> 16 & 31, 64 if option & 1 else 32)
    found: _Ops = [("movsx" if option == 6 else "mov", place, source)]
    return found, place


def _pair(word: int) -> Optional[_Ops]:
    base, first, second = word >> 5 & 31, word & 31, word >> 10 & 31
    load, form = word >> 22 & 1, word >> 23 & 3
    opc = word >> 30
    if word >> 26 & 1:
        bits = 32 << opc
    else:
        if opc == 1 and not load:
            return None  # stgp
        bits = 64 if opc == 2 else 32
    offset = _signed(word >> 15, 7) * (bits // 8)
    at = 0 if form == 1 else offset
    places = [("m", base, None, 1, at + step, bits) for step in (0, bits // 8)]
    found: _Ops = []
    if word >> 26 & 1:
        for number, place in zip((first, second), places):
            found += _vector_access(number, place, bits, bool(load))
    elif load:
        # The first register may be the base of the second access.
        where: Operand = ("r", _OTHER, 64, 0)
        found = [("lea", where, ("m", base, None, 1, at, 64))]
        for number, step in ((first, 0), (second, bits // 8)):
            found += _load(number, ("m", _OTHER, None, 1, step, bits), bits, 2 if opc == 1 else 1)
    else:
        found = [("mov", place, _reg(number, bits)) for number, place in zip((first, second), places)]
    return [*found, *_moved(base, offset, form in (1, 3))]


def _literal(lifter: Arm64Lifter, word: int, address: int) -> _Ops:
    where = (address + 4 * _signed(word >> 5, 19) & _WORD) + lifter.base
    opc, number = word >> 30, word & 31
    if word >> 26 & 1:
        bits = 32 << opc
        return _vector_access(number, ("m", None, None, 1, where, bits), bits, load=True)
    if opc == 3:
        return []  # prfm
    bits = 64 if opc == 1 else 32
    return _load(number, ("m", None, None, 1, where, bits), bits, 2 if opc == 2 else 1)


def _exclusive(word: int) -> Optional[_Ops]:
    """Exclusive, acquire and release accesses, compare and swap."""
    size, base, number = word >> 30, word >> 5 & 31, word & 31
    ordered, load, pair = word >> 23 & 1, word >> 22 & 1, word >> 21 & 1
    memory: Operand = ("m", base, None, 1, 0, 8 << size)
    status = word >> 16 & 31
    if ordered and not pair:
        return _load(number, memory, 8 << size, 1) if load else [("mov", memory, _reg(number, 8 << size))]
    if pair and (ordered or not size >> 1):  # cas, casp
        wide: Operand = ("m", base, None, 1, 0, 128)
        return _lost(status, status | 1, memory=memory if ordered else wide)
    if load:
        return _lost(number, word >> 10 & 31) if pair else _load(number, memory, 8 << size, 1)
    if pair:
        return _lost(status, memory=("m", base, None, 1, 0, 128))
    return [("mov", memory, _reg(number, 8 << size)), *_lost(status)]


def _unscaled_release(word: int) -> Optional[_Ops]:
    """ldapur, stlur (FEAT_LRCPC2)."""
    memory: Operand = ("m", word >> 5 & 31, None, 1, _signed(word >> 12, 9), 8 << (word >> 30))
    opc = word >> 22 & 3
    if opc == 0:
        return [("mov", memory, _reg(word & 31, memory[5]))]
    return _load(word & 31, memory, memory[5], opc)


def _atomic(word: int) -> _Ops:
    """ldadd and its kin, swp, ldapr."""
    size, base = 8 << (word >> 30), word >> 5 & 31
    memory: Operand = ("m", base, None, 1, 0, size)
    if word & 0x3FFFFC00 == 0x38BFC000:
        return _load(word & 31, memory, size, 1)
    if word >> 12 & 15 > 8:  # ld64b and st64b: eight registers
        return _lost(*range(word & 31, min((word & 31) + 8, 31)), memory=("m", base, None, 1, 0, 512))
    return _lost(word & 31, memory=memory)


def _structures(word: int) -> _Ops:
    """ld1 … st4: whole structures and lanes, with or without post-index."""
    base, first = word >> 5 & 31, word & 31
    found: _Ops = []
    if word >> 22 & 1:
        found += _lost(*(VECTORS + (first + step) % 32 for step in range(4)))
    else:
        found += _lost(memory=("m", base, None, 1, 0, 512))
    if word >> 23 & 1:
        found += [("lost", (base,), None, False)]
    return found


# --- vectors and floating point ---------------------------------------------------------------------------------------


# op and cmode of movi whose immediate 0 makes the whole register 0.
_ZEROS = frozenset([(0, 0), (0, 2), (0, 4), (0, 6), (0, 8), (0, 10), (0, 14), (1, 14)])


def _floating(_: Arm64Lifter, word: int, __: int) -> Optional[_Ops]:
    number, source = word & 31, word >> 5 & 31
    if word & 0x5F20FC00 == 0x1E200000:
        return _conversion(word, number, source)
    if word & 0x5F200000 == 0x1E000000:  # fixed point
        return _lost(VECTORS + number) + _lost(number)
    if word & 0xFF20FC00 == 0x1E202000 or word & 0xFF200C00 == 0x1E200400:
        return _lost(flags=True)  # fcmp, fccmp
    if word & 0xBFE0FC00 == 0x0E003C00 or word & 0xBFE0FC00 == 0x0E002C00:
        return _lost(number)  # umov, smov
    if word & 0x9FF80C00 == 0x0F000400 and not word & 0x000703E0 and (word >> 29 & 1, word >> 12 & 15) in _ZEROS:
        return [("vzero", _vector(number))]
    if word & 0xBFE0FC00 == 0x2E201C00 and source == word >> 16 & 31:
        return [("vzero", _vector(number))]  # eor v, v, v
    if word & 0xFFE0FC00 == 0x4EA01C00 and source == word >> 16 & 31:
        return [("vmov", _vector(number), _vector(source), 16)]
    return _lost(VECTORS + number)


def _conversion(word: int, number: int, source: int) -> _Ops:
    """Between general and vector registers: fmov as it is, the rest lost on either side."""
    if word & 0xFFFFFC00 in (0x1E270000, 0x9E670000):
        size = 4 if word >> 31 == 0 else 8
        return [("vlow", _vector(number), _reg(source, size * 8), size)]
    if word & 0xFFFFFC00 in (0x1E260000, 0x9E660000):
        size = 4 if word >> 31 == 0 else 8
        return [("vget", _reg(number, size * 8), _vector(source), size)]
    return _lost(number, VECTORS + number)


def _scalable(_: Arm64Lifter, word: int, __: int) -> _Ops:
    """SVE and SME: what they may write."""
    found: _Ops = [("lost", (SCRATCH,), None, False)]
    registers = (word & 31, VECTORS + (word & 31))
    if word & 31 == 31 and word >> 24 == 4:
        found.append(("lost", (_SP,), None, False))  # addvl sp, addpl sp
    memory: Optional[Operand] = None
    if word >> 29 == 7 or word >> 25 & 15 == 0:
        memory = ("m", word >> 5 & 31, SCRATCH, 1, 0, 512)
    return [*found, *_lost(*registers, memory=memory, flags=True)]


def _unknown(_: Arm64Lifter, word: int, __: int) -> Optional[_Ops]:
    return [("stop",)] if word < 0x10000 else None


# Bits 28:25 of a word (DDI 0487, C4.1).
_GROUPS: Tuple[_Group, ...] = (
    _unknown, _unknown, _scalable, _unknown, _memory, _register, _memory, _floating,
    _immediate, _immediate, _branches, _branches, _memory, _register, _memory, _floating,
)  # fmt: skip
