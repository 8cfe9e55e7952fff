"""Who names what in one file: functions, the addresses that instructions and words of data hold, jumps and calls."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from functools import cached_property
from typing import Callable, FrozenSet, Iterator, List, Optional, Sequence, Tuple

from ...decode.model import Flow
from ...elf.reading import words_of
from ...isa import Machine
from . import detection
from .anchors import Anchors
from .instructions import Instructions

_SHIFT = 40
_STUB_SIZE = 16
_MASK = (1 << _SHIFT) - 1


class Mentions(Instructions):
    """Look-ups over the addresses that one image holds; everything here is computed once and never changes."""

    @cached_property
    def starts(self) -> Sequence[int]:
        """Ascending beginnings of functions: declared ones, and what is called, pointed to or jumped to from elsewhere
        where no declared function is (assembler code without unwind tables in stripped files).
        """
        image = self.image
        known = [function.address for function in image.functions if image.is_code(function.address)]
        ends = {function.address: function.address + function.size for function in image.functions}

        def covered(address: int) -> bool:
            index = bisect_right(known, address) - 1
            return index >= 0 and (known[index] == address or address < ends[known[index]])

        wanted = {target for target in image.relocations.values() if image.is_code(target)}
        wanted.update(self.go[0])
        for _, sweep in self.code.sweeps:
            wanted.update(target for target, flow in zip(sweep.branch_targets, sweep.branch_flows) if flow == Flow.CALL)
            wanted.update(target for target in sweep.reference_targets if image.is_code(target))
            wanted.update(
                target
                for address, target, flow in zip(sweep.branch_addresses, sweep.branch_targets, sweep.branch_flows)
                if flow == Flow.JUMP and not covered(target) and covered(address)
            )
        stubs = image.stubs.keys() | image.local_stubs.keys()
        extra = {target for target in wanted - stubs if image.is_code(target) and not covered(target)}
        return array("Q", sorted({*known, *extra}))

    def function_of(self, address: int) -> int:
        """Beginning of the function *address* lies in (the nearest one below)."""
        index = bisect_right(self.starts, address) - 1
        return self.starts[index] if index >= 0 else address

    def end_of(self, function: int) -> int:
        """Where the function that begins at *function* ends at the latest: where the next one begins."""
        index = bisect_right(self.starts, function)
        region = self.image.region_of(function)
        end = region.end if region is not None else function + 1
        return min(self.starts[index], end) if index < len(self.starts) else end

    def _targets(self, *, code: bool) -> List[int]:
        found: List[int] = []
        add = found.append
        for _, sweep in self.code.sweeps:
            for address, target in zip(sweep.reference_addresses, sweep.reference_targets):
                if self.image.is_code(target) == code:
                    add(target << _SHIFT | address)
        found.sort()
        return found

    @cached_property
    def _data_references(self) -> List[int]:
        found = self._targets(code=False)
        if self.absolute:
            found = sorted({*found, *self._immediates(self._is_data)})
        return found

    def _is_data(self, address: int) -> bool:
        """Whether the loader maps *address*, which is not code, from the file."""
        segments = self.image.segments
        return any(
            one.type == 1 and not one.executable and one.address <= address < one.address + one.memory_size
            for one in segments
        )

    @cached_property
    def _code_references(self) -> List[int]:
        found = self._targets(code=True)
        if self.image.machine is Machine.AARCH64:
            # A page is named to reach something in it, which is named where its address is complete.
            found = [
                packed
                for packed in found
                if self.function_of(packed >> _SHIFT) == packed >> _SHIFT or not self._names_page(packed & _MASK)
            ]
        if self.absolute:
            found = sorted({*found, *self._immediates(set(self.starts).__contains__)})
        return found

    def _immediates(self, wanted: Callable[[int], bool]) -> Iterator[int]:
        """*wanted* addresses that instructions hold as constants, in files at a fixed address."""
        low = self._lowest()
        high = max((one.address + one.memory_size for one in self.image.segments if one.type == 1), default=0)
        for region in self.image.regions:
            for shift in range(4):
                for index, word in enumerate(words_of(region.data[shift:], 4)):
                    if low <= word < high and wanted(word):
                        place = self._instruction_around(region.address + shift + 4 * index)
                        if place is not None:
                            yield word << _SHIFT | place

    def _instruction_around(self, address: int) -> Optional[int]:
        """The instruction whose bytes hold *address*."""
        place = detection.known_start(self.code, address)
        while place is not None and place <= address:
            step = self.step(place)
            if step is None or place + step.length > address:
                return place
            place += step.length
        return None

    def references(self, low: int, high: int) -> Iterator[Tuple[int, int]]:
        """(target, instruction) for data addresses in [*low*, *high*) that instructions name, or may reach from what
        their function names."""
        yield from _between(self._data_references, low, high)
        yield from self._anchors.between(low, high)

    def all_references(self) -> Iterator[Tuple[int, int]]:
        """All (target, instruction) for data addresses that instructions name."""
        return _between(self._objects, 0, 1 << 62)

    @cached_property
    def _anchors(self) -> Anchors:
        return Anchors(self.code, self._bounds)

    def _bounds(self, address: int) -> Tuple[int, int]:
        function = self.function_of(address)
        return function, self.end_of(function)

    @cached_property
    def _objects(self) -> List[int]:
        """References without those that name no more than a page, which is no object."""
        if self.image.machine is not Machine.AARCH64:
            return self._data_references
        return [packed for packed in self._data_references if not self._names_page(packed & _MASK)]

    def _names_page(self, at: int) -> bool:
        """Whether the instruction at *at* is an adrp (Arm ARM, C6.2)."""
        return int.from_bytes(self.code.bytes_at(at, 4), "little") & 0x9F000000 == 0x90000000

    def code_references(self, low: int, high: int) -> Iterator[Tuple[int, int]]:
        """(target, instruction) for code addresses in [*low*, *high*) that instructions name without jumping there."""
        return _between(self._code_references, low, high)

    def referred_below(self, address: int) -> Optional[int]:
        """The nearest address at or below *address* that something names: where the object around it begins."""
        refs = self._objects
        index = bisect_right(refs, address << _SHIFT | _MASK) - 1
        best = refs[index] >> _SHIFT if index >= 0 else None
        named = self.named_data
        index = bisect_right(named, address) - 1
        if index >= 0 and (best is None or named[index] > best):
            best = named[index]
        return best

    def referred_above(self, address: int) -> int:
        """The nearest address above *address* that something names."""
        refs = self._objects
        index = bisect_left(refs, address + 1 << _SHIFT)
        best = refs[index] >> _SHIFT if index < len(refs) else 1 << 62
        named = self.named_data
        index = bisect_right(named, address)
        return min(best, named[index]) if index < len(named) else best

    @cached_property
    def named_data(self) -> Sequence[int]:
        """Data addresses that symbols or pointers in data name."""
        image = self.image
        named = {symbol.address for symbol in (*image.symbols, *image.dynamic_symbols) if symbol.type in (1, 6)}
        named.update(target for target in image.relocations.values() if not image.is_code(target))
        return array("Q", sorted(address for address in named if 0 <= address < 1 << 63))

    @cached_property
    def _transfers(self) -> List[int]:
        """Direct jumps, branches and calls that leave their function."""
        found: List[int] = []
        starts = self.starts
        count = len(starts)
        relays = {stub: self.resolved(stub) or stub for stub in self.image.local_stubs}
        for _, sweep in self.code.sweeps:
            index = -1
            low, high = 0, 0
            for address, target in zip(sweep.branch_addresses, sweep.branch_targets):
                if not target:
                    continue
                if not low <= address < high:
                    index = bisect_right(starts, address) - 1
                    low = starts[index] if index >= 0 else 0
                    high = starts[index + 1] if index + 1 < count else 1 << 62
                if not low < target < high:
                    found.append(relays.get(target, target) << _SHIFT | address)
        found.sort()
        return found

    def transfers(self, low: int, high: int) -> Iterator[Tuple[int, int]]:
        """(target, instruction) for direct jumps and calls from other functions into [*low*, *high*)."""
        return _between(self._transfers, low, high)

    @cached_property
    def _call_slots(self) -> FrozenSet[int]:
        """Words that nothing but a PLT stub reads: a call that goes through the stub is known as one."""
        slots = set(self.image.local_stubs.values())
        return frozenset(
            slot
            for slot in slots
            if all(self.in_stub(at) for _, at in self.references(slot, slot + self.image.bits // 8))
        )

    @cached_property
    def _pointers(self) -> List[int]:
        """Words of data that hold addresses of code."""
        image = self.image
        calls = self._call_slots
        found = [
            target << _SHIFT | slot
            for slot, target in image.relocations.items()
            if image.is_code(target) and slot not in calls
        ]
        if self.absolute:
            found.extend(self._unrelocated())
        found.sort()
        return found

    def _unrelocated(self) -> Iterator[int]:
        """Words of data that look like addresses of functions, in files that need no relocation for them."""
        starts = set(self.starts)
        for block in self.image.memory:
            if self.image.is_code(block.address):
                continue
            for index, word in enumerate(words_of(block.data, 8)):
                if word in starts and block.address + 8 * index not in self.image.relocations:
                    yield word << _SHIFT | block.address + 8 * index

    def pointers(self, low: int, high: int) -> Iterator[Tuple[int, int]]:
        """(target, word) for words of data that hold a code address in [*low*, *high*)."""
        return _between(self._pointers, low, high)

    @cached_property
    def _pointers_to_data(self) -> List[int]:
        image = self.image
        found = [target << _SHIFT | slot for slot, target in image.relocations.items() if not image.is_code(target)]
        found = [packed for packed in found if packed >= 0]
        found.sort()
        return found

    def data_pointers(self, low: int, high: int) -> Iterator[Tuple[int, int]]:
        """(target, word) for words of data that hold a data address in [*low*, *high*)."""
        return _between(self._pointers_to_data, low, high)

    # --- stubs ---

    def in_stub(self, address: int) -> bool:
        """Whether *address* lies in a PLT stub that leads back into this file."""
        index = bisect_right(self._relays, address) - 1
        return index >= 0 and address - self._relays[index] < _STUB_SIZE

    @cached_property
    def _relays(self) -> Sequence[int]:
        return array("Q", sorted(self.image.local_stubs))

    def resolved(self, target: int) -> Optional[int]:
        """*target*, or what the PLT stub there leads to in this very file; ``None`` where a resolver chooses."""
        slot = self.image.local_stubs.get(target)
        return target if slot is None else self.image.relocations.get(slot)


def _between(packed: List[int], low: int, high: int) -> Iterator[Tuple[int, int]]:
    for index in range(bisect_left(packed, low << _SHIFT), bisect_left(packed, high << _SHIFT)):
        yield packed[index] >> _SHIFT, packed[index] & _MASK
