"""Telling data from code: bytes in code sections that no control flow reaches and that do not look like code.

A linear sweep decodes everything, also constants, strings and jump tables that assembler code and some compilers put
between functions. What comes out may look like an instruction above the baseline. Such a mark is dropped only when all
of this holds:

* no known function starts with it on its straight way, and following every direct jump and call from known functions,
  symbols and plausible pointers never arrives at it;
* it lies outside of all functions whose extent is known, or in one without indirect jumps (whose targets are unknown);
* instructions load it, or its neighbourhood has bytes that no encoding matches or instructions that only an operating
  system may execute.

Everything else stays a mark: an unreached instruction in plausible code is for the guard analysis to judge.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Callable, Dict, FrozenSet, Iterator, List, Optional, Set, Tuple

from .. import decode
from ..decode.model import Flow, Instruction, Sweep
from ..isa import Level, Machine
from .code import Code, Mark, Ranges, joined
from .references import References, loaded_size

BEHIND, AHEAD = 96, 128  # bytes of the neighbourhood
MAX_STEPS = 3_000_000  # branches, references and instructions near them that are followed in one file
MAX_WINDOWS = 20_000

# Instructions that no process of a user can execute (Intel SDM vol. 2, #GP(0) by CPL or IOPL; Arm ARM, EL1 and up).
PRIVILEGED: Dict[str, FrozenSet[str]] = {
    "x86": frozenset((
        "in", "out", "insb", "insw", "insd", "outsb", "outsw", "outsd", "cli", "sti", "iret", "iretd", "iretq",
        "lgdt", "lidt", "lldt", "ltr", "lmsw", "clts", "invd", "wbinvd", "rdmsr", "wrmsr", "sysexit", "sysret",
        "int1", "into", "salc", "retf", "retfq", "callf", "jmpf",
    )),
    "aarch64": frozenset(("hvc", "smc", "eret", "drps", "dcps1", "dcps2", "dcps3", "udf")),
}  # fmt: skip

_ENDS = frozenset((Flow.JUMP, Flow.JUMP_INDIRECT, Flow.RETURN, Flow.STOP))
Span = Tuple[int, int]


@dataclass(frozen=True)
class Classified:
    """What of a file's code counts.

    :param marks: instructions above the promised level that are code.
    :param emitted: the features of all instructions that are code.
    :param undecided: (address, length) of undecoded bytes that control may reach.
    :param data_bytes: undecoded bytes that are data.
    :param ignored: addresses of marks that are data.
    """

    marks: Tuple[Mark, ...] = field(repr=False)
    emitted: FrozenSet[str]
    undecided: Tuple[Span, ...]
    data_bytes: int
    ignored: FrozenSet[int] = field(repr=False)


def classify(code: Code, promised: Level) -> Classified:
    """The marks above *promised* and the undecoded bytes of *code* that count."""
    judge = _Judge(code)
    doubtful = judge.doubtful()
    ignored = frozenset(address for address in doubtful if judge.unreached(address))
    marks: List[Mark] = []
    seen: Set[int] = set()
    needs: Dict[int, FrozenSet[str]] = {}
    for _, sweep in code.sweeps:
        for address, length, number in zip(sweep.mark_addresses, sweep.mark_lengths, sweep.mark_requirements):
            if address in ignored:
                continue
            if number not in needs:
                needs[number] = decode.requirement(code.image.machine, number)
            seen.add(number)
            if needs[number] - promised.features:
                marks.append(Mark(address, length, needs[number]))
    undecided: List[Span] = []
    data = 0
    for address, length in code.undecoded():
        if not judge.unreached(address):
            undecided.append((address, length))
        else:
            data += length
    emitted: FrozenSet[str] = frozenset().union(*(needs[number] for number in seen))
    return Classified(tuple(marks), emitted, tuple(undecided), data, ignored)


class _Judge:
    """Answers for one file; everything costly is done once, and only where something is suspect."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.image = code.image
        self._undecoded = [address for address, _ in code.undecoded()]
        owned = joined((f.address, f.address + f.size) for f in self.image.functions if f.size)
        self._starts = [start for start, _ in owned]
        self._ends = [end for _, end in owned]
        family = "aarch64" if self.image.machine is Machine.AARCH64 else "x86"
        self._privileged = PRIVILEGED[family]
        self._windows: Dict[int, bool] = {}
        self._doubtful: Tuple[int, ...] = ()
        self._flow: Optional[_Flow] = None
        self._references: Optional[References] = None
        self._loaded = Ranges(())

    def _owned(self, address: int) -> bool:
        """Whether a function of known extent holds *address*."""
        index = bisect_right(self._starts, address) - 1
        return index >= 0 and address < self._ends[index]

    def place(self, address: int) -> Span:
        """The extent of the function *address* lies in, else the bytes around it that no function is known to own."""
        function = self.image.function_at(address)
        if function is not None and function.size:
            return function.address, function.address + function.size
        index = bisect_right(self._starts, address) - 1
        low = self._ends[index] if index >= 0 else 0
        high = self._starts[index + 1] if index + 1 < len(self._starts) else 1 << 64
        region = self.image.region_of(address)
        return (max(low, region.address), min(high, region.end)) if region else (low, high)

    def doubtful(self) -> Tuple[int, ...]:
        """Marks outside of functions of known extent, or near undecoded bytes, whose neighbourhood looks like data."""
        found: List[int] = []
        for _, sweep in self.code.sweeps:
            for address in sweep.mark_addresses:
                if self._owned(address) and not self._near_undecoded(address - BEHIND, address + AHEAD):
                    continue
                if self._is_loaded(address) or self._looks_like_data(address, self.place(address)):
                    found.append(address)
        self._doubtful = tuple(found)
        return self._doubtful

    def unreached(self, address: int) -> bool:
        """Whether nothing leads to *address*, one of the doubtful marks or of the undecoded bytes."""
        if self._flow is None:
            suspect = [*self._undecoded, *self._doubtful]
            places = joined({self.place(at) for at in suspect})
            self._flow = _Flow(self.code, places, self._owned, self._pointers(), self._privileged)
        return self._flow.unreached(address, self.place(address) if self._owned(address) else None)

    def _is_loaded(self, address: int) -> bool:
        if self._owned(address):
            return False
        if self._references is None:
            self._references = References(self.code, self._owned)
            self._loaded = Ranges(joined(self._references.loaded))
        return self._loaded.hold(address)

    def _pointers(self) -> Set[int]:
        if self._references is None:
            self._references = References(self.code, self._owned)
        return self._references.pointers | set(self.image.relocations.values())

    def _near_undecoded(self, low: int, high: int) -> bool:
        index = bisect_left(self._undecoded, low)
        return index < len(self._undecoded) and self._undecoded[index] < high

    def _looks_like_data(self, address: int, place: Span) -> bool:
        start = self._instruction_before(address, max(place[0], address - BEHIND))
        end = min(place[1], address + AHEAD)
        if self._near_undecoded(start, end):
            return True
        if start not in self._windows:
            if len(self._windows) >= MAX_WINDOWS:
                return False
            self._windows[start] = any(step.mnemonic in self._privileged for step in straight(self.code, start, end))
        return self._windows[start]

    def _instruction_before(self, address: int, low: int) -> int:
        """A place not below *low* where the sweep knows an instruction to start: behind a branch, else *address*."""
        for region, sweep in self.code.sweeps:
            if region.address <= address < region.end:
                index = bisect_left(sweep.branch_addresses, low)
                if index < len(sweep.branch_addresses) and sweep.branch_addresses[index] < address:
                    return sweep.branch_addresses[index] + sweep.branch_lengths[index]
        return address


