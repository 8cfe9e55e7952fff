"""What ARM64 instructions are made of: operands as the interpreter reads them, constants as they are encoded.

Encodings are those of the Arm Architecture Reference Manual (DDI 0487), C4.1.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

from .operations import SCRATCH, VECTORS, ZERO, Operand, Operation

Ops = List[Operation]
SP = 31
# A second scratch register.
OTHER = SCRATCH + 1
WORD = (1 << 64) - 1
# eq ne cs cc mi pl vs vc hi ls ge lt gt le al nv
CONDITIONS: Tuple[Optional[str], ...] = (
    "e", "ne", "ae", "b", "s", "ns", "o", "no", "a", "be", "ge", "l", "g", "le", None, None,
)  # fmt: skip
OPPOSITE = {condition: CONDITIONS[number ^ 1] for number, condition in enumerate(CONDITIONS)}


def signed(value: int, bits: int) -> int:
    """The lowest *bits* of *value* as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def general(number: int, width: int = 64) -> Operand:
    """A general register, 31 being the zero register."""
    return ("r", ZERO if number == 31 else number, width, 0)


def general_or_sp(number: int, width: int = 64) -> Operand:
    """A general register, 31 being the stack pointer."""
    return ("r", number, width, 0)


def vector_register(number: int) -> Operand:
    """All of a vector register."""
    return ("r", VECTORS + number, 128, 0)


def imm(number: int) -> Operand:
    """A constant."""
    return ("i", number)


def lost(*registers: int, memory: Optional[Operand] = None, flags: bool = False) -> Ops:
    """Registers, memory and flags that hold something not followed afterwards."""
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


def width_of(word: int) -> int:
    """Bits of the general registers that *word* names (its sf bit)."""
    return 64 if word >> 31 else 32
