"""Code that nobody calls by name: kernels of which one function hands out the addresses, among plain ones.

Such a function chooses, and not always by what the CPU says: libraries built for one operating system hand out what a
constant or the caller's words allow. Where nothing in a wheel asks the CPU, these kernels may never be chosen at all,
so *no detection* proves nothing about them.
"""

from __future__ import annotations

from typing import Optional, Set

from .program import Program

_FEWEST = 4  # functions; fewer are callbacks and parts of a loop that run in parallel


def chooser(program: Program, above: Set[int]) -> Optional[int]:
    """The function that alone hands out all of *above* (functions above the level); ``None`` without such a one.

    That is one that takes the addresses of at least as many other functions.
    """
    if len(above) < _FEWEST:
        return None
    takers: Set[int] = set()
    for function in above:
        found = _takers(program, function, above)
        if not found:
            return None
        takers |= found
    if len(takers) != 1:
        return None
    (taker,) = takers
    end = program.end_of(taker)
    handed = {
        program.function_of(target)
        for region in program.image.regions
        for target, at in program.code_references(region.address, region.end)
        if taker <= at < end
    }
    return taker if len(handed - above) >= len(above) else None


def _takers(program: Program, function: int, above: Set[int]) -> Set[int]:
    """The functions that take the address of *function*, none where anything else leads to it."""
    end = program.end_of(function)
    if any(function <= address < end for address in program.entrances) or next(program.pointers(function, end), None):
        return set()
    if any(program.function_of(at) not in above for _, at in program.transfers(function, end)):
        return set()
    return {program.function_of(at) for _, at in program.code_references(function, end)} - {function}
