"""Machine-neutral micro-operations: what the lifters make of instructions, and what the interpreter reads.

An operation is a tuple whose first item names it; ``dst``/``src``/``a``/``b`` are operands:

* ``("r", number, width, shift)``: *width* bits of a register from bit *shift* on;
* ``("i", number)``: a constant (addresses in the image are already moved, see :attr:`Lifter.base`);
* ``("m", base, index, scale, displacement, width)``: memory; *base* and *index* are register numbers or ``None``.

========================  ==========================================================================================
``mov dst src``           copy, zero-extended to the destination's width; writing 32 bits clears the upper ones
``movsx dst src``         copy, sign-extended
``lea dst m``             address of ``m``
``bin name dst a b f``    ``dst = a NAME b``; *f*: flags are set
``cmp a b`` ``test a b``  flags of ``a - b`` and ``a & b``
``bit a b``               carry = bit *b* of *a*
``set cond dst``          1 or 0
``cmov cond dst a b``     ``dst = a if cond else b``
``carry dst``             all ones when carry is set, else 0
``jump t`` ``branch cond t``  direct (*cond* ``None``: not followed). ``zero a t sense``, ``tbit a n t sense``:
                          branch on
                          ``a == 0`` / bit *n* of *a*; *sense*: taken when that is zero (false: when not)
``jumpi src`` ``calli src``  indirect;  ``call t``, ``ret``, ``stop``
``cpuid`` ``xcr``         the x86 questions; ``known dst facts``: dst = 0, or not 0 and then *facts* (names) hold
``ask dst table``         dst = bits with the facts of *table* ((bit, names), …)
``lost regs mem f``       registers hold something not followed; *mem*: an operand written likewise; *f*: flags too
``vlow dst src n``        lowest *n* bytes of a vector from a register or memory, the rest cleared
``vget dst src n``        the reverse;  ``vmov dst src n``  vector or memory <-> vector
``vzero dst``  ``vmix kind dst a b``  interleaving (``dq``, ``qdq``), ``vput dst src lane n``
``vtake dst src lane n``  *n* bytes from a lane;  ``vbin name dst a b``, ``vshuffle dst src order``: lanes of 32 bits
``fill``                  rep stos;  ``copy``: rep movs
========================  ==========================================================================================
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

Operand = Tuple[Any, ...]
Operation = Tuple[Any, ...]

# Register numbers: 0-31 general (x86 uses 16), 32-63 vectors, then what only exists here.
VECTORS = 32
THREAD = 64
ZERO = 65
SCRATCH = 66
REGISTERS = 68


class Step(NamedTuple):
    """One instruction: its length in bytes and its operations; ``text`` only where a reader is helped by it."""

    length: int
    operations: Tuple[Operation, ...]


class Abi(NamedTuple):
    """Who keeps what across a call.

    :param arguments: registers of the first integer arguments.
    :param result: register of the result, and ``more`` of what else is returned (its upper half, others).
    :param saved: registers a callee restores.
    :param stack: the stack pointer.
    :param pushed: bytes a call puts on the stack.
    """

    arguments: Tuple[int, ...]
    result: int
    more: Tuple[int, ...]
    saved: Tuple[int, ...]
    stack: int
    pushed: int


# System V ABI for x86-64, 3.2.1 and 3.2.3.
X86_64_ABI = Abi((7, 6, 2, 1, 8, 9), 0, (2,), (3, 4, 5, 12, 13, 14, 15), 4, 8)
# AAPCS64, 6.1.1: x19-x28, x29, and sp (31 here); the link register is lost.
AARCH64_ABI = Abi(tuple(range(8)), 0, (1,), (*range(19, 30), 31), 31, 0)
# Go's own (cmd/compile/abi-internal.md), which the assembler's functions, all on the stack, fit into: the register of a
# closure's variables is an argument like others; but for the frame pointer nothing is kept.
GO_X86_64_ABI = Abi((0, 3, 1, 7, 6, 8, 9, 10, 11, 2), 0, (3, 1, 7, 6, 8, 9, 10, 11), (4, 5), 4, 8)
GO_AARCH64_ABI = Abi((*range(16), 26), 0, tuple(range(1, 16)), (29, 31), 31, 0)


class Lifter:
    """What the interpreter needs of a machine; subclasses decode.

    :param base: what is added to addresses of the image so that small numbers are never taken for addresses.
    """

    abi: Abi
    go_abi: Abi

    def __init__(self, base: int) -> None:
        self.base = base

    def lift(self, code: bytes, offset: int, address: int) -> Optional[Step]:
        """The instruction at ``code[offset:]``, at *address* in the image; ``None`` where there is none."""
        raise TypeError(type(self), len(code), offset, address)
