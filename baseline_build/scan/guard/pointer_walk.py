"""The walk over one function that finds its pointers, see :mod:`.pointers`."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import Callable, Dict, FrozenSet, Iterable, List, Optional, Set, Tuple

from ...isa import Machine
from .aarch64_operands import OTHER
from .operations import SCRATCH, ZERO, Operand, Operation
from .pointer_parts import Part, memory_of, target_of, written_by
from .pointers import (
    ANY,
    FRAME,
    INDEXED,
    MADE,
    MASKED,
    MASKED_MOST,
    NUMBER,
    STACKED,
    STATIC,
    Access,
    Filled,
    Held,
    Passed,
    Pointer,
    Pointers,
    Uses,
    counted,
    either,
    moved,
    moved_somewhere,
    signed,
)
from .program import Program

_MAX_VISITS = 12
STACKED_ARGUMENTS = 12
# C17 7.24.2 and 7.24.6, and what glibc checks bounds with.
_RETURN_THEIR_FIRST = frozenset(["memcpy", "memmove", "memset", "__memcpy_chk", "__memmove_chk", "__memset_chk"])
_NULL = frozenset([Pointer(NUMBER, 0)])


class Walk:
    """One function, block by block until nothing is new."""

    def __init__(self, program: Program, function: int, keeps: Callable[[int], FrozenSet[int]]) -> None:
        """:param keeps: tells which registers a function in this file keeps, beside what its convention says."""
        self.program = program
        self.keeps = keeps
        self.low = function
        self.high = program.end_of(function)
        self.uses = Uses(function)
        self.abi = program.abi_of(function)
        self.stack = self.abi.stack
        # What an instruction that loads two registers, or moves an index, puts addresses into on its way.
        self.scratch = (SCRATCH, OTHER) if program.image.machine is Machine.AARCH64 else ()
        # Instructions that read an import's address from its slot.
        self.loaded: Dict[int, str] = {}
        self.steps = 0
        self.at = 0
        self.held = Held({}, {})
        self.states: Dict[int, Held] = {}
        self.visits: Dict[int, int] = {}
        self.waiting: List[int] = []
        self.queued: Set[int] = set()
        self.order: List[Tuple[int, List[Part]]] = []
        self.leaders: Set[int] = {function}

    def run(self) -> None:
        """Find everything."""
        self._read()
        index = {address: number for number, (address, _) in enumerate(self.order)}
        self._flow(self.low, self._entry())
        self._drain(index)
        # What only a jump table leads to, or another function: nothing is known of what it finds.
        for leader in sorted(self.leaders):
            if leader in index and leader not in self.states and not self._is_padding(index[leader]):
                self._flow(leader, Held({}, {}))
                self._drain(index)

    def _is_padding(self, index: int) -> bool:
        """Whether only instructions that do nothing stand here before the next place that is jumped to."""
        for number, (address, parts) in enumerate(islice(self.order, index, None)):
            if number and address in self.leaders:
                return True
            if parts:
                return False
        return False

    def _read(self) -> None:
        address = self.low
        while address < self.high:
            step = self.program.step(address)
            if step is None:
                self.uses.complete = False
                address += 1
                self.leaders.add(address)
                continue
            parts = [Part(o, target_of(o), written_by(o), tuple(memory_of(o))) for o in step.operations]
            self.order.append((address, parts))
            last = step.operations[-1] if step.operations else ("",)
            address += step.length
            if parts and parts[-1].target is not None:
                self.leaders.add(parts[-1].target)
            if last[0] in ("jump", "jumpi", "ret", "stop", "branch", "zero", "tbit"):
                self.leaders.add(address)

    def _entry(self) -> Held:
        registers = {number: frozenset([Pointer(number, 0)]) for number in range(32)}
        registers[self.stack] = frozenset([Pointer(FRAME, 0)])
        first = self.abi.pushed
        slots = {first + 8 * n: frozenset([Pointer(STACKED + n, 0)]) for n in range(STACKED_ARGUMENTS)}
        return Held(registers, slots)

    def _flow(self, address: int, held: Held) -> None:
        known = self.states.get(address)
        if known is None:
            self.states[address] = held.copy()
        elif self.visits.get(address, 0) > _MAX_VISITS or not known.join(held):
            return
        if address not in self.queued:
            self.queued.add(address)
            heapq.heappush(self.waiting, address)

    def _drain(self, index: Dict[int, int]) -> None:
        while self.waiting:
            leader = heapq.heappop(self.waiting)
            self.queued.discard(leader)
            if leader not in index:
                continue
            self.visits[leader] = self.visits.get(leader, 0) + 1
            self.held = self.states[leader].copy()
            for address, parts in islice(self.order, index[leader], None):
                if address != leader and address in self.leaders:
                    self._flow(address, self.held)
                    break
                self.at = address
                self.steps += 1
                if not all(self._apply(part) for part in parts):
                    break

    # --- operations ---

    def _apply(self, part: Part) -> bool:
        """Follow one operation; false when control does not go on behind it."""
        operation, target = part.operation, part.target
        kind = operation[0]
        if target is not None:
            if self.low <= target < self.high:
                self._flow(target, self.held)
            else:
                self._leave(target)
            return bool(kind != "jump")
        if kind in ("call", "calli"):
            self._call(part)
            return True
        if kind in ("jumpi", "ret", "stop"):
            if kind == "ret":
                self.uses.returned |= self.held.registers.get(self.abi.result, ANY)
                self._note_kept()
            if kind == "jumpi":
                self.uses.keeps = frozenset()
                self._hand_over(None, self._import_at(operation[1]), self.abi.pushed)
            return False
        if kind in ("fill", "copy"):
            self._fill(kind, operation[1] // 8 if len(operation) > 1 else 8)
            return True
        if part.memory and kind != "lea":
            self._touch(part)
        self._set(part)
        return True

    def _touch(self, part: Part) -> None:
        """Record the memory an operation reads and writes."""
        operation, written = part.operation, part.written
        for operand in part.memory:
            for pointer in self.address(operand):
                if operand is not written or operation[0] in ("bin", "neg", "xchg", "swap"):
                    self.uses.accesses.add(Access(self.at, False, pointer, operand[5] // 8))
                if operand is written:
                    self.uses.accesses.add(Access(self.at, True, pointer, operand[5] // 8))

    def _register(self, number: int) -> Pointers:
        return _NULL if number == ZERO else self.held.registers.get(number, ANY)

    def address(self, operand: Operand) -> Pointers:
        """Where a memory operand points."""
        _, base, index, scale, displacement, _ = operand
        if base is None and index is None:
            return frozenset([Pointer(STATIC, displacement - self.program.base)])
        pointers = self._register(base) if base is not None else ANY
        if index is not None:
            numbers = self._register(index)
            counts = [
                number.offset * scale for number in numbers if number.root == NUMBER and number.offset is not None
            ]
            if base is not None and len(counts) == len(numbers):
                # A displacement that the instruction could not hold itself.
                return frozenset().union(*(moved(pointers, displacement + count) for count in counts))
            places = counted(pointers, numbers, scale, displacement)
            # Whatever the index is, it is one of the array that begins at the displacement.
            if base is None or any(pointer.root == NUMBER for pointer in pointers):
                places = moved_somewhere(either(pointers, numbers))
            return either(places, frozenset([Pointer(INDEXED, displacement)]))
        return moved(pointers, displacement)

    def _set(self, part: Part) -> None:
        """What the registers and slots hold afterwards."""
        operation, target = part.operation, part.written
        kind = operation[0]
        if kind == "lost":
            for number in operation[1]:
                self.held.registers.pop(number, None)
        if kind in ("xchg", "swap"):
            found = [ANY] * len(operation[1:])
            if kind == "xchg" and all(operand[0] == "r" and operand[2] == 64 for operand in operation[1:]):
                found = [self._value(operand) for operand in operation[:0:-1]]
            for operand, value in zip(operation[1:], found):
                self._write(operand, value)
            return
        if kind in ("cpuid", "xcr"):
            for number in (0, 1, 2, 3):
                self.held.registers.pop(number, None)
            return
        if target is not None:
            self._write(target, self._result(operation))

    def _result(self, operation: Operation) -> Pointers:
        kind = operation[0]
        if kind == "mov":
            return self._value(operation[2])
        if kind in ("movsx", "movzx"):
            number = self._value(operation[2])
            return number if all(pointer.root >= MASKED for pointer in number) else ANY
        if kind == "lea":
            self._note_move(self.held.registers.get(operation[2][1], ANY), operation[2][4])
            return self.address(operation[2])
        if kind == "cmov":
            return either(self._value(operation[3]), self._value(operation[4]))
        if kind == "bin" and operation[1] in ("add", "sub"):
            first, second = self._value(operation[3]), self._value(operation[4])
            count = next(iter(second)) if len(second) == 1 else None
            if count is not None and count.root == NUMBER and count.offset is not None:
                by = count.offset if operation[1] == "add" else -count.offset
                self._note_move(first, by)
                return moved(first, by)
            count = next(iter(first)) if len(first) == 1 and operation[1] == "add" else None
            if count is not None and count.root == NUMBER and count.offset is not None:
                return moved(second, count.offset)
            if operation[1] == "sub":
                return moved_somewhere(first)
            if any(pointer.root >= MASKED for pointer in first | second):
                return counted(first, second, 1, 0)
            return moved_somewhere(either(first, second))
        if kind == "bin" and operation[1] == "and" and operation[4][0] == "i":
            if 0 <= operation[4][1] < MASKED_MOST:
                return frozenset([Pointer(MASKED + operation[4][1], 0)])
            # Rounded to a multiple of something.
            return moved_somewhere(self._value(operation[3]))
        return ANY

    def _note_move(self, pointers: Pointers, by: int) -> None:
        self.uses.moved.update((pointer.root, signed(by)) for pointer in pointers)

    def _value(self, operand: Operand) -> Pointers:
        if operand[0] == "i":
            program = self.program
            if program.low <= operand[1] < program.high:
                return frozenset([Pointer(STATIC, operand[1] - program.base)])
            return frozenset([Pointer(NUMBER, signed(operand[1]))])
        if operand[0] == "r":
            return self._register(operand[1]) if operand[2] >= 32 else ANY
        where = self.address(operand)
        only = next(iter(where)) if len(where) == 1 else None
        if only is not None and only.root == FRAME and only.offset is not None and operand[5] == 64:
            return self.held.slots.get(only.offset, ANY)
        name = self._import_named(only) if only is not None else None
        if name is not None:
            self.loaded[self.at] = name
        return frozenset([Pointer(MADE + self.at, 0)]) if operand[5] == 64 else ANY

    def _write(self, operand: Operand, value: Pointers) -> None:
        if operand[0] == "r":
            if operand[2] < 32 or value is ANY:
                self.held.registers.pop(operand[1], None)
            elif operand[1] < 32 or operand[1] in self.scratch:
                self.held.registers[operand[1]] = value
            return
        for pointer in self.address(operand):
            if pointer.root == FRAME and pointer.offset is not None:
                for place in range(pointer.offset - 7, pointer.offset + max(operand[5] // 8, 1)):
                    self.held.slots.pop(place, None)
                if operand[5] == 64 and value is not ANY:
                    self.held.slots[pointer.offset] = value
            elif pointer.root != FRAME and operand[5] == 64:
                self.uses.kept.update((self.at, held) for held in value)

    # --- leaving ---

    def _call(self, part: Part) -> None:
        target: Optional[int] = None
        name: Optional[str] = None
        operation = part.operation
        if operation[0] == "call":
            name = self.program.import_at(operation[1])
            target = self.program.resolved(operation[1]) if name is None else None
        else:
            source = operation[1]
            name = self._import_at(source)
            self._touch(part)
            self.uses.called[self.at] = self.uses.called.get(self.at, frozenset()) | self._value(source)
        self._hand_over(target, name)
        abi = self.abi
        registers = self.held.registers
        kept = {*abi.saved, abi.stack, *(self.keeps(target) if target is not None else ())}
        self.held.registers = {number: registers[number] for number in kept if number in registers}
        if name in _RETURN_THEIR_FIRST:
            self.held.registers[abi.result] = registers.get(abi.arguments[0], ANY)
        elif abi.result not in kept:
            self.held.registers[abi.result] = frozenset([Pointer(MADE + self.at, 0)])

    def _import_at(self, source: Operand) -> Optional[str]:
        """The import whose address an indirect jump or call finds in *source*."""
        if source[0] == "r":
            names = {self.loaded.get(pointer.root - MADE) for pointer in self._value(source)}
            return names.pop() if len(names) == 1 else None
        names = {self._import_named(pointer) for pointer in self.address(source)}
        return names.pop() if len(names) == 1 else None

    def _import_named(self, slot: Pointer) -> Optional[str]:
        if slot.root != STATIC or slot.offset is None:
            return None
        return self.program.image.imports.get(slot.offset)

    def _note_kept(self, further: Optional[FrozenSet[int]] = None) -> None:
        """What registers hold at a return, or at a jump to a function that keeps *further*."""
        held = self.held.registers
        same = frozenset(number for number in range(32) if held.get(number) == frozenset([Pointer(number, 0)]))
        same = same if further is None else same & further
        self.uses.keeps = same if self.uses.keeps is None else self.uses.keeps & same

    def _leave(self, target: int) -> None:
        """A jump into another function."""
        name = self.program.import_at(target)
        resolved = self.program.resolved(target) if name is None else None
        self._note_kept(self.keeps(resolved) if resolved is not None else frozenset())
        self._hand_over(resolved, name, self.abi.pushed)

    def _hand_over(self, target: Optional[int], name: Optional[str], above: int = 0) -> None:
        """Hand all arguments over; those on the stack lie *above* bytes from the stack pointer."""
        for number in self.abi.arguments:
            for pointer in self.held.registers.get(number, ANY):
                self.uses.passed.add(Passed(self.at, target, name, number, pointer))
        for pointer in self.held.registers.get(self.stack, ANY):
            if pointer.root != FRAME or pointer.offset is None:
                continue
            for n in range(STACKED_ARGUMENTS):
                for held in self.held.slots.get(pointer.offset + above + 8 * n, ()):
                    self.uses.passed.add(Passed(self.at, target, name, STACKED + n, held))

    def _fill(self, kind: str, width: int) -> None:
        """rep stos and rep movs: *width* bytes a time from a pointer up."""
        registers = self.held.registers
        sources: Iterable[Optional[Pointer]] = registers.get(6, ANY)
        if kind == "fill":
            sources = () if registers.get(0, ANY) == _NULL else (None,)
        counts = [p.offset for p in registers.get(1, ANY) if p.root == NUMBER]
        size = counts[0] * width if len(counts) == 1 and counts[0] is not None else None
        for source in sources:
            self.uses.filled.update(Filled(self.at, pointer, size, source) for pointer in registers.get(7, ANY))
        for number in (1, 7) if kind == "fill" else (1, 6, 7):
            registers.pop(number, None)
