"""The instructions of one file, lifted where they are asked for, and where its addresses stand for the analysis."""

from __future__ import annotations

from functools import cached_property
from typing import Dict, Mapping, Optional, Sequence, Tuple

from ...elf import Image, Region
from ...isa import Machine
from ..code import Code
from . import auxv, go_table
from .aarch64 import Arm64Lifter
from .facts import hardware_answers
from .operations import Abi, Lifter, Step
from .x86 import X86Lifter

# Addresses of position-independent files start at 0: moved up, no count or flag is ever taken for one.
_BASE = 1 << 44


class Instructions:
    """Lifts the instructions of one image; *base* is what the analysis adds to its addresses."""

    def __init__(self, image: Image, code: Code) -> None:
        self.image = image
        self.code = code
        followed = image.machine in (Machine.X86_64, Machine.AARCH64)
        self.absolute = followed and bool(image.segments) and self._lowest() >= 0x10000
        self.base = 0 if self.absolute else _BASE
        self.low = self.base + self._lowest()
        self.high = self.base + max((block.end for block in image.memory), default=0) + (1 << 20)
        self.lifter = _lifter(image.machine, self.base)
        self._steps: Dict[int, Optional[Step]] = {}
        self._bytes: Dict[int, bytes] = {}

    def _lowest(self) -> int:
        return min((block.address for block in self.image.memory), default=0)

    @cached_property
    def answers(self) -> Mapping[str, Mapping[int, Tuple[Tuple[int, Tuple[str, ...]], ...]]]:
        """Imported functions that tell of the CPU -> argument -> (bit, features) of their result."""
        return hardware_answers(self.image.machine)

    @cached_property
    def auxiliary(self) -> Mapping[int, Tuple[int, int]]:
        """Address of each load of AT_HWCAP from the auxiliary vector itself, see :mod:`.auxv`."""
        return auxv.loads(self.image)

    def step(self, address: int) -> Optional[Step]:
        """The lifted instruction at *address* (an image address), ``None`` where there is none."""
        if address in self._steps:
            return self._steps[address]
        region = self.image.region_of(address)
        step = None
        if region is not None:
            data = self._bytes.get(region.address)
            if data is None:
                data = self._bytes[region.address] = bytes(region.data)
            answer = self.auxiliary.get(address)
            if answer is not None:
                step = Step(4, (("ask", ("r", answer[0], 64, 0), self.answers["getauxval"][answer[1]]),))
            else:
                step = self.lifter.lift(data, address - region.address, address)
        self._steps[address] = step
        return step

    @cached_property
    def go(self) -> Tuple[Sequence[int], int]:
        """The functions of Go's compiler and assembler, and where the last one ends, see :mod:`.go_table`."""
        return go_table.functions(self.image)

    def abi_of(self, function: int) -> Abi:
        """The calling convention of the function at *function*."""
        starts, end = self.go
        return self.lifter.go_abi if starts and starts[0] <= function < end else self.lifter.abi

    def accesses_only(self, place: int, target: int, end: int) -> bool:
        """Whether the instruction at *place*, which names *target*, only reads or writes bytes there below *end*."""
        step = self.step(place)
        if step is None:
            return False
        named = target + self.base
        found = False
        for operation in step.operations:
            for operand in operation[1:]:
                if not isinstance(operand, tuple) or not operand or operand[0] != "m":
                    continue
                if operand[4] == named and operand[1] is None and operand[2] is None:
                    if operation[0] == "lea" or target + operand[5] // 8 > end:
                        return False
                    found = True
        return found

    def region(self, address: int) -> Optional[Region]:
        """The region of code around *address*."""
        return self.image.region_of(address)


def _lifter(machine: Machine, base: int) -> Lifter:
    if machine is Machine.X86_64:
        return X86Lifter(base)
    if machine is Machine.AARCH64:
        return Arm64Lifter(base)
    raise ValueError(machine)
