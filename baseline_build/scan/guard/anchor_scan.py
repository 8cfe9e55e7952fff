"""What one function of ARM64 code reaches by displacements from addresses it holds, see :mod:`.anchors`.

A pass over the blocks of the function until nothing is new: which registers and stack slots may hold which addresses.
Encodings are those of the Arm Architecture Reference Manual (DDI 0487), C4.1. Whatever is not understood leaves
registers as they are, so too much is found rather than too little.
"""

from __future__ import annotations

import heapq
from functools import lru_cache
from typing import Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ...decode.aarch64.addresses import low_half

_SP, _FRAME = 31, 29
_SAVED = range(19, 29)
# Keys of stack slots follow those of registers.
_SLOTS = 64
# The key of what any slot may hold, where it is no longer known which: a way that lowers the stack pointer each time it
# is taken would go on for ever.
_ANY_SLOT = 63
_MAX_VISITS = 100
# How often a constant is added to an address: page, anchor, member. More than that walks through an array.
_MAX_ADDED = 2
# An address, and how often a constant was added to make it.
_Addresses = FrozenSet[Tuple[int, int]]
_NOTHING: _Addresses = frozenset()
Held = Dict[int, _Addresses]
# A register or slot holds what comes from others, moved further up.
_Move = Tuple[int, Tuple[int, ...], int]


class Word(NamedTuple):
    """What a word does with addresses.

    ``base`` is the register it accesses memory through; ``stack`` is what it adds to the stack pointer in the end.
    """

    base: Optional[int] = None
    displacements: Tuple[int, ...] = ()
    moves: Tuple[_Move, ...] = ()
    stack: int = 0


_OTHER = Word()


@lru_cache(maxsize=1 << 16)
def read_word(word: int) -> Word:
    """What *word*, which is no branch, does with addresses."""
    group = word >> 25 & 15
    if group & 5 == 4:
        return _access(word)
    if group & 14 == 8:
        return _immediate(word)
    if group & 7 == 5 and word & 31 != _SP:
        third = word >> 10 & 31 if word >> 24 & 31 == 27 else _SP
        sources = {word >> 5 & 31, word >> 16 & 31, third} - {_SP}
        return Word(moves=((word & 31, tuple(sources), 0),))
    return _OTHER


def _immediate(word: int) -> Word:
    number, source, kind = word & 31, word >> 5 & 31, word >> 23 & 7
    added = (word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)
    if number == _SP:
        return Word(stack=-added if word >> 30 & 1 else added) if kind == 2 and source == _SP else _OTHER
    if kind == 2 and source != _SP and not word >> 29 & 3 and word >> 31:
        return Word(moves=((number, (source,), added),))
    # adr, adrp (the caller knows what they name), movz and movn make something new.
    fresh = kind in (0, 1, 5) or source == _SP
    return Word(moves=((number, () if fresh else (source,), 0),))


def _access(word: int) -> Word:
    base, number, vector = word >> 5 & 31, word & 31, word >> 26 & 1
    if word & 0x3A000000 == 0x28000000:
        return _pair(word, base)
    if word & 0x3B000000 == 0x18000000:
        return _OTHER if vector or word >> 30 == 3 or number == _SP else Word(moves=((number, (), 0),))
    if word & 0x3B000000 == 0x39000000:
        place = low_half(word)
    elif word & 0x3B200000 == 0x38000000:
        place = 0 if word >> 10 & 3 == 1 else (word >> 12 & 0x1FF ^ 0x100) - 0x100
    elif word & 0x3F200C00 == 0x19000000:
        return Word(base, ((word >> 12 & 0x1FF ^ 0x100) - 0x100,))
    elif word & 0x3B200C00 == 0x38200800:
        place = 0
    else:
        return Word(base, (0,))
    operation = word >> 22 & 3
    indexed = word & 0x3B200400 == 0x38000400 and base == _SP
    stack = (word >> 12 & 0x1FF ^ 0x100) - 0x100 if indexed else 0
    if vector or (word >> 30 == 3 and operation == 2):
        return Word(base, (place,), (), stack)
    moves = _moved(base, ((number, place),), load=bool(operation), whole=word >> 30 == 3)
    return Word(base, (place,), moves, stack)


