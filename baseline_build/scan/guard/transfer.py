"""What single operations do to a :class:`~.state.State`: data flow without control flow."""

from __future__ import annotations

from typing import Callable, Dict, Mapping

from . import arithmetic
from .conditions import Flags, decide
from .operations import THREAD, VECTORS, Operand, Operation
from .state import ANYTHING
from .values import PLAIN, Value, choice, constant, join
from .vectors import Vectors


class Transfer(Vectors):
    """Applies operations to ``state``; the subclass supplies control flow."""

    def apply(self, operation: Operation) -> None:
        """Change the state as *operation* does."""
        _HANDLERS[operation[0]](self, operation)

    # --- general operations ---

    def _mov(self, operation: Operation) -> None:
        _, target, source = operation
        value = self.read(source)
        # Before the register that is written, which may be part of the address, changes.
        loaded = self.fixed(source) if source[0] == "m" else None
        if source[0] == "m" and target[0] == "r" and source[5] < 64 and target[2] > source[5]:
            value = arithmetic.resized(value, source[5])
        self.write(target, value)
        if target[0] == "r" and target[2] >= 32:
            if loaded is not None:
                self.state.origins[target[1]] = (loaded, source[5] // 8)
            elif source[0] == "r" and source[2] == target[2] and source[1] != target[1]:
                self._copied(target[1], source[1], source[2])
        elif target[0] == "m" and source[0] == "r" and source[2] >= 32:
            where = self.fixed(target)
            if where is not None:
                self.state.origins[source[1]] = (where, source[2] // 8)

    def _copied(self, target: int, source: int, width: int) -> None:
        """Both registers hold the same from now on (the upper half of the source must be clear for that)."""
        origin = self.state.origins.get(source)
        if origin is not None:
            self.state.origins[target] = origin
        elif width == 64 or self.state.registers[source] == self.state.registers[target]:
            self.state.origins[target] = (~source, 0)

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
        if name == "add" and first == second and first[0] == "r":
            name, right = "shl", constant(1)
        value = self._combine(name, left, right, width)
        self.write(target, value)
        if not flags:
            return
        if name == "sub" and flags != "result":
            self.state.flags = Flags("sub", left, right, width, None)
            return
        kind = "logic" if name in ("and", "or", "xor", "andn") else "result"
        place = self.place(target, value) if target[0] == "r" else None
        self.state.flags = Flags(kind, value, value, width, place)

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
