"""The decoded code of one file: sweeps over its regions, the instructions above a level, the bytes nothing matched."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .. import decode
from ..decode.model import Instruction, Sweep
from ..elf import Image, Region
from ..elf.formats import PT_LOAD
from ..isa import Level, Machine


class Mark(NamedTuple):
    """An instruction above the promised level. ``features`` is all it needs, as the decoder says."""

    address: int
    length: int
    features: FrozenSet[str]


@dataclass(frozen=True, eq=False)
class Code:
    """The decoded code of one image.

    :param sweeps: (region, what the pass over it found), ascending by address.
    """

    image: Image
    sweeps: Tuple[Tuple[Region, Sweep], ...] = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes of code."""
        return sum(len(region.data) for region, _ in self.sweeps)

    def instruction_at(self, address: int) -> Optional[Instruction]:
        """The instruction at *address*, ``None`` where there is no code."""
        region = self.image.region_of(address)
        if region is None:
            return None
        return decode.instruction(self.image.machine, region.data, region.address, address - region.address)

    def bytes_at(self, address: int, length: int) -> bytes:
        """*length* bytes of code from *address*, fewer at the end of a region."""
        region = self.image.region_of(address)
        if region is None:
            return b""
        start = address - region.address
        return bytes(region.data[start : start + length])

    def marks_above(self, level: Level) -> Tuple[Mark, ...]:
        """The instructions that need a feature *level* does not have, ascending, without declared data."""
        return tuple(self._marks(level))

    def _marks(self, level: Level) -> Iterator[Mark]:
        machine = self.image.machine
        above: Dict[int, Optional[FrozenSet[str]]] = {}
        inside = Ranges(self.image.data_ranges)
        for _, sweep in self.sweeps:
            for address, length, number in zip(sweep.mark_addresses, sweep.mark_lengths, sweep.mark_requirements):
                if number not in above:
                    needed = decode.requirement(machine, number)
                    above[number] = needed if needed - level.features else None
                features = above[number]
                if features is not None and not inside.hold(address):
                    yield Mark(address, length, features)

    def undecoded(self) -> Tuple[Tuple[int, int], ...]:
        """(address, length) of bytes no encoding matched, without declared data."""
        inside = Ranges(self.image.data_ranges)
        return tuple(run for _, sweep in self.sweeps for run in sweep.undecoded if not inside.hold(run[0]))


def strays(code: Code) -> Tuple[Tuple[int, int], ...]:
    """(source, target) of direct branches that lead to executable bytes outside of all regions.

    Section headers told that those bytes are data. A branch from a known function says otherwise, so what the headers
    say of them is not to be believed.
    """
    image = code.image
    loads = [(s.address, s.address + s.file_size) for s in image.segments if s.type == PT_LOAD and s.executable]
    functions = Ranges(joined((f.address, f.address + f.size) for f in image.functions if f.size))
    found: List[Tuple[int, int]] = []
    for region, sweep in code.sweeps:
        low, high = region.address, region.end
        pairs = zip(sweep.branch_addresses, sweep.branch_targets)
        for source, target in [(s, t) for s, t in pairs if t and not low <= t < high]:
            mapped = any(start <= target < end for start, end in loads)
            if mapped and not image.is_code(target) and functions.hold(source):
                found.append((source, target))
    return tuple(found)


def joined(spans: Iterable[Tuple[int, int]]) -> List[Tuple[int, int]]:
    """*spans* in ascending order, those that touch made one."""
    merged: List[Tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


class Ranges:
    """Membership in ascending (start, end) ranges that do not overlap."""

    def __init__(self, ranges: Sequence[Tuple[int, int]]) -> None:
        self._starts = [start for start, _ in ranges]
        self._ends = [end for _, end in ranges]

    def hold(self, address: int) -> bool:
        """Whether *address* lies in one of them."""

        index = bisect_right(self._starts, address) - 1
        return index >= 0 and address < self._ends[index]


def decode_image(image: Image) -> Code:
    """Sweep all regions of *image*. Machines without a decoder give a :class:`Code` without sweeps.

    Each pass resynchronises at the image's known instruction starts, since data may stand between functions.
    """
    if not decodable(image.machine):
        return Code(image, ())
    sweeps: List[Tuple[Region, Sweep]] = []
    for region in image.regions:
        entries = _within(image.entries, region.address, region.end)
        sweep = decode.sweep(image.machine, region.data, region.address, entries, image.data_ranges)
        sweeps.append((region, sweep))
    return Code(image, tuple(sweeps))


def _within(entries: Sequence[int], start: int, end: int) -> Sequence[int]:

    return entries[bisect_left(entries, start) : bisect_left(entries, end)]


def decodable(machine: Machine) -> bool:
    """Whether there is a decoder for *machine*."""
    return machine in (Machine.X86_64, Machine.I386, Machine.AARCH64)
