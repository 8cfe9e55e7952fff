"""What is known at one place of a function: registers, memory, the last comparison, the facts that hold there.

Memory is one map of addresses. Three ranges never meet: the image (moved by the lifter's base), the thread-local block
and the stack, whose pointer at the entry of the outermost function is :data:`STACK`.
"""

from __future__ import annotations

from itertools import compress
from operator import is_not
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from . import arithmetic
from .conditions import Flags, Place
from .operations import REGISTERS, THREAD, VECTORS, ZERO, Abi
from .values import LOST_BITS, PLAIN, UNDEFINED, Value, as_bits, constant, join

STACK = 1 << 56
STACK_LOW = STACK - (1 << 40)
STACK_HIGH = STACK + (1 << 40)
THREADS = 1 << 50
THREADS_LOW = THREADS - (1 << 32)
THREADS_HIGH = THREADS + (1 << 32)
_NEVER = 1 << 63
_MAX_GROWTH = 12
ANYTHING = Value({}, LOST_BITS, True)
_REGISTERS = range(REGISTERS)
_VECTORS = range(VECTORS)

Slot = Tuple[int, Value]
Origin = Tuple[int, int]
# A vector register: (first byte, bytes, value) of each part that is followed.
Parts = Tuple[Tuple[int, int, Value], ...]


def is_stack(address: int) -> bool:
    """Whether *address* lies on the stack."""
    return STACK_LOW <= address < STACK_HIGH


def is_thread(address: int) -> bool:
    """Whether *address* lies in the thread-local block."""
    return THREADS_LOW <= address < THREADS_HIGH


