"""What the fields of ARM64's ID registers tell (Arm Architecture Reference Manual, DDI 0487, D23.2).

Fields have four bits and their values grow with what the CPU can do: software is to ask for "at least" (DDI 0487,
D23.1.3, "Principles of the ID scheme"). So each bit tells what the least value with that bit tells.
"""

from __future__ import annotations

from functools import cache
from typing import Mapping, Tuple

Bits = Tuple[Tuple[int, Tuple[str, ...]], ...]
# Lowest bit of a field, then features by the least value that tells them.
_Field = Tuple[int, Tuple[Tuple[int, str], ...]]

# 16 * CRm + op2 (op0 = 3, op1 = CRn = 0) -> fields. Of the atomics, 1 is not given out, so that 2 is the least.
_FIELDS: Mapping[int, Tuple[_Field, ...]] = {
    0x60: (  # ID_AA64ISAR0_EL1
        (4, ((1, "aes"),)), (8, ((1, "sha2"),)), (12, ((1, "sha2"), (2, "sha3"))), (16, ((1, "crc"),)),
        (20, ((1, "lse"),)), (28, ((1, "rdm"),)), (32, ((1, "sha3"),)), (36, ((1, "sm4"),)), (40, ((1, "sm4"),)),
        (44, ((1, "dotprod"),)), (48, ((1, "fp16fml"),)), (52, ((1, "flagm"), (2, "flagm2"))), (60, ((1, "rng"),)),
    ),
    0x61: (  # ID_AA64ISAR1_EL1
        (0, ((1, "dpb"), (2, "dpb2"))), (12, ((1, "jscvt"),)), (16, ((1, "fcma"),)),
        (20, ((1, "rcpc"), (2, "rcpc2"))), (32, ((1, "frintts"),)), (36, ((1, "sb"),)), (44, ((1, "bf16"),)),
        (52, ((1, "i8mm"),)),
    ),
    0x40: ((32, ((1, "sve"),)), (48, ((1, "dit"),))),  # ID_AA64PFR0_EL1
    0x44: (  # ID_AA64ZFR0_EL1
        (0, ((1, "sve2"),)), (4, ((1, "sve2-aes"),)), (16, ((1, "sve2-bitperm"),)), (32, ((1, "sve2-sha3"),)),
        (40, ((1, "sve2-sm4"),)), (52, ((1, "f32mm"),)), (56, ((1, "f64mm"),)),
    ),
}  # fmt: skip


@cache
def questions() -> Mapping[int, Bits]:
    """16 * CRm + op2 of an ID register -> (bit, features), … of its bits."""
    return {
        register: tuple(
            (low + bit, tuple(name for least, name in told if least <= 1 << bit))
            for low, told in fields
            for bit in range(4)
        )
        for register, fields in _FIELDS.items()
    }
