"""Static and thread-local variables that keep what the CPU said.

A variable becomes a *cell* when code stores something informed into it. From then on it holds its initial value or what
any store in the file puts there, so every function near it must be looked at. An arbitrary value from code that itself
asks the CPU (an environment variable read by the detector, an argument of "initialise") is a person's decision to
override the answer, and does not count; an arbitrary value from anywhere else, or the variable's address in unknown
hands, does, and then the variable tells nothing any more.
"""

from __future__ import annotations

from typing import Container, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from . import arithmetic
from .fields import is_field
from .foreign import Foreign
from .kept import Kept
from .program import Program
from .state import THREADS, is_thread
from .values import PLAIN, UNDEFINED, Value, as_bits, constant, join, weakened

_Key = Tuple[int, int]
_MAX_GROWING = 8
_NO_STORES: Dict[int, Dict[int, Value]] = {}


class Store(NamedTuple):
    """A function stores ``value`` where ``facts`` hold; ``lost``: the address is in unknown hands instead.

    ``kept_at``: the instruction that lets it go, where it puts it into memory or hands it to a known function.
    """

    address: int
    size: int
    value: Value
    facts: int
    lost: bool = False
    kept_at: Optional[int] = None


class Cells:
    """All cells of one file; grows while functions are interpreted."""

    def __init__(self, program: Program, kept: Kept) -> None:
        self.program = program
        self.foreign = Foreign(program.image, program.base, program.facts)
        self.lists = kept
        # Flags that are weakened through a list of their addresses, see the module kept.
        self._weak: Set[int] = set()
        # Address -> size -> owner (the function interpreted) -> what it stores there.
        self._stores: Dict[int, Dict[int, Dict[int, Value]]] = {}
        self._owned: Dict[int, Set[_Key]] = {}
        self._cells: Set[int] = set()
        self._readers: Dict[int, Set[int]] = {}
        # Functions that must be interpreted again because a cell they read changed.
        self.stale: Set[int] = set()
        self.fresh: List[int] = []
        # Grows with every change: what was computed from cells before is out of date.
        self.version = 0

    def __contains__(self, address: int) -> bool:
        return address in self._cells

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._cells))

    def reset(self) -> None:
        """Forget all stores; the cells stay cells."""
        self._stores.clear()
        self._owned.clear()
        self._readers.clear()
        self._weak.clear()
        self.stale.clear()
        self.version += 1

    def writers(self, address: int) -> Iterator[int]:
        """Functions that write the cell at *address*."""
        for owners in self._stores.get(address, {}).values():
            yield from owners

    def begin(self, owner: int) -> Dict[_Key, Value]:
        """*owner* is going to be interpreted (again): for now it stores nothing. What it stored is returned."""
        before: Dict[_Key, Value] = {}
        for address, size in self._owned.pop(owner, ()):
            value = self._stores[address][size].pop(owner, None)
            if value is not None:
                before[address, size] = value
        self.version += 1
        return before

    def add(self, owner: int, stores: Sequence[Store], repeats: int, answers: Container[int]) -> bool:
        """*owner* stores this too; whether that is new and changes what it reads itself.

        :param answers: variables it reads, where it asks the CPU itself. What comes from the answer makes one of them
            a cell even where its meaning is lost: perhaps only because the variable was none (``active |= answer``).
        :param repeats: how often that was so; then sets that still grow are described bit by bit.
        """
        owned = self._owned.setdefault(owner, set())
        again = False
        for store in stores:
            for key, value in self._keys(store):
                address, size = key
                owners = self._stores.setdefault(address, {}).setdefault(size, {})
                before = owners.get(owner, UNDEFINED)
                after = join(before, 0, value, store.facts)
                if repeats and len(after.keys) > max(len(before.keys), _MAX_GROWING):
                    after = Value({}, as_bits(after), after.plain)
                if after == before:
                    continue
                owned.add(key)
                owners[owner] = after
                self.version += 1
                again = again or owner in self._readers_of(address, size)
                if address not in self._cells and (after.informed or (address in answers and after.tainted)):
                    self._cells.add(address)
                    self.fresh.append(address)
        return again

    def settle(self, owner: int, before: Dict[_Key, Value]) -> None:
        """*owner* has been interpreted: whoever reads what it now stores differently is out of date."""
        now = {key: self._stores[key[0]][key[1]][owner] for key in self._owned.get(owner, ())}
        for key in {*before, *now}:
            if before.get(key) != now.get(key):
                self.stale |= self._readers_of(*key) - {owner}

    def forget(self, owner: int) -> None:
        """*owner* stores nothing of its own."""
        before = self.begin(owner)
        self.settle(owner, before)

    def _readers_of(self, address: int, size: int) -> Set[int]:
        found: Set[int] = set()
        for block in {address & ~15, address + size - 1 & ~15}:
            found |= self._readers.get(block, set())
        return found

    def _keys(self, store: Store) -> Iterator[Tuple[_Key, Value]]:
        address = store.address
        if not store.lost:
            yield (address, store.size), store.value
            return
        if not is_thread(address) and self.program.contents.is_constant(address - self.program.base):
            return
        if store.kept_at is not None and address in self._cells and self._is_weakened(address, store.kept_at):
            return
        end = self._object_end(address)
        for at in sorted({at for at in self._cells if address <= at < end} | {address}):
            # What lies behind the end of the object is another one.
            most = 8 if is_thread(at) else end - at
            for size in {min(size, most) for size in (*self._stores.get(at, ()), 8)}:
                yield (at, size), PLAIN

    def _is_weakened(self, address: int, at: int) -> bool:
        """Whether all that happens to the flag at *address* through what *at* lets go is that it is weakened."""
        if is_thread(address) or not self.lists.only_weakened(address - self.program.base, at):
            return False
        if address not in self._weak:
            self._weak.add(address)
            self.version += 1
            self.stale |= self._readers_of(address, 1)
        return True

    def lose(self, address: int, owner: int) -> None:
        """Code that is not interpreted may write the cell at *address*."""
        for size in set(self._stores.get(address, ())) | {8}:
            owners = self._stores.setdefault(address, {}).setdefault(size, {})
            if owners.get(~owner) is not PLAIN:
                owners[~owner] = PLAIN
                self.version += 1
                self.stale |= self._readers_of(address, size)

    def _at(self, address: int, size: int) -> Value:
        result = UNDEFINED
        for value in self._stores[address][size].values():
            result = join(result, 0, value, 0)
        return result

    def _object_end(self, address: int) -> int:
        if is_thread(address):
            return address + 1
        program = self.program
        # The last object of the file ends with it: threads' variables, fields and other files' objects stand above.
        return min(program.referred_above(address - program.base) + program.base, max(program.high, address + 1))

    def stored(self, address: int, size: int) -> Value:
        """What stores put there: the initial value left out, where every store fills all of it."""
        end = address + size
        others = list(self._overlapping(address, size))
        marks = {address, end}
        for at, length in others:
            marks.update(mark for mark in (at, at + length) if address < mark < end)
        inside = sorted(marks)
        result = UNDEFINED
        for low, high in zip(inside, inside[1:]):
            part = self.initial(low, high - low) if len(inside) > 2 else UNDEFINED
            for at, length in others:
                if at <= low and high <= at + length:
                    value = arithmetic.taken(self._at(at, length), (low - at) * 8, (high - low) * 8)
                    part = join(part, 0, value, 0)
            result = part if low == address else arithmetic.glued(result, part, (low - address) * 8)
        if not self._weak or not any(at in self._weak for at in range(address, end)):
            return result
        return weakened(result) if size == 1 else join(result, 0, PLAIN, 0)

    def _overlapping(self, address: int, size: int) -> Iterator[_Key]:
        for at in range(address - 15, address + size):
            for length, owners in self._stores.get(at, _NO_STORES).items():
                if owners and at + length > address:
                    yield at, length

    def _is_cell(self, address: int, size: int) -> bool:
        return any(at in self._cells for at in range(address - 7, address + size))

    def initial(self, address: int, size: int) -> Value:
        """What stands there before any code of the file runs."""
        if is_field(address):
            return constant(0)
        if address in self.foreign:
            return self.foreign.at(address, size)
        if is_thread(address):
            number = self.program.contents.of_thread(address, size)
        else:
            number = self.program.contents.at(address - self.program.base, size)
        return PLAIN if number is None else constant(number)

    def load(self, address: int, size: int, function: int) -> Value:
        """What *function* may find there."""
        program = self.program
        if address == THREADS and size == 8:
            return constant(THREADS)
        if address in self.foreign:
            self._readers.setdefault(address & ~15, set()).add(function)
            return join(self.initial(address, size), 0, self.stored(address, size), 0)
        pointed = self.foreign.pointers.get(address - program.base)
        if pointed is not None:
            return constant(pointed) if size == 8 else PLAIN
        if not is_thread(address) and not is_field(address):
            if not program.low <= address < program.high:
                return PLAIN
            if program.contents.is_constant(address - program.base):
                return self.initial(address, size)
        self._readers.setdefault(address & ~15, set()).add(function)
        if not self._is_cell(address, size):
            initial = self.initial(address, size)
            return Value(initial.keys, initial.bits, True)
        return join(self.initial(address, size), 0, self.stored(address, size), 0)

    def note_reader(self, address: int, size: int, function: int) -> None:
        """*function* is out of date when what stores put there changes."""
        for block in {address & ~15, address + size - 1 & ~15}:
            self._readers.setdefault(block, set()).add(function)

    def kept(self, address: int, size: int) -> Optional[Value]:
        """What code that is not followed may put into a cell; ``None`` where there is none: then anything."""
        return self.stored(address, size) if self._is_cell(address, size) else None
