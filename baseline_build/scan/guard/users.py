"""Which functions may use a variable: those that name it, something just below it, or a word that holds its address."""

from __future__ import annotations

from typing import Iterator, List

from .program import Program
from .state import THREADS, is_thread

# How far above what a function names a variable may lie that it uses.
_NEAR = 64


def users(program: Program, address: int) -> List[int]:
    """Ascending beginnings of functions that may use the static or thread-local variable at *address*."""
    if is_thread(address):
        return sorted(set(_of_thread(program, address - THREADS)))
    return sorted(set(_of_file(program, address - program.base)))


def _of_file(program: Program, address: int) -> Iterator[int]:
    """Functions that name *address*, or something just below: the beginning of the object it may lie in."""
    start = address - _NEAR
    low = program.referred_below(address)
    if low is not None and low < start and not next(program.references(start, address + 1), None):
        start = low
    for target, place in program.references(start, address + 8):
        if target >= address or not program.accesses_only(place, target, address):
            yield program.function_of(place)
    # Code for shared objects may take the address out of a word that the loader fills (the global offset table).
    for _, slot in program.data_pointers(start, address + 1):
        for _, place in program.references(slot, slot + 1):
            yield program.function_of(place)


def _of_thread(program: Program, offset: int) -> Iterator[int]:
    """Functions that name the thread-local variable at *offset*."""
    slots = [slot for slot, found in program.image.tls_slots.items() if found == 0 or 0 <= offset - found < _NEAR]
    for slot in slots:
        for _, place in program.references(slot, slot + 1):
            yield program.function_of(place)
    raw = (offset & 0xFFFFFFFF).to_bytes(4, "little")
    for region in program.image.regions:
        data = bytes(region.data)
        at = data.find(raw)
        while at >= 0 and offset < 0:
            yield program.function_of(region.address + at)
            at = data.find(raw, at + 1)
