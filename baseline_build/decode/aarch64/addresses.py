"""The addresses that ARM64 words name."""

from __future__ import annotations

from .table import Operand

ADDRESS = 0xFFFFFFFFFFFFFFFF
PAIR_WINDOW = 4  # instructions after an adrp in which its low half is looked for


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def named_address(operand: Operand, word: int, address: int) -> int:
    """The address that *word* at *address* names with an operand of that kind (the page's start for ``adrp``)."""
    if operand is Operand.IMM26:
        offset = _signed(word & 0x3FFFFFF, 26) * 4
    elif operand in {Operand.IMM19, Operand.LITERAL}:
        offset = _signed(word >> 5 & 0x7FFFF, 19) * 4
    elif operand is Operand.IMM14:
        offset = _signed(word >> 5 & 0x3FFF, 14) * 4
    elif operand is Operand.IMM9:
        offset = _signed(word >> 5 & 0x1FF, 9) * 4
    else:
        offset = _signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
        if operand is Operand.ADRP:
            return ((address & ~0xFFF) + (offset << 12)) & ADDRESS
    return (address + offset) & ADDRESS


def low_half(word: int) -> int:
    """The low twelve bits that *word* adds to the page in the register of its bits 9:5, or -1 where it does not.

    ``add x?, xN, #imm`` and loads and stores with an unsigned offset (Arm ARM, C4.1).
    """
    if word & 0xFFC00000 == 0x91000000:
        return word >> 10 & 0xFFF
    if word & 0x3B000000 == 0x39000000:
        scale = word >> 30
        if word & 0x04800000 == 0x04800000:  # a 128-bit register: opc<1> with size 00
            scale = 4
        return (word >> 10 & 0xFFF) << scale
    return -1
