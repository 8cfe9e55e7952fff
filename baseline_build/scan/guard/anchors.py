"""Variables that ARM64 code reaches by a displacement from another address it holds.

On x86-64 an instruction names the variable it uses. On ARM64 a function puts one address into a register, that of a
page or of an *anchor* (GCC's ``-fsection-anchors``, LLVM's merged globals), and reaches what lies around by
displacements: ``adrp x1, page; add x1, x1, #80; …; str w4, [x1, #464]``.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from typing import Callable, Dict, Iterator, List, Set, Tuple

from ...elf.reading import words_of
from ...isa import Machine
from ..code import Code
from .anchor_scan import Held, Scan, take_in

_SHIFT = 40
_MASK = (1 << _SHIFT) - 1
_PAGE = 0x1000


class Anchors:
    """Looks through the code of one file when it is asked; nothing is found on other machines than ARM64.

    :param bounds: gives the beginning and the end of the function around an address.
    """

    def __init__(self, code: Code, bounds: Callable[[int], Tuple[int, int]]) -> None:
        self.code = code
        self._bounds = bounds
        # Variables of one segment are not reached from another one.
        self._segments = [
            (segment.address, segment.address + segment.memory_size)
            for segment in code.image.segments
            if segment.type == 1 and segment.writable and code.image.machine is Machine.AARCH64
        ]

    def between(self, low: int, high: int) -> Iterator[Tuple[int, int]]:
        """(address, instruction) for what may be reached from *low* to below *high* in this way."""
        if not any(start < high and low < end for start, end in self._segments):
            return
        packed = self._packed
        for index in range(bisect_left(packed, low << _SHIFT), bisect_left(packed, high << _SHIFT)):
            yield packed[index] >> _SHIFT, packed[index] & _MASK

    @cached_property
    def _packed(self) -> List[int]:
        """All that is found: the address and the instruction in one number each."""
        named: Dict[int, Dict[int, int]] = {}
        for _, sweep in self.code.sweeps:
            for at, target in zip(sweep.reference_addresses, sweep.reference_targets):
                if self._is_near(target) and self._is_kept(at):
                    named.setdefault(self._bounds(at)[0], {})[at] = target
        found: Set[int] = set()
        entries: Dict[int, Held] = {function: {} for function in named}
        waiting = sorted(entries)
        while waiting:
            function = waiting.pop()
            scan = self._scan(function, named.get(function, {}), entries[function])
            found.update(address << _SHIFT | at for address, at in scan.found() if self._is_near(address))
            # A part of a function that stands elsewhere goes on with its registers; so does a jump instead of a call.
            for target, held in scan.leaving.items():
                if self._bounds(target)[0] == target and take_in(entries.setdefault(target, {}), held):
                    waiting.append(target)
        return sorted(found)

    def _is_near(self, address: int) -> bool:
        return any(low - _PAGE < address < high for low, high in self._segments)

    def _is_kept(self, at: int) -> bool:
        """Whether the instruction at *at* leaves an address in a register: adr, adrp, add."""
        word = int.from_bytes(self.code.bytes_at(at, 4), "little")
        return word >> 24 & 0x1F == 0x10 or word & 0xFFC00000 == 0x91000000

    def _scan(self, function: int, named: Dict[int, int], entry: Held) -> Scan:
        low, high = self._bounds(function)
        return Scan(words_of(self.code.bytes_at(low, high - low), 4).tolist(), low, named, entry)
