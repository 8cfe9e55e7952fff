"""x86-64 instructions as micro-operations: general-purpose data flow in full, vectors only where they carry integers.

Opcodes are those of the Intel SDM vol. 2, appendix A. What is not followed is still accounted for: the registers and
the memory it writes hold "something not followed" afterwards.
"""

from __future__ import annotations

from typing import Optional

from .operations import Step
from .x86_escaped import TWO_BYTE
from .x86_general import ONE_BYTE
from .x86_operands import Cursor, X86Base
from .x86_vectors import extended, three_byte

# Bytes of the longest instruction (SDM vol. 2, 2.3.11).
_MAX = 15


class X86Lifter(X86Base):
    """The lifter for x86-64."""

    def lift(self, code: bytes, offset: int, address: int) -> Optional[Step]:
        """See :meth:`Lifter.lift`."""
        cursor = Cursor(code, offset, address)
        try:
            opcode = cursor.prefixes()
            if opcode == 0x0F:
                opcode = cursor.byte()
                if opcode in (0x38, 0x3A):
                    operations = three_byte(self, cursor, opcode, cursor.byte())
                else:
                    operations = TWO_BYTE[opcode](self, cursor, opcode)
            elif opcode in (0xC4, 0xC5, 0x62) or (opcode == 0x8F and code[cursor.at] & 0x1F >= 8):
                operations = extended(self, cursor, opcode)
            elif opcode == 0xD5:
                return None
            else:
                operations = ONE_BYTE[opcode](self, cursor, opcode)
        except (IndexError, KeyError):
            return None
        length = cursor.at - offset
        return Step(length, tuple(operations)) if length <= _MAX else None
