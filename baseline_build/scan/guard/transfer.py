"""What single operations do to a :class:`~.state.State`: data flow without control flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Tuple

from . import arithmetic
from .cells import Cells
from .conditions import Flags, Place, decide
from .facts import cpuid_bits
from .fields import Field, Fields
from .operations import THREAD, VECTORS, Operand, Operation
from .program import Program
from .state import ANYTHING, STACK, THREADS, Parts, State, is_stack, is_thread
from .values import LOST, PLAIN, UNDEFINED, Bits, Value, as_bits, choice, constant, join, knowing, spread

if TYPE_CHECKING:
    from .interpreter import Result

_REGISTERS = ("eax", "ebx", "ecx", "edx")
_NUMBERS = {"eax": 0, "ebx": 3, "ecx": 1, "edx": 2}
_MAX_TABLE = 1024
_MAX_FILL = 1 << 16


class Transfer:
    """Applies operations to ``state``; the subclass supplies control flow."""

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

    def note_store(self, address: int, size: int, value: Value) -> None:
        """A store outside the stack."""
        raise TypeError(address, size, value)

    def note_loss(self, address: int) -> None:
        """The address of a variable is in unknown hands."""
        raise TypeError(address)

    def apply(self, operation: Operation) -> None:
        """Change the state as *operation* does."""
        _HANDLERS[operation[0]](self, operation)

    # --- pointers ---

    def escape(self, value: Value, at_facts: Optional[int] = None, kind: str = "pointer") -> None:
        """*value* goes where it is not followed: what it points to may be run, read or written from now on.

        :param kind: ``second`` for the second result register, which most often holds something stale: it may point to
            a table of functions, but nobody writes through it or calls it. ``span`` where it is the
            beginning of something read with an index nothing is known of.
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
                    self.note_loss(key)
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
        if index is not None:
            times = self.state.registers[index]
            if scale != 1:
                times = arithmetic.binary("mul", times, constant(scale), 64)
            value = self._combine("add", value, times, 64)
        if displacement:
            value = self._combine("add", value, constant(displacement & (1 << 64) - 1), 64)
        return value

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
            where = self.address(operand).single
            return Place(True, where, operand[5] // 8) if where is not None else None
        return None

    def load(self, operand: Operand) -> Value:
        """What stands at a memory operand."""
        where = self.address(operand)
        size = operand[5] // 8
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
        return arithmetic.taken(self.cells.load(field.address, field.size, self.owner), 0, size * 8)

    def _store_unknown(self, size: int, value: Value) -> None:
        """*value* is written through a pointer nothing is known of: perhaps to a field, see :mod:`.fields`."""
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
        return self.cells.load(address, size, self.owner)

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
        if not program.is_memory(at) or not program.is_constant(at):
            return None
        entries: Dict[int, int] = {}
        limit = min(program.referred_above(at), at + _MAX_TABLE * size)
        for place in range(at, limit, size):
            number = program.constant_at(place, size)
            if number is None:
                break
            target = number - program.base if size == 8 else at + (number - (number >> 31 << 32))
            if not self.is_target(target):
                break
            entries[number & (1 << 64) - 1] = 0
        return Value(entries) if len(entries) > 1 else None

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
            self.escape(value)
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

    # --- general operations ---

    def _mov(self, operation: Operation) -> None:
        _, target, source = operation
        value = self.read(source)
        # Before the register that is written, which may be part of the address, changes.
        loaded = self.address(source).single if source[0] == "m" else None
        if source[0] == "m" and target[0] == "r" and source[5] < 64 and target[2] > source[5]:
            value = arithmetic.resized(value, source[5])
        self.write(target, value)
        if target[0] == "r" and target[2] >= 32:
            if loaded is not None:
                self.state.origins[target[1]] = loaded
            elif source[0] == "r" and source[2] == target[2] and source[1] != target[1]:
                self._copied(target[1], source[1], source[2])
        elif target[0] == "m" and source[0] == "r" and source[2] >= 32:
            where = self.address(target).single
            if where is not None:
                self.state.origins[source[1]] = where

    def _copied(self, target: int, source: int, width: int) -> None:
        """Both registers hold the same from now on (the upper half of the source must be clear for that)."""
        origin = self.state.origins.get(source)
        if origin is not None:
            self.state.origins[target] = origin
        elif width == 64 or self.state.registers[source] == self.state.registers[target]:
            self.state.origins[target] = ~source

    def _movsx(self, operation: Operation) -> None:
        _, target, source = operation
        width = self.width(source)
        self.write(target, arithmetic.extended(self.read(source), width, max(self.width(target), width)))

    def _lea(self, operation: Operation) -> None:
        _, target, source = operation
        self.write(target, self.address(source))

    def _bin(self, operation: Operation) -> None:
        _, name, target, first, second, flags = operation
        width = self.width(target)
        if target[0] == "m" and target == first and self._modify(name, target, second, width):
            return
        left, right = self.read(first), self.read(second)
        if second[0] == "i":
            right = arithmetic.resized(right, width)
        value = self._combine(name, left, right, width)
        place = None
        if flags and name == "sub" and flags != "result":
            found: Optional[Flags] = Flags("sub", left, right, width, None)
        elif flags and name in ("and", "or", "xor", "andn"):
            found = Flags("logic", value, value, width, None)
        elif flags:
            found = Flags("result", value, value, width, None)
        else:
            found = self.state.flags
        self.write(target, value)
        if found is not None and flags and found.kind != "sub":
            place = self.place(target, value) if target[0] == "r" else None
            found = found._replace(place=place)
        self.state.flags = found

    def _modify(self, name: str, target: Operand, second: Operand, width: int) -> bool:
        """One of several known places is changed by what stood there: each on its own, not their mixture."""
        where = self.address(target)
        if not where.exact or len(where.keys) < 2:
            return False
        right = arithmetic.resized(self.read(second), width)
        for key in where.keys:
            one = ("m", None, None, 1, key, width)
            before = self.load(one)
            self.store(one, join(before, 0, arithmetic.binary(name, before, right, width), 0))
        self.state.flags = None
        return True

    def _cmp(self, operation: Operation) -> None:
        _, first, second = operation
        left, right = self.read(first), self.read(second)
        width = min(self.width(first), self.width(second))
        self.state.flags = Flags("sub", left, arithmetic.resized(right, width), width, self.place(first, left))

    def _test(self, operation: Operation) -> None:
        _, first, second = operation
        width = min(self.width(first), self.width(second))
        left = self.read(first)
        if first == second:
            self.state.flags = Flags("logic", left, left, width, self.place(first, left))
            return
        value = arithmetic.binary("and", left, arithmetic.resized(self.read(second), width), width)
        self.state.flags = Flags("logic", value, value, width, None)

    def _bit(self, operation: Operation) -> None:
        _, first, second = operation
        width = self.width(first)
        number = arithmetic.binary("and", self.read(second), constant(width - 1), 64)
        value = self.read(first)
        self.state.flags = Flags("bit", value, number, width, self.place(first, value))

    def _moved(self, operation: Operation) -> None:
        """After a shift: carry is what was moved out, zero and sign are the result's."""
        _, source, bit, _ = operation
        self.state.flags = Flags(
            "shifted", self.read(source), constant(bit), self.width(source), None, self.state.flags
        )

    def _neg(self, operation: Operation) -> None:
        operand = operation[1]
        width = self.width(operand)
        value = self.read(operand)
        # Carry: the operand was not 0, as after 0 - operand.
        self.write(operand, arithmetic.negated(value, width))
        self.state.flags = Flags("sub", constant(0), value, width, None)

    def _set(self, operation: Operation) -> None:
        _, condition, target = operation
        self.write(target, self._outcome(condition, 1))

    def _outcome(self, condition: str, number: int) -> Value:
        met, missed = decide(self.state.flags, condition)
        keys: Dict[int, int] = {}
        if met is not None:
            keys[number] = met.facts
        if missed is not None:
            keys[0] = missed.facts
        self._told(keys)
        return choice(keys)

    def _told(self, keys: Mapping[int, int]) -> None:
        if len(keys) > 1:
            facts = 0
            for known in keys.values():
                facts |= known
            if facts & ~self.state.facts:
                self.result.tests[self.at] = self.result.tests.get(self.at, 0) | facts

    def _carry(self, operation: Operation) -> None:
        target = operation[1]
        width = self.width(target)
        self.write(target, self._outcome("b", (1 << width) - 1))

    def _cmov(self, operation: Operation) -> None:
        _, condition, target, first, second = operation
        flags = self.state.flags
        met, missed = decide(flags, condition)
        chosen, other = self.read(first), self.read(second)
        if self.width(target) < 64:
            chosen, other = (arithmetic.resized(value, self.width(target)) for value in (chosen, other))
        place = flags.place if flags is not None else None
        if place is not None and not place.memory:
            # The moved value may be the compared one: each outcome has told of it.
            if met is not None and met.value is not None and first[0] == "r" and first[1] == place.at:
                chosen = met.value
            if missed is not None and missed.value is not None and second[0] == "r" and second[1] == place.at:
                other = missed.value
        self._told({1: met.facts if met else 0, 0: missed.facts if missed else 0})
        if met is None:
            value = other
        elif missed is None:
            value = chosen
        else:
            value = join(chosen, met.facts, other, missed.facts)
        self.write(target, value)

    def _xchg(self, operation: Operation) -> None:
        _, first, second = operation
        left, right = self.read(first), self.read(second)
        self.write(first, right)
        self.write(second, left)

    def _swap(self, operation: Operation) -> None:
        """cmpxchg: the operand may or may not be replaced."""
        _, target, source, old = operation
        before, new = self.read(target), self.read(source)
        self.write(target, join(before, 0, new, 0))
        self.write(old, before)
        self.state.flags = None

    def _lost(self, operation: Operation) -> None:
        _, registers, memory, flags = operation
        tainted = False
        for number in registers:
            if number >= VECTORS and number < THREAD:
                self.state.vectors[number - VECTORS] = ()
                continue
            before = self.state.registers[number]
            tainted = tainted or before.tainted
            if before.keys and self._points(before):
                self.escape(before)
        for number in registers:
            if number < VECTORS or number >= THREAD:
                self.state.set_register(number, ANYTHING if tainted else PLAIN)
        if memory is not None:
            self._lose(memory, tainted)
        if flags:
            self.state.flags = None

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

    # --- questions ---

    def _cpuid(self, _: Operation) -> None:
        self.result.asks = True
        registers = self.state.registers
        leaf, subleaf = registers[0], registers[1]
        answers = {name: _answer(self.program, leaf, subleaf, name) for name in _REGISTERS}
        for name, value in answers.items():
            self.state.set_register(_NUMBERS[name], value)

    def _xcr(self, _: Operation) -> None:
        self.result.asks = True
        number = self.state.registers[1].single
        low = _pattern(self.program, (-1, 0, "eax")) if number == 0 else LOST
        self.state.set_register(0, low)
        self.state.set_register(2, arithmetic.resized(LOST, 32))

    def _known(self, operation: Operation) -> None:
        """The register changes only where the CPU has a feature."""
        _, target, names = operation
        if self.read(target).single == 0:
            facts = 0
            for name in names:
                facts |= self.program.facts.shown(name)
            self.write(target, choice({0: 0, 1 << 47: facts}))
        else:
            self.write(target, PLAIN)

    def _ask(self, operation: Operation) -> None:
        _, target, table = operation
        self.result.asks = True
        self.write(target, pattern(self.program, table))

    def answer_of(self, name: str, argument: Value) -> Optional[Value]:
        """What an imported function tells of the CPU; ``None`` when it tells nothing."""
        table = self.program.answers.get(name)
        number = argument.single
        if table is None or number is None:
            return None
        bits = table.get(number)
        if bits is None:
            return None
        self.result.asks = True
        return pattern(self.program, bits)

    # --- thread-local storage ---

    def thread_address(self) -> bool:
        """__tls_get_addr: the address of the variable whose module and offset the argument points to."""
        abi = self.program.lifter.abi
        slot = self.state.registers[abi.arguments[0]].single
        offset = self.program.image.tls_slots.get(slot - self.program.base) if slot is not None else None
        self.state.after_call(abi)
        if offset is not None:
            self.state.set_register(abi.result, constant(THREADS + offset))
        return True

    def is_thread_descriptor(self, source: Operand) -> bool:
        """A call through a TLS descriptor: the result register becomes the variable's offset, all others stay."""
        # x86 calls through memory, ARM64 through a register that was loaded from the descriptor just before.
        where = self.address(source).single if source[0] == "m" else self.state.origins.get(source[1])
        if where is None or where - self.program.base not in self.program.image.tls_slots:
            return False
        offset = self.program.image.tls_slots[where - self.program.base]
        self.state.set_register(self.program.lifter.abi.result, constant(offset))
        return True

    # --- vectors ---

    def _vector(self, number: int) -> Parts:
        return self.state.vectors[number - VECTORS]

    def _vlow(self, operation: Operation) -> None:
        _, target, source, size = operation
        if source[0] == "r" and source[1] >= VECTORS:
            parts = tuple(part for part in self._vector(source[1]) if part[0] + part[1] <= size)
        else:
            value = self.read(source)
            self.escape(value)
            parts = ((0, size, value),)
        zeros = tuple((at, 4, constant(0)) for at in range(size, 16, 4))
        self.state.vectors[target[1] - VECTORS] = (*parts, *zeros)

    def _vget(self, operation: Operation) -> None:
        _, target, source, size = operation
        self.write(target, _gathered(self._vector(source[1]), 0, size))

    def _vtake(self, operation: Operation) -> None:
        _, target, source, lane, size = operation
        self.write(target, _gathered(self._vector(source[1]), lane * 4, size))

    def _vput(self, operation: Operation) -> None:
        _, target, source, lane, size = operation
        value = self.read(source)
        self.escape(value)
        at = lane * 4
        kept = tuple(part for part in self._vector(target[1]) if part[0] + part[1] <= at or part[0] >= at + size)
        self.state.vectors[target[1] - VECTORS] = (*kept, (at, size, value))

    def _vmov(self, operation: Operation) -> None:
        _, target, source, size = operation
        if target[0] == "m":
            self._vector_store(target, self._vector(source[1]), size)
            return
        if source[0] == "r":
            self.state.vectors[target[1] - VECTORS] = self._vector(source[1])
            return
        where = self.address(source)
        self.state.vectors[target[1] - VECTORS] = ()
        number = where.single
        if number is None:
            self.escape(where)
        elif is_stack(number):
            found = [at for at in self.state.overlapping(number, size) if number <= at]
            self.state.vectors[target[1] - VECTORS] = tuple(
                (at - number, *self.state.memory[at]) for at in found if at + self.state.memory[at][0] <= number + size
            )
        else:
            self.state.vectors[target[1] - VECTORS] = tuple(
                (at, 4, self._load(number + at, 4)) for at in range(0, size, 4)
            )
            for at in range(0, size - 7, 8):
                self.escape(self._load(number + at, 8))

    def _vector_store(self, target: Operand, parts: Parts, size: int) -> None:
        where = self.address(target)
        number = where.single
        if number is None:
            self.escape(where)
            self.result.keeps = self.result.keeps or any(value.informed for _, _, value in parts)
            self._vector_to_field(parts, size)
            for key in where.keys:
                self._lose(("m", None, None, 1, key, size * 8), tainted=True)
            return
        tainted = any(value.tainted for _, _, value in parts)
        covered = {at: (length, value) for at, length, value in parts if at + length <= size}
        position = 0
        while position < size:
            length, value = covered.get(position, (4, LOST if tainted and not covered else PLAIN))
            if not is_stack(number):
                self.note_store(number + position, length, value)
            self.state.store(number + position, length, value)
            position += length

    def _vector_to_field(self, parts: Parts, size: int) -> None:
        field = self.fields.written_at(self.at)
        if field is not None:
            begin, whole = field.writers[self.at]
            value = _gathered(parts, begin, field.size) if whole == size else PLAIN
            self.note_store(field.address, field.size, value)

    def _vzero(self, operation: Operation) -> None:
        self.state.vectors[operation[1][1] - VECTORS] = tuple((at, 4, constant(0)) for at in range(0, 16, 4))

    def _vmix(self, operation: Operation) -> None:
        _, kind, target, first, second = operation
        if second[0] != "r":
            self.state.vectors[target[1] - VECTORS] = ()
            return
        low, high = self._vector(first[1]), self._vector(second[1])
        unit = 4 if kind == "dq" else 8
        parts: List[Tuple[int, int, Value]] = []
        for index in range(8 // unit):
            for order, source in enumerate((low, high)):
                at = (2 * index + order) * unit
                parts.append((at, unit, _gathered(source, index * unit, unit)))
        self.state.vectors[target[1] - VECTORS] = tuple(parts)

    def _lanes(self, operand: Operand) -> List[Value]:
        """The four lanes of a vector operand."""
        if operand[0] == "r":
            parts = self._vector(operand[1])
        else:
            where = self.address(operand).single
            if where is None:
                return [PLAIN] * 4
            parts = tuple((at, 4, self._load(where + at, 4)) for at in range(0, 16, 4))
        return [_gathered(parts, at, 4) for at in range(0, 16, 4)]

    def _vbin(self, operation: Operation) -> None:
        _, name, target, first, second = operation
        pairs = zip(self._lanes(first), self._lanes(second))
        values = [arithmetic.binary(name, left, right, 32) for left, right in pairs]
        self.state.vectors[target[1] - VECTORS] = tuple((at * 4, 4, value) for at, value in enumerate(values))

    def _vshuffle(self, operation: Operation) -> None:
        _, target, source, order = operation
        lanes = self._lanes(source)
        self.state.vectors[target[1] - VECTORS] = tuple((at * 4, 4, lanes[order >> 2 * at & 3]) for at in range(4))

    # --- strings ---

    def _fill(self, operation: Operation) -> None:
        size = operation[1] // 8
        registers = self.state.registers
        start, count, value = registers[7].single, registers[1].single, arithmetic.resized(registers[0], operation[1])
        if start is not None and count is not None and count * size <= _MAX_FILL:
            for at in range(start, start + count * size, size):
                if not is_stack(at):
                    self.note_store(at, size, value)
                self.state.store(at, size, value)
        else:
            self._spoil(registers[7])
        for number in (1, 7):
            self.state.set_register(number, PLAIN)

    def _copy(self, _: Operation) -> None:
        registers = self.state.registers
        self._spoil(registers[7])
        self.escape(registers[6])
        for number in (1, 6, 7):
            self.state.set_register(number, PLAIN)

    def _spoil(self, target: Value) -> None:
        """An unknown number of bytes is written there."""
        self.escape(target)
        for key in target.keys:
            if is_stack(key):
                self.state.forget_above(key)


def _gathered(parts: Parts, at: int, size: int) -> Value:
    """*size* bytes from byte *at* of a vector."""
    for start, length, value in parts:
        if start <= at and at + size <= start + length:
            return arithmetic.taken(value, (at - start) * 8, size * 8)
    if size == 8:
        low, high = _gathered(parts, at, 4), _gathered(parts, at + 4, 4)
        if low is not PLAIN or high is not PLAIN:
            return arithmetic.glued(low, high, 32)
    return PLAIN


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


def pattern(program: Program, bits: Tuple[Tuple[int, Tuple[str, ...]], ...]) -> Value:
    """A value whose bits tell of features."""
    ones: Dict[int, int] = {}
    for bit, names in bits:
        for name in names:
            ones[bit] = ones.get(bit, 0) | program.facts.shown(name)
    return Value({}, Bits(0, 0, ones, {}))


def _pattern(program: Program, key: Tuple[int, int, str]) -> Value:
    ones: Dict[int, int] = {}
    for bit, name in cpuid_bits().get(key, ()):
        ones[bit] = ones.get(bit, 0) | program.facts.shown(name)
    return Value({}, Bits(0xFFFFFFFF << 32, 0, ones, {}))


# Leaves whose answer does not depend on ecx (SDM vol. 2A, CPUID).
_WITHOUT_SUBLEAF = frozenset([0, 1, 0x19, 0x80000000, 0x80000001, 0x80000007, 0x80000008])


def _answer(program: Program, leaf: Value, subleaf: Value, register: str) -> Value:
    """One register after CPUID; several leaves: what they have in common."""
    lost = Value({}, Bits(0xFFFFFFFF << 32, 0, {}, {}))
    if not leaf.exact or len(leaf.keys) > 4:
        return lost
    value = UNDEFINED
    for key in leaf.keys:
        number = key & 0xFFFFFFFF
        if number in _WITHOUT_SUBLEAF:
            subleaves: Tuple[int, ...] = (0,)
        elif subleaf.exact and len(subleaf.keys) <= 4:
            subleaves = tuple(inner & 0xFFFFFFFF for inner in subleaf.keys)
        else:
            return lost
        for inner in subleaves:
            value = join(value, 0, _pattern(program, (number, inner, register)), 0)
    return value


_HANDLERS: Dict[str, Callable[[Transfer, Operation], None]] = {
    "mov": Transfer._mov, "movsx": Transfer._movsx, "lea": Transfer._lea, "bin": Transfer._bin,
    "cmp": Transfer._cmp, "test": Transfer._test, "bit": Transfer._bit, "moved": Transfer._moved,
    "neg": Transfer._neg, "set": Transfer._set, "carry": Transfer._carry, "cmov": Transfer._cmov,
    "xchg": Transfer._xchg, "swap": Transfer._swap, "lost": Transfer._lost, "cpuid": Transfer._cpuid,
    "xcr": Transfer._xcr, "known": Transfer._known, "ask": Transfer._ask, "vlow": Transfer._vlow,
    "vget": Transfer._vget, "vtake": Transfer._vtake, "vput": Transfer._vput, "vmov": Transfer._vmov,
    "vzero": Transfer._vzero, "vbin": Transfer._vbin, "vshuffle": Transfer._vshuffle,
    "vmix": Transfer._vmix, "fill": Transfer._fill, "copy": Transfer._copy,
}  # fmt: skip
