"""Vectors where they carry integers, and string operations."""

from __future__ import annotations

from typing import List, Tuple

from . import arithmetic
from .operations import THREAD, VECTORS, Operand, Operation
from .questions import Questions
from .state import Parts, is_stack
from .values import LOST, PLAIN, Value, constant

_MAX_FILL = 1 << 16


class Vectors(Questions):
    """Operations on vectors and on blocks of memory."""

    def _vector(self, number: int) -> Parts:
        return self.state.vectors[number - VECTORS]

    def _vlow(self, operation: Operation) -> None:
        _, target, source, size = operation
        if source[0] == "r" and VECTORS <= source[1] < THREAD:
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
