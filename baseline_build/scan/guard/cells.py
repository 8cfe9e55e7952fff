"""Static and thread-local variables that keep what the CPU said.

A variable becomes a *cell* when code stores something informed into it. From then on it holds its initial value or what
any store in the file puts there, so every function near it must be looked at. An arbitrary value from code that itself
asks the CPU (an environment variable read by the detector, an argument of "initialise") is a person's decision to
override the answer, and does not count; an arbitrary value from anywhere else, or the variable's address in unknown
hands, does, and then the variable tells nothing any more.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Set, Tuple

from . import arithmetic
from .program import Program
from .state import THREADS, is_stack, is_thread
from .values import PLAIN, UNDEFINED, Value, constant, join, without_plain

_Key = Tuple[int, int]


class Cells:
    """All cells of one file; grows while functions are interpreted."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._stores: Dict[int, Dict[int, Value]] = {}
        self._cells: Set[int] = set()
        self._readers: Dict[int, Set[int]] = {}
        self.writers: Dict[int, Set[int]] = {}
        # Functions that must be interpreted again because a cell they read changed.
        self.stale: Set[int] = set()
        self.fresh: List[int] = []
        # Grows with every change: what was computed from cells before is out of date.
        self.version = 0

    def __contains__(self, address: int) -> bool:
        return address in self._cells

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._cells))

    def store(self, address: int, size: int, value: Value, facts: int, function: int, *, asks: bool) -> None:
        """*function* stores *value* where *facts* hold.

        :param asks: whether that function (or one it calls) asks the CPU.
        """
        if is_stack(address):
            return
        if asks and (value.keys or value.bits is not None):
            value = without_plain(value)
        elif asks and value is PLAIN:
            return
        known = self._stores.setdefault(address, {})
        before = known.get(size, UNDEFINED)
        after = join(before, 0, value, facts)
        self.writers.setdefault(address, set()).add(function)
        if after == before:
            return
        known[size] = after
        self.version += 1
        if address not in self._cells and after.informed:
            self._cells.add(address)
            self.fresh.append(address)
        self.stale |= self._readers.get(address & ~15, set()) | self._readers.get((address + size - 1) & ~15, set())

    def lose(self, address: int, function: int) -> None:
        """The address is in unknown hands: the object there may be written by anybody."""
        if not is_thread(address) and self.program.is_constant(address - self.program.base):
            return
        end = self._object_end(address)
        for at in [at for at in self._stores if address <= at < end] or [address]:
            for size in list(self._stores.get(at, {8: UNDEFINED})):
                self.store(at, size, PLAIN, 0, function, asks=False)

    def _object_end(self, address: int) -> int:
        if is_thread(address):
            return address + 1
        base = self.program.base
        return self.program.referred_above(address - base) + base

    def stored(self, address: int, size: int) -> Value:
        """What stores put there: the initial value left out."""
        exact = self._stores.get(address, {}).get(size)
        others = list(self._overlapping(address, size))
        if exact is not None and len(others) == 1:
            return exact
        result = UNDEFINED
        pieces: Dict[int, _Key] = {}
        for at, length in others:
            value = self._stores[at][length]
            if at <= address and at + length >= address + size:
                result = join(result, 0, arithmetic.taken(value, (address - at) * 8, size * 8), 0)
            elif address <= at and at + length <= address + size:
                pieces[at] = (at, length)
            else:
                return PLAIN
        if pieces:
            result = join(result, 0, self._assembled(address, size, pieces), 0)
        return result

    def _assembled(self, address: int, size: int, pieces: Dict[int, _Key]) -> Value:
        """A wide load over narrower stores: each piece with what it held at first."""
        result = UNDEFINED
        position = address
        while position < address + size:
            piece = pieces.get(position)
            length = piece[1] if piece else min([at for at in pieces if at > position] + [address + size]) - position
            part = self.initial(position, length)
            if piece:
                part = join(part, 0, self._stores[position][length], 0)
            shift = (position - address) * 8
            result = part if position == address else arithmetic.glued(result, part, shift)
            position += length
        return result

    def _overlapping(self, address: int, size: int) -> Iterator[_Key]:
        for at in range(address - 15, address + size):
            for length in self._stores.get(at, ()):
                if at + length > address:
                    yield at, length

    def initial(self, address: int, size: int) -> Value:
        """What stands there before any code of the file runs."""
        if is_thread(address):
            number = self.program.thread_template(address, size)
        else:
            number = self.program.constant_at(address - self.program.base, size)
        return PLAIN if number is None else constant(number)

    def load(self, address: int, size: int, function: int) -> Value:
        """What *function* may find there."""
        program = self.program
        if address == THREADS and size == 8:
            return constant(THREADS)
        if not is_thread(address):
            if not program.low <= address < program.high:
                return PLAIN
            if program.is_constant(address - program.base):
                return self.initial(address, size)
        self._readers.setdefault(address & ~15, set()).add(function)
        if not any(at in self._cells for at, _ in self._overlapping(address, size)):
            initial = self.initial(address, size)
            return Value(initial.keys, initial.bits, True)
        return join(self.initial(address, size), 0, self.stored(address, size), 0)

    def survive(self, address: int, size: int, value: Value) -> Optional[Value]:
        """What stands at a cell after code that was not followed ran; ``None``: nothing is known."""
        if not any(at in self._cells for at, _ in self._overlapping(address, size)):
            return None
        return join(value, 0, self.stored(address, size), 0)
