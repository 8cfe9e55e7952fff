"""What a decoder tells: one pass over code (:class:`Sweep`) and one instruction (:class:`Instruction`)."""

from __future__ import annotations

import enum
from array import array
from dataclasses import dataclass
from typing import FrozenSet, Optional, Tuple


class Flow(enum.IntEnum):
    """Where control goes after an instruction."""

    NEXT = 0
    JUMP = 1  # direct, unconditional
    BRANCH = 2  # direct, conditional (also loop, jrcxz, cbz, tbz, xbegin)
    CALL = 3  # direct
    JUMP_INDIRECT = 4
    CALL_INDIRECT = 5
    RETURN = 6
    STOP = 7  # ud2, hlt, int3, brk, udf: control does not come back


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction.

    :param address: virtual address.
    :param length: bytes; 1 where ``valid`` is false on x86, 4 on ARM64.
    :param mnemonic: lower case, Intel's or Arm's name.
    :param features: what it needs, in compilers' names; empty for the machine's lowest level on x86-64 and ARM64
        apart from the features listed for that level (``sse2`` is reported as ``sse2``).
    :param target: of a direct jump, branch or call.
    :param memory: address of a RIP-relative (x86) or literal (ARM64) operand, else ``None``.
    :param valid: false for bytes no known encoding matches.
    """

    address: int
    length: int
    mnemonic: str
    features: FrozenSet[str]
    flow: Flow
    target: Optional[int]
    memory: Optional[int]
    valid: bool


@dataclass(frozen=True)
class Sweep:
    """What one linear pass over a run of bytes found; parallel arrays, ascending addresses.

    ``mark_*``: instructions above the machine's lowest level. ``mark_requirements`` holds interned requirement numbers,
    see :func:`baseline_build.decode.requirement`. ``branch_*``: every instruction whose flow is not ``NEXT``;
    ``branch_targets`` is 0 where the target is not in the instruction. ``reference_*``: instructions that name another
    address (RIP-relative operand, ``adr``, ``adrp`` page, literal load, and on i386 absolute ``disp32``).
    ``undecoded``: (address, length) of bytes no encoding matched.
    """

    instructions: int
    mark_addresses: array[int]  # 'Q'
    mark_lengths: array[int]  # 'B'
    mark_requirements: array[int]  # 'H'
    branch_addresses: array[int]  # 'Q'
    branch_lengths: array[int]  # 'B'
    branch_flows: array[int]  # 'B', values of Flow
    branch_targets: array[int]  # 'Q'
    reference_addresses: array[int]  # 'Q'
    reference_targets: array[int]  # 'Q'
    undecoded: Tuple[Tuple[int, int], ...]
