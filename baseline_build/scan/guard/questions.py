"""What asking instructions and functions answer, and where thread-local variables are."""

from __future__ import annotations

from typing import Dict, Optional, Tuple

from . import arithmetic
from .facts import cpuid_bits
from .memory import Memory
from .operations import Operand, Operation
from .program import Program
from .state import THREADS
from .values import LOST, PLAIN, UNDEFINED, Bits, Value, choice, constant, join

_REGISTERS = ("eax", "ebx", "ecx", "edx")
_NUMBERS = {"eax": 0, "ebx": 3, "ecx": 1, "edx": 2}


class Questions(Memory):
    """Operations that ask the CPU, and calls that stand for single operations."""

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
        where = self.fixed(source) if source[0] == "m" else self.state.origins.get(source[1], (None, 0))[0]
        if where is None or where - self.program.base not in self.program.image.tls_slots:
            return False
        offset = self.program.image.tls_slots[where - self.program.base]
        self.state.set_register(self.program.lifter.abi.result, constant(offset))
        return True


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