class State:
    """Mutable while a block is interpreted; copied at its end."""

    __slots__ = ("escaped", "facts", "flags", "havoc", "memory", "opened", "origins", "registers", "vectors")

    def __init__(self) -> None:
        self.registers: List[Value] = [PLAIN] * REGISTERS
        self.registers[THREAD] = constant(THREADS)
        self.registers[ZERO] = constant(0)
        self.vectors: List[Parts] = [()] * VECTORS
        self.memory: Dict[int, Slot] = {}
        self.flags: Optional[Flags] = None
        # Registers that still hold the bytes of a known place (address, size), zero-extended, or are copied from
        # another register (~number, 0).
        self.origins: Dict[int, Origin] = {}
        self.facts = 0
        # From here up the stack may hold anything where ``memory`` does not say otherwise.
        self.havoc = STACK
        # The lowest stack address that others were told of, and whether they were of the arguments up there.
        self.escaped = _NEVER
        self.opened = False

    def copy(self) -> State:
        """An independent copy."""
        other = State.__new__(State)
        other.registers = self.registers[:]
        other.vectors = self.vectors[:]
        other.memory = dict(self.memory)
        other.flags = self.flags
        other.origins = dict(self.origins)
        other.facts = self.facts
        other.havoc = self.havoc
        other.escaped = self.escaped
        other.opened = self.opened
        return other

    # --- memory ---

    def overlapping(self, address: int, size: int) -> List[int]:
        """Addresses of known slots that share bytes with the given ones."""
        memory = self.memory
        if size <= 64:
            return [at for at in range(address - 15, address + size) if at in memory and at + memory[at][0] > address]
        return [at for at, slot in memory.items() if address - slot[0] < at < address + size]

    def store(self, address: int, size: int, value: Value) -> None:
        """*value* now stands in *size* bytes at *address*."""
        memory = self.memory
        for at in self.overlapping(address, size):
            self._cut(at, address, size)
        memory[address] = (size, value)
        if self.origins:
            self.origins = {
                register: (at, held)
                for register, (at, held) in self.origins.items()
                if not address - held < at < address + size
            }
        place = self.flags.place if self.flags is not None else None
        if place is not None and place.memory and address - 8 < place.at < address + size:
            self.flags = self.flags._replace(place=None) if self.flags is not None else None

    def _cut(self, at: int, address: int, size: int) -> None:
        """Remove the bytes from *address* on out of the slot at *at*, keeping what lies beside them."""
        held, value = self.memory.pop(at)
        if at < address:
            self.memory[at] = (address - at, arithmetic.taken(value, 0, (address - at) * 8))
        end = address + size
        if at + held > end:
            rest = at + held - end
            self.memory[end] = (rest, arithmetic.taken(value, (end - at) * 8, rest * 8) if held <= 8 else PLAIN)

    def known(self, address: int, size: int) -> Optional[Value]:
        """What stands there, ``None`` where this state says nothing of (some of) it."""
        slot = self.memory.get(address)
        if slot is not None and slot[0] == size:
            return slot[1]
        covering = sorted(self.overlapping(address, size))
        if not covering:
            return None
        result: Optional[Value] = None
        position = address
        for at in covering:
            held, value = self.memory[at]
            if at > position or held > 8:
                return PLAIN
            end = min(at + held, address + size)
            part = arithmetic.taken(value, (position - at) * 8, (end - position) * 8)
            shift = (position - address) * 8
            result = part if result is None else arithmetic.glued(result, part, shift)
            position = end
        return result if position == address + size and size <= 8 else PLAIN

    def forget_above(self, address: int) -> None:
        """Something not followed may have written any stack byte from *address* up.

        A pointer to a local variable does not reach the arguments above the outermost frame (C17 6.5.6).
        """
        high = STACK_HIGH if self.opened else STACK
        for at in [at for at in self.memory if at + self.memory[at][0] > address and STACK_LOW <= at < high]:
            del self.memory[at]
        self.havoc = min(self.havoc, address)

    def set_register(self, number: int, value: Value) -> None:
        """*value* now stands in register *number*."""
        if number == ZERO:
            return
        self.registers[number] = value
        flags = self.flags
        if flags is not None and flags.place is not None and not flags.place.memory and flags.place.at == number:
            self.flags = flags._replace(place=self._other_place(flags.place))
        if self.origins:
            self.origins.pop(number, None)
            for copy in [copy for copy, origin in self.origins.items() if origin[0] == ~number]:
                del self.origins[copy]

    def _other_place(self, place: Place) -> Optional[Place]:
        """Where else the compared value at *place*, a register about to be overwritten, stands: where it came from.

        ``subs w8, w8, #2`` behind a load compares the variable, and keeps nothing of it but the flags.
        """
        at, size = self.origins.get(place.at, (0, 0))
        if at < 0:
            return Place(False, ~at, place.size)
        return Place(True, at, size) if 0 < size <= place.size else None

    def forget_origins(self) -> None:
        """Variables may have changed since they were read: what is found out about a register tells nothing of them."""
        if any(at >= 0 and not is_stack(at) for at, _ in self.origins.values()):
            self.origins = {
                register: (at, size) for register, (at, size) in self.origins.items() if at < 0 or is_stack(at)
            }
        place = self.flags.place if self.flags is not None else None
        if self.flags is not None and place is not None and place.memory and not is_stack(place.at):
            self.flags = self.flags._replace(place=None)

    def refine(self, place: Place, value: Value) -> None:
        """A comparison told more of what stands at *place*."""
        if place.memory:
            if (place.at in self.memory and self.memory[place.at][0] == place.size) or not is_stack(place.at):
                self.memory[place.at] = (place.size, value)
            return
        self.registers[place.at] = value
        origin = self.origins.get(place.at)
        for copy in [copy for copy, source in self.origins.items() if source[0] == ~place.at]:
            self.registers[copy] = value
        if origin is None:
            return
        at, size = origin
        if at < 0:
            self.registers[~at] = value
            return
        size = min(size, place.size)
        slot = self.memory.get(at)
        if (slot is not None and slot[0] == size) or (
            slot is None and not is_stack(at) and not self.overlapping(at, size)
        ):
            self.memory[at] = (size, arithmetic.resized(value, size * 8))

    def after_call(self, abi: Abi) -> None:
        """A call that was not followed: scratch registers and flags are lost."""
        kept = {register: self.registers[register] for register in abi.saved}
        kept[abi.stack] = self.registers[abi.stack]
        self.registers = [PLAIN] * REGISTERS
        self.registers[THREAD] = constant(THREADS)
        self.registers[ZERO] = constant(0)
        for register, value in kept.items():
            self.registers[register] = value
        self.vectors = [()] * VECTORS
        self.flags = None
        self.origins = {
            register: origin for register, origin in self.origins.items() if register in kept and is_stack(origin[0])
        }


Drop = Callable[[Value, int], None]


