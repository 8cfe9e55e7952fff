"""ARM64 loads and stores.

Encodings are those of the Arm Architecture Reference Manual (DDI 0487), C4.1.
"""

from __future__ import annotations

from typing import Optional, Tuple

from .aarch64_operands import OTHER, WORD, Ops, general, general_or_sp, lost, signed, vector_register
from .operations import SCRATCH, VECTORS, Operand


def memory_access(base: int, word: int, address: int) -> Optional[Ops]:
    """Loads and stores."""
    kind = word >> 28 & 3
    vector = word >> 26 & 1
    if kind == 3:
        return _single(word)
    if kind == 2:
        return _pair(word)
    if kind == 1 and not word >> 24 & 1:
        return _literal(base, word, address)
    if kind == 0:
        if word & 0xBE000000 == 0x0C000000:
            return _structures(word)
        if not vector and word >> 24 & 1 == 0:
            return _exclusive(word)
    if kind == 1 and word & 0x3F200C00 == 0x19000000:
        return _unscaled_release(word)
    return None


def _load(target: int, memory: Operand, size: int, opc: int) -> Ops:
    """A load of *size* bits into general register *target*; *opc* as encoded: 1 zero-, 2 and 3 sign-extending."""
    if opc == 1:
        return [("mov", general(target, 64 if size == 64 else 32), memory)]
    return [("movsx", general(target, 64 if opc == 2 else 32), memory)]


