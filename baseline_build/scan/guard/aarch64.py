"""ARM64 instructions as micro-operations: general-purpose data flow in full, vectors only where they carry integers.

Encodings are those of the Arm Architecture Reference Manual (DDI 0487), C4.1. What is not followed is still accounted
for: the registers and the memory it writes hold "something not followed" afterwards.

Flags: after a comparison the carry of ARM64 means "not below", so ``hs`` is ``ae``; after ``ands`` and ``adds`` carry
is not told at all (operations flagged ``result``), since there it means another thing than on x86.
"""

from __future__ import annotations

from typing import Callable, Optional, Tuple

from ...decode.aarch64.table import row_of
from .aarch64_branches import branches
from .aarch64_general import with_immediate, with_registers
from .aarch64_memory import memory_access
from .aarch64_operands import Ops
from .aarch64_vectors import floating, scalable
from .operations import AARCH64_ABI, GO_AARCH64_ABI, VECTORS, Lifter, Operand, Step


class Arm64Lifter(Lifter):
    """ARM64 for the interpreter."""

    abi = AARCH64_ABI
    go_abi = GO_AARCH64_ABI

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
        operations = group(self.base, word, address)
        if operations is None:
            operations = _anything(word)
        return Step(4, tuple(operations))


_Group = Callable[[int, int, int], Optional[Ops]]  # base, word, address


def _anything(word: int) -> Ops:
    """All that an instruction nothing is known of may write: any register it names, and memory."""
    registers = {word & 31, word >> 5 & 31, word >> 10 & 31, word >> 16 & 31} - {31}
    memory: Operand = ("m", word >> 5 & 31, None, 1, 0, 512)
    return [("lost", (*registers, VECTORS + (word & 31)), memory, True)]


def _unknown(_: int, word: int, __: int) -> Optional[Ops]:
    return [("stop",)] if word < 0x10000 else None


# Bits 28:25 of a word (DDI 0487, C4.1).
_GROUPS: Tuple[_Group, ...] = (
    _unknown, _unknown, scalable, _unknown, memory_access, with_registers, memory_access, floating,
    with_immediate, with_immediate, branches, branches, memory_access, with_registers, memory_access, floating,
)  # fmt: skip