def _pair(word: int, base: int) -> Word:
    vector = word >> 26 & 1
    size = 2 + (word >> 30) if vector else 3 if word >> 31 else 2
    offset = (word >> 15 & 0x7F ^ 0x40) - 0x40 << size
    stack = offset if word >> 23 & 1 and base == _SP else 0
    offset = 0 if word >> 23 & 3 == 1 else offset
    places = (offset, offset + (1 << size))
    if vector:
        return Word(base, places, (), stack)
    parts = tuple(zip((word & 31, word >> 10 & 31), places))
    return Word(base, places, _moved(base, parts, load=bool(word >> 22 & 1), whole=bool(word >> 31)), stack)


def _moved(base: int, parts: Tuple[Tuple[int, int], ...], *, load: bool, whole: bool) -> Tuple[_Move, ...]:
    """General registers are loaded or stored; 64 bits on the stack may be an address that was put aside."""
    moves: List[_Move] = []
    for number, place in parts:
        slot = _SLOTS + 2 * (place + 0x10000) + (base == _FRAME)
        aside = whole and base in (_SP, _FRAME)
        if load and number != _SP:
            moves.append((number, (slot,) if aside else (), 0))
        elif aside and not load:
            moves.append((slot, (number,) if number != _SP else (), 0))
    return tuple(moves)


def _jump(word: int, at: int) -> Tuple[Optional[int], bool, bool]:
    """(where a direct jump leads, whether control may go on behind it, whether it is a branch at all)."""
    if word & 0x7C000000 == 0x14000000:
        target = at + 4 * ((word & 0x3FFFFFF ^ 0x2000000) - 0x2000000)
        return (None, True, True) if word >> 31 else (target, False, True)
    if word >> 24 & 0xFE == 0x54 or word >> 25 & 63 == 0b011010:
        return at + 4 * ((word >> 5 & 0x7FFFF ^ 0x40000) - 0x40000), True, True
    if word >> 25 & 63 == 0b011011:
        return at + 4 * ((word >> 5 & 0x3FFF ^ 0x2000) - 0x2000), True, True
    if word >> 25 == 0b1101011:
        return None, word >> 21 & 7 == 1, True
    return None, not (word >> 21 == 0x6A1 or word < 0x10000), word >> 25 & 15 in (10, 11)


