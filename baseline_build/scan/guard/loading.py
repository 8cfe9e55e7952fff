"""What surely runs when a file is loaded: initialisers, resolvers, PyInit_*, exec slots, the entry of a program.

"Surely" means on every path from the beginning of such a root to its end, and in the functions called on every path.
A call that never returns, a jump that is not followed and a branch out of the function all count as an end, so that a
check that gives up on an old CPU is respected.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from .graph import Block, Graph
from .operations import Operand, Operation
from .program import Program

# Slots of a module definition (CPython, Include/moduleobject.h): Py_mod_exec.
_EXEC_SLOT = 2
_SLOT_NUMBERS = frozenset([1, 2, 3, 4])
_MAX_FUNCTIONS = 4000


class Loaded(NamedTuple):
    """An instruction that runs on load: its address, and the functions from the root to it."""

    address: int
    path: Tuple[str, ...]


def roots(program: Program) -> Iterator[Tuple[int, str]]:
    """(address, what it is) of all that runs when the file is loaded, in no order."""
    image = program.image
    if image.kind == "object":
        return
    for address in image.initialisers:
        yield address, "initialiser"
    for address in sorted(set(image.resolvers.values())):
        yield address, "resolver of an indirect function"
    for name, address in image.exports.items():
        if name.startswith("PyInit_") and image.is_code(address):
            yield address, "module initialiser"
    if image.entry is not None:
        yield image.entry, "entry of the program"
        yield from _main(program, image.entry)
    yield from _exec_slots(program)


def _main(program: Program, entry: int) -> Iterator[Tuple[int, str]]:
    """What the start code hands to the C library: its first argument."""
    known: Dict[int, int] = {}
    address = entry
    for _ in range(32):
        step = program.step(address)
        if step is None:
            return
        for operation in step.operations:
            if operation[0] in ("call", "calli", "jump", "jumpi"):
                number = known.get(program.lifter.abi.arguments[0], 0) - program.base
                if program.image.is_code(number):
                    yield number, "main function"
                return
            if operation[0] == "ret":
                return
            _follow_constant(program, known, operation)
        address += step.length


def _follow_constant(program: Program, known: Dict[int, int], operation: Operation) -> None:
    """Keep *known*, constants by register, right after *operation*."""
    if operation[0] == "lost":
        for number in operation[1]:
            known.pop(number, None)
        return
    target = operation[1] if len(operation) > 2 else None
    if operation[0] == "bin":
        target = operation[2]
    if not isinstance(target, tuple) or target[0] != "r":
        return
    value: Optional[int] = None
    if operation[0] == "lea":
        value = _place(known, operation[2])
    elif operation[0] == "mov":
        value = _constant(program, known, operation[2])
    elif operation[0] == "bin" and operation[1] == "add":
        first, second = (_constant(program, known, part) for part in operation[3:5])
        value = None if first is None or second is None else first + second
    if value is None:
        known.pop(target[1], None)
    else:
        known[target[1]] = value


def _place(known: Dict[int, int], memory: Operand) -> Optional[int]:
    """The address that *memory* names, where that is a constant."""
    _, base, index, _, displacement, _ = memory
    start = 0 if base is None else known.get(base)
    return None if start is None or index is not None else start + int(displacement)


def _constant(program: Program, known: Dict[int, int], source: Operand) -> Optional[int]:
    if source[0] == "i":
        return int(source[1])
    if source[0] == "r":
        return known.get(source[1])
    place = _place(known, source)
    if place is None:
        return None
    # Where nothing is relocated (a program at a fixed address), the slot holds the address itself.
    slot = place - program.base
    target = program.image.relocations.get(slot, program.image.word(slot))
    return None if target is None else target + program.base


def _exec_slots(program: Program) -> Iterator[Tuple[int, str]]:
    """Functions in tables of (number, pointer) pairs that end with a pair of zeros and hold an exec slot."""
    image = program.image
    if not any(name.startswith("PyInit_") for name in image.exports):
        return
    for slot, target in sorted(image.relocations.items()):
        if not image.is_code(target) or image.word(slot - 8) != _EXEC_SLOT or slot - 8 in image.relocations:
            continue
        if _is_slot_table(program, slot - 8):
            yield target, "module exec slot"


def _is_slot_table(program: Program, place: int) -> bool:
    image = program.image
    for _ in range(8):
        place += 16
        if place in image.relocations:
            return False
        number = image.word(place)
        if number == 0:
            return place + 8 not in image.relocations and not image.word(place + 8)
        if number not in _SLOT_NUMBERS:
            return False
    return False


def run_on_load(program: Program, marks: Sequence[int]) -> List[Loaded]:
    """Those of *marks* (ascending addresses) that surely run when the file is loaded."""
    return surely_run(program, marks, roots(program), lambda entry: Graph(program, entry).always(), _MAX_FUNCTIONS)


def surely_run(
    program: Program,
    marks: Sequence[int],
    begin: Iterable[Tuple[int, str]],
    always: Callable[[int], Sequence[Block]],
    most: int,
) -> List[Loaded]:
    """Those of *marks* (ascending addresses) that surely run from *begin* on, in at most *most* functions.

    :param begin: address and kind of each root.
    :param always: gives the blocks of the function at an address that run whenever it does, those with calls too.
    """
    found: List[Loaded] = []
    seen: Set[int] = set()
    waiting: List[Tuple[int, Tuple[str, ...]]] = [
        (address, (f"{what} {program.label(address)}",)) for address, what in begin
    ]
    while waiting and len(seen) < most:
        function, path = waiting.pop(0)
        if function in seen:
            continue
        seen.add(function)
        for block in always(function):
            inside = range(bisect_left(marks, block.start), bisect_left(marks, block.end))
            found.extend(Loaded(marks[index], path) for index in inside)
            waiting.extend((callee, (*path, program.label(callee))) for callee in block.calls)
    return found
