"""Bytes of code -> lengths, features, control flow, references.

The interface of the room (every engine gives the same answers):

* ``sweep(machine, code, address, entries=(), data=()) -> Sweep``: one linear pass. *entries* are sorted addresses at
  which an instruction is known to start (functions, branch targets of unwind tables): the pass resynchronises there.
  *data* are sorted (start, end) addresses known to be no code: they are passed over.
* ``instruction(machine, code, address, offset=0) -> Instruction``: the one at ``code[offset:]``; *address* is that of
  ``code[0]``. Never raises on garbage (``valid`` is false instead).
* ``requirement(machine, number) -> frozenset of feature names``: what a number in ``Sweep.mark_requirements`` means.
* ``engine_name() -> "c" | "python"``; ``BASELINE_BUILD_ENGINE=python`` forces the portable one.
"""

from __future__ import annotations

from typing import Sequence, Tuple, Union

from ..errors import InternalError
from ..isa.model import Machine, Requirement
from . import aarch64, x86
from .engine import engine_name
from .model import Flow, Instruction, Sweep

Bytes = Union[bytes, bytearray, memoryview]

_MODES = {Machine.X86_64: 64, Machine.I386: 32}

__all__ = ["Flow", "Instruction", "Sweep", "engine_name", "instruction", "requirement", "sweep"]


def sweep(
    machine: Machine,
    code: Bytes,
    address: int,
    entries: Sequence[int] = (),
    data: Sequence[Tuple[int, int]] = (),
) -> Sweep:
    """One linear pass over *code*, whose first byte lies at *address*. See the room's text.

    Raises :class:`~baseline_build.errors.InternalError` (BB911) for a machine without decoder.
    """
    mode = _MODES.get(machine)
    if mode is not None:
        return x86.sweep(mode, code, address, entries, data)
    if machine is Machine.AARCH64:
        return aarch64.sweep(code, address, entries, data)
    raise _undecodable(machine)


def instruction(machine: Machine, code: Bytes, address: int, offset: int = 0) -> Instruction:
    """The instruction at ``code[offset:]``; *address* is that of ``code[0]``. See the room's text.

    Raises :class:`~baseline_build.errors.InternalError` (BB911) for a machine without decoder.
    """
    mode = _MODES.get(machine)
    if mode is not None:
        return x86.instruction(mode, code, address, offset)
    if machine is Machine.AARCH64:
        return aarch64.instruction(code, address, offset)
    raise _undecodable(machine)


def requirement(machine: Machine, number: int) -> Requirement:
    """The features that *number* in ``Sweep.mark_requirements`` stands for.

    Raises :class:`~baseline_build.errors.InternalError` (BB911) for a machine without decoder.
    """
    if machine in _MODES:
        return x86.requirement(number)
    if machine is Machine.AARCH64:
        return aarch64.requirement(number)
    raise _undecodable(machine)


def _undecodable(machine: Machine) -> InternalError:
    return InternalError("BB911", f"there is no decoder for {machine.value}", fix="ask isa.isa_of() first")
