"""Where functions begin and end: symbols, unwind records, initialisers and entry points, merged."""

from __future__ import annotations

from array import array
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..isa.model import Machine
from . import formats as f
from .model import Function, Region, Symbol

_CODE_TYPES = frozenset((f.STT_FUNC, f.STT_GNU_IFUNC))
_RANK = {f.STB_GLOBAL: 3, f.STB_GNU_UNIQUE: 3, f.STB_WEAK: 2, f.STB_LOCAL: 1}


class Places:
    """Fast membership in the regions of code."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self._spans = [(region.address, region.end) for region in regions]

    def holds(self, address: int) -> bool:
        """Whether *address* is code."""
        return any(start <= address < end for start, end in self._spans)


def merge_functions(
    regions: Sequence[Region],
    symbols: Iterable[Symbol],
    frames: Iterable[Tuple[int, int]],
    starts: Mapping[int, str],
) -> Tuple[Function, ...]:
    """All functions in *regions*, one for each address, ascending.

    :param frames: (start, size) of unwind records; size 0 when only the start is known.
    :param starts: other known beginnings -> origin.
    """
    places = Places(regions)
    sizes: Dict[int, int] = {}
    for start, size in frames:
        if size >= sizes.get(start, 0):
            sizes[start] = size
    named = _named(places, symbols)
    functions: List[Function] = []
    for address, (symbol, size) in named.items():
        functions.append(Function(address, size or sizes.get(address, 0), symbol.name or None, "symbol"))
    functions += [Function(at, size, None, "fde") for at, size in sizes.items() if at not in named and places.holds(at)]
    known = named.keys() | sizes.keys()
    functions += [
        Function(at, 0, None, origin) for at, origin in starts.items() if at not in known and places.holds(at)
    ]
    functions.sort(key=lambda function: function.address)
    return tuple(functions)


def _named(places: Places, symbols: Iterable[Symbol]) -> Dict[int, Tuple[Symbol, int]]:
    """The best name for each address (global before weak before local) and the largest size any of its names claims."""
    named: Dict[int, Tuple[Symbol, int]] = {}
    for symbol in symbols:
        if symbol.type not in _CODE_TYPES or not symbol.defined or symbol.section == f.SHN_ABS:
            continue
        known = named.get(symbol.address)
        if known is None:
            if places.holds(symbol.address):
                named[symbol.address] = (symbol, symbol.size)
            continue
        best = max(known[0], symbol, key=lambda s: (_RANK.get(s.binding, 0), s.name))
        named[symbol.address] = (best, max(known[1], symbol.size))
    return named


def data_in_code(machine: Machine, regions: Sequence[Region], symbols: Sequence[Symbol]) -> Tuple[Tuple[int, int], ...]:
    """(start, end) of data that symbols declare inside code: sized objects, and ARM64's ``$d`` … ``$x`` ranges."""
    places = Places(regions)
    ranges: List[Tuple[int, int]] = [
        (s.address, s.address + s.size)
        for s in symbols
        if s.type == f.STT_OBJECT and s.defined and s.size and places.holds(s.address)
    ]
    if machine is Machine.AARCH64:
        ranges += _mapped(regions, symbols)
    return _joined(ranges)


def _mapped(regions: Sequence[Region], symbols: Sequence[Symbol]) -> List[Tuple[int, int]]:
    """ELF for the Arm 64-bit Architecture, "Mapping symbols": ``$d`` starts data, ``$x`` starts code."""
    marks = sorted({(s.address, s.name[1]) for s in symbols if s.name[:2] in ("$d", "$x") and s.name[2:3] in ("", ".")})
    ranges = []
    for region in regions:
        inside = [mark for mark in marks if region.address <= mark[0] < region.end] if marks else []
        for (start, kind), (end, _) in zip(inside, [*inside[1:], (region.end, "")]):
            if kind == "d" and start < end:
                ranges.append((start, end))
    return ranges


def _joined(ranges: List[Tuple[int, int]]) -> Tuple[Tuple[int, int], ...]:
    joined: List[Tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def entries_of(
    regions: Sequence[Region],
    functions: Sequence[Function],
    more: Iterable[int],
    data: Sequence[Tuple[int, int]],
) -> array[int]:
    """Ascending addresses at which an instruction starts: function and region starts, *more*, ends of data ranges."""
    places = Places(regions)
    found: Set[int] = {function.address for function in functions}
    found.update(region.address for region in regions)
    found.update(end for _, end in data if places.holds(end))
    found.update(address for address in more if places.holds(address))
    return array("Q", sorted(found))


def initialisers_of(
    tags: Mapping[int, int], width: int, pointer: Callable[[int], Optional[int]], *, final: bool = False
) -> Tuple[int, ...]:
    """The functions the loader calls when it loads (or, *final*, unloads) the file, in that order."""
    if final:
        arrays: List[Tuple[int, Optional[int]]] = [(f.DT_FINI_ARRAY, f.DT_FINI_ARRAYSZ), (f.DT_FINI, None)]
    else:
        arrays = [(f.DT_PREINIT_ARRAY, f.DT_PREINIT_ARRAYSZ), (f.DT_INIT, None), (f.DT_INIT_ARRAY, f.DT_INIT_ARRAYSZ)]
    found: List[int] = []
    for tag, size_tag in arrays:
        if tag not in tags:
            continue
        if size_tag is None:
            found.append(tags[tag])
            continue
        for slot in range(tags[tag], tags[tag] + min(tags.get(size_tag, 0), 1 << 20), width):
            target = pointer(slot)
            if target:
                found.append(target)
    return tuple(dict.fromkeys(found))