def merge(old: State, new: State, widen: int, drop: Drop) -> Optional[State]:
    """Either state; ``None`` when that is *old*.

    What both hold as the very same object (most of it: states are copies of one another) is not looked at.

    :param widen: above 0, values that still grow are given up.
    :param drop: is told of values whose constants are no longer followed, with the facts that hold there.
    """
    facts = old.facts & new.facts
    old_extra, new_extra = old.facts & ~facts, new.facts & ~facts
    result = State.__new__(State)
    result.facts = facts
    result.havoc = min(old.havoc, new.havoc)
    result.escaped = min(old.escaped, new.escaped)
    result.opened = old.opened or new.opened
    changed = facts != old.facts or result.havoc != old.havoc or result.escaped != old.escaped
    changed = changed or result.opened != old.opened
    result.registers = registers = old.registers[:]
    for number in compress(_REGISTERS, map(is_not, registers, new.registers)):
        mine, other = registers[number], new.registers[number]
        value = _joined(mine, old_extra, other, new_extra, widen)
        if not value.keys and (mine.keys or other.keys):
            drop(mine, old.facts)
            drop(other, new.facts)
        if value is not mine and value != mine:
            changed = True
            registers[number] = value
    result.vectors = vectors = old.vectors[:]
    for number in compress(_VECTORS, map(is_not, vectors, new.vectors)):
        if vectors[number] and vectors[number] != new.vectors[number]:
            changed = True
            vectors[number] = ()
    memory = None
    if old.memory is not new.memory:
        memory = _merged_memory(old, new, (old_extra, new_extra), widen, drop)
    result.memory = old.memory if memory is None else memory
    changed = changed or memory is not None
    result.flags = old.flags if old.flags == new.flags else None
    changed = changed or result.flags is not old.flags
    result.origins = {register: at for register, at in old.origins.items() if new.origins.get(register) == at}
    changed = changed or len(result.origins) != len(old.origins)
    return result if changed else None


def _joined(mine: Value, mine_extra: int, other: Value, other_extra: int, widen: int) -> Value:
    value = join(mine, mine_extra, other, other_extra)
    if not widen or value == mine:
        return value
    if widen > 2:
        return ANYTHING
    if widen > 1 or len(value.keys) > max(len(mine.keys), _MAX_GROWTH):
        return Value({}, as_bits(value), value.plain) if value.tainted else PLAIN
    return value


def _merged_memory(old: State, new: State, extra: Tuple[int, int], widen: int, drop: Drop) -> Optional[Dict[int, Slot]]:
    """Slots both know, and those only one knows where the other never wrote its stack; ``None``: those of *old*."""
    ours, theirs = old.memory, new.memory
    pieces: Dict[int, Slot] = {}
    gone: List[int] = []
    for at, slot in ours.items():
        other = theirs.get(at)
        if other is slot:
            continue
        if other is not None and other[0] == slot[0]:
            both = _either(old, slot[1], new, other[1], extra, widen, drop)
            if both is not slot[1] and both != slot[1]:
                pieces[at] = (slot[0], both)
            continue
        gone.append(at)
        for place, size in _cuts(at, slot[0], new):
            piece = _merged_slot(place, size, old, new, extra, widen, drop)
            if piece is not None:
                pieces[place] = piece
        if pieces.get(at) == slot:
            del pieces[at]
            gone.pop()
    if not theirs.keys() <= ours.keys():
        for at, (size, _) in theirs.items():
            if at not in ours and not old.overlapping(at, size):
                piece = _merged_slot(at, size, old, new, extra, widen, drop)
                if piece is not None:
                    pieces[at] = piece
    if not pieces and not gone:
        return None
    memory = dict(ours)
    for at in gone:
        del memory[at]
    memory.update(pieces)
    return memory


def _merged_slot(
    at: int, size: int, old: State, new: State, extra: Tuple[int, int], widen: int, drop: Drop
) -> Optional[Slot]:
    """What may stand in *size* bytes at *at* where the states are cut differently; ``None``: that is not known."""
    mine, other = old.known(at, size), new.known(at, size)
    if mine is None or other is None:
        present, absent = (other, old) if mine is None else (mine, new)
        if present is None:
            return None
        if not _unwritten(absent, at, size):
            if not is_stack(at):
                return None
            drop(present, new.facts if mine is None else old.facts)
            return size, ANYTHING if present.tainted else PLAIN
        mine, other = (UNDEFINED, present) if mine is None else (present, UNDEFINED)
    return size, _either(old, mine, new, other, extra, widen, drop)


def _either(old: State, mine: Value, new: State, other: Value, extra: Tuple[int, int], widen: int, drop: Drop) -> Value:
    """*mine*, as it stands in *old*, or *other*, as it stands in *new*."""
    if mine is other:
        return mine
    both = _joined(mine, extra[0], other, extra[1], widen)
    if not both.keys and (mine.keys or other.keys):
        drop(mine, old.facts)
        drop(other, new.facts)
    return both


def _cuts(at: int, size: int, new: State) -> Iterator[Tuple[int, int]]:
    marks = {at, at + size}
    for place in new.overlapping(at, size):
        marks.update((place, place + new.memory[place][0]))
    inside = sorted(mark for mark in marks if at <= mark <= at + size)
    yield from ((low, high - low) for low, high in zip(inside, inside[1:]))


def _unwritten(state: State, at: int, size: int) -> bool:
    return is_stack(at) and at < state.havoc and not state.overlapping(at, size)