def straight(code: Code, start: int, end: int) -> Iterator[Instruction]:
    """The instructions from *start* on, one behind the other, up to *end*."""
    address = start
    while address < end:
        step = code.instruction_at(address)
        if step is None:
            return
        yield step
        address += step.length


class _Flow:
    """Direct control flow inside of the suspect *places*."""

    def __init__(
        self,
        code: Code,
        places: List[Span],
        owned: Callable[[int], bool],
        pointers: Set[int],
        privileged: FrozenSet[str],
    ) -> None:
        self.code = code
        self.places = places
        self._lows = [low for low, _ in places]
        self._owned = owned
        self._pointers = pointers
        self._privileged = privileged
        self._undecoded = [start for start, _ in code.undecoded()]
        self._indirect: List[int] = []
        self._complete = True
        self._straight: List[Span] = []
        self._reached = self._follow()
        self._passed = Ranges(joined(self._straight))

    def knows(self, address: int) -> bool:
        """Whether *address* lies in one of the places."""
        index = bisect_right(self._lows, address) - 1
        return index >= 0 and address < self.places[index][1]

    def unreached(self, address: int, function: Optional[Span]) -> bool:
        """Whether nothing leads to *address*; never where the function around it jumps to unknown places."""
        if not self._complete or address in self._reached or self._passed.hold(address):
            return False
        return function is None or not any(function[0] <= place < function[1] for place in self._indirect)

    def _follow(self) -> Set[int]:
        reached: Set[int] = set()
        waiting = self._roots()
        while waiting:
            address = waiting.pop()
            while address not in reached:
                step = self.code.instruction_at(address)
                if step is None:
                    break
                if len(reached) + len(self._straight) >= MAX_STEPS:
                    self._complete = False
                    return reached
                reached.add(address)
                if not step.valid:
                    break
                if step.target is not None and self.knows(step.target):
                    waiting.append(step.target)
                if step.memory is not None and self.knows(step.memory) and not loaded_size(self.code, address):
                    waiting += [step.memory] if self._plausible(step.memory) else []
                if step.flow is Flow.JUMP_INDIRECT:
                    self._indirect.append(address)
                if step.flow in _ENDS:
                    break
                following = address + step.length
                address = self._next_stop(following) if self._is_swept(address) else following
                if address > following:
                    self._straight.append((following, address))
        return reached

    def _is_swept(self, address: int) -> bool:
        """Whether the sweep, too, saw an instruction at *address*: what follows there is then known from it."""
        sweep = self._sweep(address)
        if sweep is None:
            return False
        for starts in (sweep.branch_addresses, sweep.reference_addresses):
            index = bisect_left(starts, address)
            if index < len(starts) and starts[index] == address:
                return True
        return False

    def _next_stop(self, address: int) -> int:
        """The first place from *address* on at which the sweep saw anything but plain instructions."""
        sweep = self._sweep(address)
        if sweep is None:
            return address
        stops: List[int] = []
        for starts in (sweep.branch_addresses, sweep.reference_addresses, self._undecoded):
            index = bisect_left(starts, address)
            stops += starts[index : index + 1]
        return min(stops, default=address)

    def _sweep(self, address: int) -> Optional[Sweep]:
        return next((sweep for region, sweep in self.code.sweeps if region.address <= address < region.end), None)

    def _roots(self) -> List[int]:
        """Functions and direct branch targets in the places, and pointers to plausible code."""
        if not self.places:
            return []
        low, high = self.places[0][0], self.places[-1][1]
        roots = [f.address for f in self.code.image.functions if low <= f.address < high and self.knows(f.address)]
        for _, sweep in self.code.sweeps:
            branches = zip(sweep.branch_addresses, sweep.branch_targets)
            roots += [t for source, t in branches if low <= t < high and self.knows(t) and self._trusts(source)]
        roots += [pointer for pointer in self._pointers if self.knows(pointer) and self._plausible(pointer)]
        return roots

    def _trusts(self, source: int) -> bool:
        """Whether what the sweep found at *source* is an instruction. In the places themselves only following tells."""
        return self._owned(source) and not self.knows(source)

    def _plausible(self, address: int) -> bool:
        """Whether what a pointer leads to looks like code as far as its first jump or return."""
        for step in straight(self.code, address, address + AHEAD):
            if not step.valid or step.mnemonic in self._privileged or "unknown" in step.features:
                return False
            if step.flow in _ENDS:
                return True
        return True
