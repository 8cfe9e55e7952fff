"""Operands of operations: registers, memory, and pointers that go where they are not followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Mapping, Optional

from . import arithmetic
from .cells import Cells
from .conditions import Place
from .field_search import Field
from .fields import Fields
from .operations import Operand
from .pairs import entries
from .program import Program
from .recall import Told
from .state import ANYTHING, STACK, THREADS, State, is_stack, is_thread
from .values import LOST, PLAIN, UNDEFINED, Bits, Value, as_bits, constant, join, knowing, spread

if TYPE_CHECKING:
    from .results import Result

_MAX_TABLE = 1024


class Memory:
    """Reads and writes ``state``; subclasses supply operations and control flow."""

    at: int
    next: int
    state: State
    function: int

    def __init__(self, program: Program, cells: Cells, fields: Fields, result: Result) -> None:
        self.program = program
        self.cells = cells
        self.fields = fields
        self.result = result
        self.owner = program.function_of(result.entry)
        self.told = Told(fields.found)

    def note_store(self, address: int, size: int, value: Value) -> None:
        """A store outside the stack."""
        raise TypeError(address, size, value)

    def note_loss(self, address: int, *, kept: bool = False) -> None:
        """The address of a variable is in unknown hands; *kept*: see :meth:`escape`."""
        raise TypeError(address, kept)

    def survive(self, address: int, size: int) -> Optional[Value]:
        """What code that is not followed may put there; ``None``: anything."""
        raise TypeError(address, size)

    # --- pointers ---

    def escape(
        self, value: Value, at_facts: Optional[int] = None, kind: str = "pointer", *, kept: bool = False
    ) -> None:
        """*value* goes where it is not followed: what it points to may be run, read or written from now on.

        :param kind: ``second`` for the second result register, which most often holds something stale: it may point to
            a table of functions, but nobody writes through it or calls it. ``span`` where it is the
            beginning of something read with an index nothing is known of.
        :param kept: whether this very instruction writes it to memory or hands it to a known function.
        """
        if not value.keys:
            return
        here = self.state.facts if at_facts is None else at_facts
        low, high, base = self.program.low, self.program.high, self.program.base
        for key, facts in value.keys.items():
            if low <= key < high:
                if kind == "second" and self.program.image.is_code(key - base):
                    continue
                self.result.way(key - base, self.at, kind, facts | here)
                if kind != "second" and not self.program.image.is_code(key - base):
                    self.note_loss(key, kept=kept)
            elif is_stack(key):
                self.state.escaped = min(self.state.escaped, key)
                self.state.opened = self.state.opened or key >= STACK
            elif is_thread(key) and key != THREADS and kind != "second":
                self.note_loss(key)

    def _points(self, value: Value) -> bool:
        low = self.program.low
        return any(key >= low and key >> 63 == 0 for key in value.keys)

    # --- operands ---

    @staticmethod
    def width(operand: Operand) -> int:
        """Bits of *operand* (64 for constants)."""
        if operand[0] == "r":
            return int(operand[2])
        return int(operand[5]) if operand[0] == "m" else 64

    def address(self, operand: Operand) -> Value:
        """Address of a memory operand."""
        _, base, index, scale, displacement, _ = operand
        if base is None and index is None:
            return constant(displacement & (1 << 64) - 1)
        value = self.state.registers[base] if base is not None else constant(0)
        if index is not None and index == base:
            value = self._combine("mul", value, constant(scale + 1), 64)
        elif index is not None:
            times = self.state.registers[index]
            if scale != 1:
                times = arithmetic.binary("mul", times, constant(scale), 64)
            value = self._combine("add", value, times, 64)
        if displacement:
            value = self._combine("add", value, constant(displacement & (1 << 64) - 1), 64)
        return value

    def fixed(self, operand: Operand) -> Optional[int]:
        """The one address a memory operand surely has; ``None`` where it may have several."""
        _, base, index, scale, displacement, _ = operand
        at = 0 if base is None else self.state.registers[base].single
        further = 0 if index is None else self.state.registers[index].single
        return None if at is None or further is None else at + further * scale + displacement & (1 << 64) - 1

    def _combine(self, name: str, first: Value, second: Value, width: int) -> Value:
        value = arithmetic.binary(name, first, second, width)
        if not value.exact:
            if first.keys and self._points(first):
                self.escape(first, kind="span")
            if second.keys and self._points(second):
                self.escape(second, kind="span")
        return value

    def read(self, operand: Operand) -> Value:
        """Value of *operand*."""
        kind = operand[0]
        if kind == "i":
            return constant(operand[1] & (1 << 64) - 1)
        if kind == "m":
            return self.load(operand)
        _, number, width, shift = operand
        value = self.state.registers[number]
        if width >= 64:
            return value
        if width < 64 and value.keys and self.program.base and self._points(value):
            self.escape(value)
        return arithmetic.taken(value, shift, width)

    def write(self, operand: Operand, value: Value) -> None:
        """*operand* now holds *value*."""
        if operand[0] == "m":
            self.store(operand, value)
            return
        _, number, width, shift = operand
        if width < 32:
            value = _partly(self.state.registers[number], value, shift, width)
        elif width == 32:
            value = arithmetic.resized(value, 32)
        self.state.set_register(number, value)

    def place(self, operand: Operand, value: Value) -> Optional[Place]:
        """Where *value*, read from *operand*, stands alone; ``None`` where it is a part of something."""
        if operand[0] == "r":
            whole = self.state.registers[operand[1]]
            if operand[3] == 0 and (operand[2] == 64 or whole is value or whole == value):
                return Place(False, operand[1], operand[2] // 8)
            return None
        if operand[0] == "m":
            where = self.fixed(operand)
            return Place(True, where, operand[5] // 8) if where is not None else None
        return None

    def load(self, operand: Operand) -> Value:
        """What stands at a memory operand."""
        size = operand[5] // 8
        chosen = self._chosen(operand) if size == 8 else None
        if chosen is not None:
            return chosen
        where = self.address(operand)
        if not where.exact:
            table = self._table(operand, size)
            if table is not None:
                return table
            self.escape(where)
            field = self.fields.read_at(self.at)
            if field is not None:
                return self._load_field(field, size)
            return ANYTHING if where.tainted else PLAIN
        found = [(self._load(key, size), facts) for key, facts in where.keys.items()]
        if all(value.exact for value, _ in found):
            # Many entries of a jump table: all constants are kept, however many.
            keys: Dict[int, int] = {}
            for value, facts in found:
                for key, known in value.keys.items():
                    keys[key] = keys.get(key, -1) & (known | facts)
            return Value(keys)
        result = UNDEFINED
        for value, facts in found:
            after = join(result, 0, knowing(value, facts), 0)
            if not after.keys:
                self.escape(result)
                self.escape(value)
            result = after
        return result

    def _load_field(self, field: Field, size: int) -> Value:
        self.result.reads.add(field.address)
        return arithmetic.taken(self._told_of(field.address, field.size), 0, size * 8)

    def _store_unknown(self, size: int, value: Value) -> None:
        """*value* is written through a pointer nothing is known of: perhaps to a field, see :mod:`.fields`.

        Or it is written to a cell whose address others know: then what was read there before may be out of date.
        """
        self.state.forget_origins()
        memory = self.state.memory
        for at, (held, before) in [item for item in memory.items() if not is_stack(item[0])]:
            survivor = self.survive(at, held)
            if survivor is not None:
                memory[at] = (held, join(before, 0, survivor, 0))
        told = value.informed or (value.exact and bool(self.state.facts) and self.result.asks)
        if told and self.fields.written_at(self.at) is None:
            self.fields.propose(self.at)
        field = self.fields.written_at(self.at)
        if field is None:
            return
        begin, whole = field.writers[self.at]
        part = arithmetic.taken(value, begin * 8, field.size * 8) if whole == size <= 8 else PLAIN
        self.note_store(field.address, field.size, part)

    def _load(self, address: int, size: int) -> Value:
        known = self.state.known(address, size)
        if known is not None:
            return known
        if is_stack(address):
            return UNDEFINED if address < self.state.havoc else PLAIN
        self.result.reads.add(address)
        return self._told_of(address, size)

    def _told_of(self, address: int, size: int) -> Value:
        """What a variable may hold."""
        key = (address, size)
        known = self.told.loads.get(key)
        if known is None:
            known = self.told.loads[key] = self.cells.load(address, size, self.owner)
        return known

    def _table(self, operand: Operand, size: int) -> Optional[Value]:
        """All entries of a jump table read with an index nothing is known of; ``None`` where it is no such table."""
        _, base, index, scale, displacement, _ = operand
        if index is None or scale not in (4, 8) or scale != size:
            return None
        start = self.state.registers[base].single if base is not None else 0
        if start is None:
            return None
        program = self.program
        at = start + displacement - program.base
        if not program.contents.is_mapped(at) or not program.contents.is_constant(at):
            return None
        entries: Dict[int, int] = {}
        limit = min(program.referred_above(at), at + _MAX_TABLE * size)
        for place in range(at, limit, size):
            number = program.contents.at(place, size)
            if number is None:
                break
            target = number - program.base if size == 8 else at + (number - (number >> 31 << 32))
            if not self.is_target(target):
                break
            entries[number & (1 << 64) - 1] = 0
        return Value(entries) if len(entries) > 1 else None

    def _chosen(self, operand: Operand) -> Optional[Value]:
        """An entry of a table of functions, where bits of its number tell of the CPU; ``None`` where it is none."""
        _, base, index, scale, displacement, _ = operand
        if index is None:
            return None
        registers = self.state.registers
        place, offset = (constant(0) if base is None else registers[base]), registers[index]
        if scale == 1 and place.bits is not None:
            place, offset = offset, place
        if place.single is None or offset.bits is None or offset.plain or not offset.informed:
            return None
        pattern = as_bits(arithmetic.binary("mul", offset, constant(scale), 64))
        if pattern is None:
            return None
        return entries(self.program, place.single + displacement - self.program.base, pattern)

    def is_target(self, address: int) -> bool:
        """Whether a jump table of this function may lead to *address*."""
        raise TypeError(address)

    def store(self, operand: Operand, value: Value) -> None:
        """*value* is written to a memory operand."""
        where = self.address(operand)
        size = operand[5] // 8
        value = arithmetic.resized(value, operand[5]) if operand[5] < 64 else value
        if not where.exact:
            self.escape(where)
            self.escape(value, kept=True)
            self.result.keeps = self.result.keeps or value.informed
            self._store_unknown(size, value)
            return
        number = where.single
        if number is not None:
            if not is_stack(number):
                self.escape(value)
                self.note_store(number, size, value)
            self.state.store(number, size, value)
            return
        for key, facts in where.keys.items():
            if is_stack(key):
                before = self._load(key, size)
                self.state.store(key, size, join(before, 0, value, facts))
            else:
                self.escape(value)
                self.note_store(key, size, knowing(value, facts))
                for at in self.state.overlapping(key, size):
                    del self.state.memory[at]

    def _lose(self, memory: Operand, tainted: bool) -> None:
        where = self.address(memory)
        size = max(memory[5] // 8, 1)
        if not where.exact:
            self.escape(where)
            self._store_unknown(size, ANYTHING if tainted else PLAIN)
            return
        for key in where.keys:
            value = LOST if tainted else PLAIN
            if is_stack(key):
                for at in self.state.overlapping(key, size):
                    self.escape(self.state.memory[at][1])
                self.state.store(key, size, value)
                continue
            for at in range(key, key + size, 8):
                self.note_store(at, min(8, key + size - at), value)
            self.state.store(key, size, value)


def _partly(old: Value, new: Value, shift: int, width: int) -> Value:
    """*old* with the *width* bits from *shift* on replaced."""
    if old.exact and new.exact:
        return arithmetic.replaced(old, new, shift, width)
    if not old.tainted and not new.tainted and not new.exact:
        return PLAIN
    low = as_bits(arithmetic.resized(new, width)) if not new.plain else None
    mask = (1 << width) - 1 << shift
    kept = as_bits(old) if not old.plain else None
    inner = low if low is not None else Bits(0, 0, {}, {})
    outer = kept if kept is not None else Bits(0, 0, {}, {})
    return spread(
        Bits(
            (inner.zero << shift & mask) | (outer.zero & ~mask),
            (inner.one << shift & mask) | (outer.one & ~mask),
            {**{b + shift: f for b, f in inner.ones.items()}, **_outside(outer.ones, mask)},
            {**{b + shift: f for b, f in inner.zeros.items()}, **_outside(outer.zeros, mask)},
        )
    )


def _outside(table: Mapping[int, int], mask: int) -> Dict[int, int]:
    return {bit: facts for bit, facts in table.items() if not mask >> bit & 1}
