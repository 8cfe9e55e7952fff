"""Where in the code which level is needed: the picture of a file."""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Optional, Set, Tuple

from .. import decode
from ..isa import Isa, Machine, baseline_of, isa_of
from .code import Code
from .model import CodeMap

BUCKETS = 256


def code_maps(code: Code, ignored: FrozenSet[int]) -> Tuple[CodeMap, ...]:
    """One map for each region that has anything above the machine's lowest level; none for machines without decoder.

    :param ignored: addresses of marks that are data.
    """
    isa = isa_of(code.image.machine)
    baseline = baseline_of(code.image.machine)
    if isa is None or baseline is None:
        return ()
    maps: List[CodeMap] = []
    for region, sweep in code.sweeps:
        size = len(region.data)
        if not size or not len(sweep.mark_addresses):
            continue
        count = min(BUCKETS, size)
        numbers: Dict[int, Set[int]] = {}
        for address, number in zip(sweep.mark_addresses, sweep.mark_requirements):
            if address not in ignored:
                numbers.setdefault((address - region.address) * count // size, set()).add(number)
        levels = tuple(_level(isa, baseline.features, code, numbers.get(part)) for part in range(count))
        maps.append(CodeMap(region.name, region.address, size, levels))
    return tuple(maps)


def _level(isa: Isa, baseline: FrozenSet[str], code: Code, numbers: Optional[Set[int]]) -> Optional[str]:
    if not numbers:
        return None
    machine = code.image.machine
    needed = frozenset().union(*(decode.requirement(machine, number) for number in numbers))
    if needed <= baseline:
        return None
    level = isa.lowest_level(needed)
    return level.name if level else ""


def emitted_level(machine: Machine, features: FrozenSet[str]) -> Optional[str]:
    """What a CPU must have to run code with *features*: the lowest level with all of them that any level has, and those
    that no level has, joined by ``+``. ``None`` for machines without decoder."""
    isa, baseline = isa_of(machine), baseline_of(machine)
    if isa is None or baseline is None:
        return None
    line = [level for level in isa.levels if baseline.features <= level.features]
    needed = isa.closure(features) | baseline.features
    known = frozenset().union(*(level.features for level in line))
    level = next((level for level in line if needed & known <= level.features), line[-1])
    extra = sorted(isa.reduced(needed - known))
    return "+".join([level.name, *extra])