def _vector_access(number: int, memory: Operand, size: int, load: bool) -> Ops:
    """A load or store of the lowest *size* bits of a vector register."""
    if size in (32, 64, 128):
        if size == 128:
            return [
                ("vmov", vector_register(number), memory, 16) if load else ("vmov", memory, vector_register(number), 16)
            ]
        if load:
            return [("vlow", vector_register(number), memory, size // 8)]
        return [("vget", memory, vector_register(number), size // 8)]
    return lost(VECTORS + number) if load else lost(memory=memory)


def _access(word: int, memory: Operand) -> Optional[Ops]:
    """The access of a load or store of one register whose address is *memory* (of any width yet)."""
    size, opc, number = word >> 30, word >> 22 & 3, word & 31
    if word >> 26 & 1:
        bits = 128 if opc >> 1 else 8 << size
        return _vector_access(number, (*memory[:5], bits), bits, bool(opc & 1))
    bits = 8 << size
    where = (*memory[:5], bits)
    if opc == 0:
        return [("mov", where, general(number, bits))]
    if size == 3 and opc == 2:
        return []  # prfm
    return _load(number, where, bits, opc)


def _single(word: int) -> Optional[Ops]:
    base = word >> 5 & 31
    if word >> 24 & 1:
        scale = 4 if word & 0x04800000 == 0x04800000 else word >> 30
        return _access(word, ("m", base, None, 1, (word >> 10 & 0xFFF) << scale, 0))
    form = word >> 10 & 3
    if not word >> 21 & 1:
        offset = signed(word >> 12, 9)
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
        offset = signed(word >> 13 & 0x200 | word >> 12 & 0x1FF, 10) * 8
        return [*_load(word & 31, ("m", base, None, 1, offset, 64), 64, 1), *_moved(base, offset, word >> 11 & 1)]
    return None


def _moved(base: int, offset: int, wanted: int) -> Ops:
    return [("lea", general_or_sp(base), ("m", base, None, 1, offset, 64))] if wanted else []


def _indexed(word: int, base: int, offset: int, *, before: bool) -> Optional[Ops]:
    """Pre- and post-indexed accesses: the address is kept apart, as the register loaded may be the base."""
    accessed = _access(word, ("m", base, None, 1, offset if before else 0, 0))
    return [*accessed, *_moved(base, offset, 1)] if accessed is not None else None


def _extended_index(word: int) -> Tuple[Ops, Operand]:
    """The index register of an access with a register offset, extended."""
    option = word >> 13 & 7
    if option & 1:
        return [], general(word >> 16 & 31)
    place: Operand = ("r", SCRATCH, 64, 0)
    source = general(word >> 16 & 31, 32)
    found: Ops = [("movsx" if option == 6 else "mov", place, source)]
    return found, place


def _pair(word: int) -> Optional[Ops]:
    base, first, second = word >> 5 & 31, word & 31, word >> 10 & 31
    load, form = word >> 22 & 1, word >> 23 & 3
    opc = word >> 30
    if word >> 26 & 1:
        bits = 32 << opc
    else:
        if opc == 1 and not load:
            return None  # stgp
        bits = 64 if opc == 2 else 32
    offset = signed(word >> 15, 7) * (bits // 8)
    at = 0 if form == 1 else offset
    places = [("m", base, None, 1, at + step, bits) for step in (0, bits // 8)]
    found: Ops = []
    if word >> 26 & 1:
        for number, place in zip((first, second), places):
            found += _vector_access(number, place, bits, bool(load))
    elif load:
        # The first register may be the base of the second access.
        where: Operand = ("r", OTHER, 64, 0)
        found = [("lea", where, ("m", base, None, 1, at, 64))]
        for number, step in ((first, 0), (second, bits // 8)):
            found += _load(number, ("m", OTHER, None, 1, step, bits), bits, 2 if opc == 1 else 1)
    else:
        found = [("mov", place, general(number, bits)) for number, place in zip((first, second), places)]
    return [*found, *_moved(base, offset, form in (1, 3))]


def _literal(base: int, word: int, address: int) -> Ops:
    where = (address + 4 * signed(word >> 5, 19) & WORD) + base
    opc, number = word >> 30, word & 31
    if word >> 26 & 1:
        bits = 32 << opc
        return _vector_access(number, ("m", None, None, 1, where, bits), bits, load=True)
    if opc == 3:
        return []  # prfm
    bits = 64 if opc == 1 else 32
    return _load(number, ("m", None, None, 1, where, bits), bits, 2 if opc == 2 else 1)


def _exclusive(word: int) -> Optional[Ops]:
    """Exclusive, acquire and release accesses, compare and swap."""
    size, base, number = word >> 30, word >> 5 & 31, word & 31
    ordered, load, pair = word >> 23 & 1, word >> 22 & 1, word >> 21 & 1
    memory: Operand = ("m", base, None, 1, 0, 8 << size)
    status = word >> 16 & 31
    if ordered and not pair:
        return _load(number, memory, 8 << size, 1) if load else [("mov", memory, general(number, 8 << size))]
    if pair and (ordered or not size >> 1):  # cas, casp
        wide: Operand = ("m", base, None, 1, 0, 128)
        return lost(status, status | 1, memory=memory if ordered else wide)
    if load:
        return lost(number, word >> 10 & 31) if pair else _load(number, memory, 8 << size, 1)
    if pair:
        return lost(status, memory=("m", base, None, 1, 0, 128))
    return [("mov", memory, general(number, 8 << size)), *lost(status)]


def _unscaled_release(word: int) -> Optional[Ops]:
    """ldapur, stlur (FEAT_LRCPC2)."""
    memory: Operand = ("m", word >> 5 & 31, None, 1, signed(word >> 12, 9), 8 << (word >> 30))
    opc = word >> 22 & 3
    if opc == 0:
        return [("mov", memory, general(word & 31, memory[5]))]
    return _load(word & 31, memory, memory[5], opc)


def _atomic(word: int) -> Ops:
    """ldadd and its kin, swp, ldapr."""
    size, base = 8 << (word >> 30), word >> 5 & 31
    memory: Operand = ("m", base, None, 1, 0, size)
    if word & 0x3FFFFC00 == 0x38BFC000:
        return _load(word & 31, memory, size, 1)
    if word >> 12 & 15 > 8:  # ld64b and st64b: eight registers
        return lost(*range(word & 31, min((word & 31) + 8, 31)), memory=("m", base, None, 1, 0, 512))
    return lost(word & 31, memory=memory)


def _structures(word: int) -> Ops:
    """ld1 … st4: whole structures and lanes, with or without post-index."""
    base, first = word >> 5 & 31, word & 31
    found: Ops = []
    if word >> 22 & 1:
        found += lost(*(VECTORS + (first + step) % 32 for step in range(4)))
    else:
        found += lost(memory=("m", base, None, 1, 0, 512))
    if word >> 23 & 1:
        found += [("lost", (base,), None, False)]
    return found