class Scan:
    """One function.

    :param words: its words, the first one at *low*.
    :param named: instruction -> address it puts into its register.
    :param entry: what registers and slots hold at the beginning; ``leaving`` is that at jumps to other functions.
    """

    def __init__(self, words: Sequence[int], low: int, named: Mapping[int, int], entry: Held) -> None:
        self._words = words
        self._low = low
        self._named = named
        self._high = low + 4 * len(words)
        jumps = [_jump(word, low + 4 * index) for index, word in enumerate(words)]
        self._jumps = {low + 4 * index: jump for index, jump in enumerate(jumps) if jump[2] or not jump[1]}
        targets = {target for target, _, _ in self._jumps.values() if target is not None}
        behind = {at + 4 for at, jump in self._jumps.items() if not jump[1]}
        self._leaders = {at for at in (low, *targets, *behind) if low <= at < self._high}
        # Where control comes in a way that is not seen: by a table, or when something was thrown.
        self._orphans = sorted(behind - targets - {self._high})
        self._states: Dict[int, Held] = {low: dict(entry)}
        self.leaving: Dict[int, Held] = {}
        self._visits: Dict[int, int] = {}
        self._found: Set[Tuple[int, int]] = set()
        self._anywhere: Held = {}

    def found(self) -> Set[Tuple[int, int]]:
        """(address, instruction) for what may be accessed, or made an address of."""
        waiting = [self._low]
        self._drain(waiting)
        for orphan in self._orphans:
            self._flow(orphan, self._anywhere, waiting)
            self._drain(waiting)
        return self._found

    def _drain(self, waiting: List[int]) -> None:
        while waiting:
            start = heapq.heappop(waiting)
            while waiting and waiting[0] == start:
                heapq.heappop(waiting)
            self._block(start, waiting)

    def _flow(self, target: int, held: Held, waiting: List[int]) -> None:
        known = self._states.get(target)
        if known is None:
            self._states[target] = dict(held)
            heapq.heappush(waiting, target)
            return
        visits = self._visits.get(target, 0)
        if visits > _MAX_VISITS:
            held = _without_slots(held)
        if take_in(known, held):
            self._visits[target] = visits + 1
            if visits == _MAX_VISITS:
                self._states[target] = _without_slots(known)
            heapq.heappush(waiting, target)

    def _block(self, at: int, waiting: List[int]) -> None:
        held = dict(self._states[at])
        while at < self._high:
            jump = self._jumps.get(at)
            if jump is not None:
                target, goes_on, _ = jump
                if target is not None and self._low <= target < self._high:
                    self._flow(target, held, waiting)
                elif held and target is not None:
                    take_in(self.leaving.setdefault(target, {}), held)
                elif held:
                    # A call comes back or throws; a jump to an unknown place may lead anywhere.
                    kept = {key: held[key] for key in held if key in _SAVED or key >= _ANY_SLOT} if goes_on else held
                    take_in(self._anywhere, kept)
                if not goes_on:
                    return
            elif held or at in self._named:
                self._apply(at, held)
            at += 4
            if at in self._leaders:
                if at < self._high:
                    self._flow(at, held, waiting)
                return

    def _apply(self, at: int, held: Held) -> None:
        base, displacements, moves, stack = read_word(self._words[at - self._low >> 2])
        if base is not None and base in held:
            self._found.update((address + number, at) for address, _ in held[base] for number in displacements)
        named = self._named.get(at)
        results: List[Tuple[int, _Addresses]] = []
        for target, sources, added in moves:
            result = _NOTHING if named is None else frozenset([(named, 0)])
            for source in sources:
                if source in held:
                    result |= _further(held[source], added)
                if source >= _SLOTS and _ANY_SLOT in held:
                    result |= held[_ANY_SLOT]
            if added:
                self._found.update((address, at) for address, _ in result)
            results.append((target, result))
        for target, result in results:
            if result:
                held[target] = result
            else:
                held.pop(target, None)
        if stack:
            _lower(held, stack)


def _lower(held: Held, by: int) -> None:
    """The stack pointer was raised: what lies at it has lower offsets now."""
    slots = {key: held[key] for key in held if key >= _SLOTS and not key & 1}
    for key in slots:
        del held[key]
    held.update({key - 2 * by: addresses for key, addresses in slots.items() if key - 2 * by >= _SLOTS})


def _without_slots(held: Held) -> Held:
    """*held* where it is no longer known which slot holds what."""
    found = {key: addresses for key, addresses in held.items() if key < _ANY_SLOT}
    kept = [addresses for key, addresses in held.items() if key >= _ANY_SLOT]
    return {**found, _ANY_SLOT: frozenset().union(*kept)} if kept else found


def take_in(known: Held, more: Held) -> bool:
    """Let *known* hold *more* too; whether any of that is new."""
    changed = False
    for key, addresses in more.items():
        before = known.get(key, _NOTHING)
        if addresses is not before and not addresses <= before:
            known[key] = before | addresses
            changed = True
    return changed


def _further(held: _Addresses, added: int) -> _Addresses:
    if not added:
        return held
    return frozenset(
        (address + added, times + 1) if times < _MAX_ADDED else (address, times) for address, times in held
    )
