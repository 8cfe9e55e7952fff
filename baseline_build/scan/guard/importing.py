"""What every import of an extension module runs that succeeds: initialisation without the ways that give up.

The code that sets up a module checks each result and gives up where one is an error. Instructions behind such checks
are not on *every* path, yet no import gets to its end without them. Here the ways out are left aside that CPython's
C interface defines as failure ("The Python/C API Reference Manual", chapter "Exception Handling": a pointer that is
``NULL``, an integer below zero), and the way of a module that finds itself set up already. In the function where the
import begins, ways that only fail (``failing.py``) are left aside, too, behind tests of what cannot tell of the CPU:
the module it was handed, the type of an object, a variable that still has its first value (``outset.py``).
"""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import detection
from .failing import FAILURES, failing
from .graph import Block, Graph
from .knowing import Knowing
from .loading import Loaded, roots, surely_run
from .operations import Operand, Operation
from .outset import Outset
from .program import Program
from .state import THREADS
from .writing import only_reads, operations, writes, written

# Functions whose NULL is no failure (the manual: "without setting an exception", or a borrowed optional value).
_MAY_BE_NULL = frozenset(
    ["PyDict_GetItem", "PyDict_GetItemWithError", "PyDict_GetItemString", "_PyDict_GetItem_KnownHash",
     "_PyDict_GetItemStringWithError", "PyErr_Occurred", "PyImport_GetModule", "PySys_GetObject", "_PyType_Lookup",
     "PyWeakref_GetObject", "PyEval_GetLocals", "PyEval_GetGlobals", "PyEval_GetFrame", "PyModule_GetState",
     "PyModule_GetDef", "PyState_FindModule", "PyMem_Malloc", "PyErr_GetRaisedException", "PyUnicode_AsUTF8"]
)  # fmt: skip
# Functions that are handed the address of a pointer to an object and leave it pointing to an object.
_KEEPS_OBJECTS = frozenset(["PyUnicode_InternInPlace"])
_MAX_FUNCTIONS = 1000
# A word may belong to a structure that somebody names by its beginning.
_NEAR = 64
_HAS_FAILED = "PyErr_Occurred"
# Functions that tell the kind of an object, by which no module knows what the CPU can do.
_TELLS_KIND = frozenset(["PyType_IsSubtype"])
_THREAD_BLOCK = "__tls_get_addr"
# Names of what is held, for what no call gave: what the function was handed, and a thread-local variable's value.
_HANDED, _OF_THREAD = "(argument)", "(thread)"
_OPPOSITE = {"e": "ne", "ne": "e", "s": "ns", "ns": "s", "l": "ge", "ge": "l"}


class _Test(NamedTuple):
    """What a block's branch asks of one value: ``null`` (is it zero), ``minus`` (is it -1) or ``sign``."""

    value: Operand
    kind: str
    yes: int
    no: int


class _Result(NamedTuple):
    """What a call gave: block of the call, name of the function ("" for one of this file), where that function is.

    For a thread-local variable or its address ``target`` is where the variable is.
    """

    call: int
    name: str
    target: int


# Where a result is held: (register, None), or (base register, displacement) of a word of memory.
_Place = Tuple[int, Optional[int]]
_Held = Dict[_Place, _Result]


def run_on_import(program: Program, marks: Sequence[int]) -> List[Loaded]:
    """Those of *marks* (ascending addresses) that run in every import of the extension module that succeeds.

    Where the file itself asks what the CPU can do, a function of it that gives ``NULL`` may say "not on this CPU", and
    what follows is then a choice and no failure. So there only those functions count as failing that cannot know.
    """
    begin = [(address, what) for address, what in roots(program) if what in FAILURES]
    imports = _Imports(program, dict(begin))
    return surely_run(program, marks, begin, imports.always, _MAX_FUNCTIONS)


class _Imports:
    """What runs in functions whenever an import does not fail.

    :param begin: the functions where an import begins, at which nothing else of the module has run yet, by kind.
    """

    def __init__(self, program: Program, begin: Mapping[int, str]) -> None:
        self.program = program
        self.begin = begin
        self.knowing = Knowing(program) if detection.detects(program.code) else None
        self.outset = Outset(program)

    def always(self, entry: int) -> List[Block]:
        """Blocks on every path through the function at *entry* that does not fail, the entry's first."""
        graph = Graph(self.program, entry)
        kind = self.begin.get(entry)
        held = _held(self.program, graph, handed=kind == "module exec slot")
        hopeless = failing(self.program, graph, FAILURES[kind]) if kind is not None else frozenset()
        for start, block in list(graph.blocks.items()):
            test = _test(self.program, block)
            if test is None:
                continue
            dropped = _failing(test, held.get(start, {}), self.knowing)
            if dropped is None and kind is not None:
                dropped = self._closed(graph, block, test, held.get(start, {}), hopeless)
            if dropped is not None:
                graph.blocks[start] = block._replace(next=tuple(target for target in block.next if target != dropped))
        return [self._with_constant_calls(block) for block in graph.always()]

    def _closed(self, graph: Graph, block: Block, test: _Test, held: _Held, hopeless: FrozenSet[int]) -> Optional[int]:
        """The block after *block*, of a function where the import begins, that no import which succeeds goes to."""
        if block.start == graph.entry and _is_unset(self.program, graph, block, test):
            return test.no
        bad = [target for target in block.next if target in hopeless]
        if len(bad) != 1:
            return None
        result = held.get(_place(test.value) or (-1, None))
        if result is not None and result.name in (_HANDED, *_TELLS_KIND):
            return bad[0]
        number = self._first(graph, block, test, result)
        return bad[0] if number is not None and _leads(test, number) != bad[0] else None

    def _first(self, graph: Graph, block: Block, test: _Test, result: Optional[_Result]) -> Optional[int]:
        """The number *test* finds when it is asked for the first time, where that is known."""
        width = int(test.value[-1] if test.value[0] == "m" else test.value[2])
        if result is not None:
            address = result.target if result.name == _OF_THREAD else None
        else:
            place = _cell(self.program, block, test.value)
            address = None if place is None else place + self.program.base
        return None if address is None else self.outset.value(graph, block.start, address, width // 8)

    def _with_constant_calls(self, block: Block) -> Block:
        """*block*, with the functions among its ``calls`` that it calls through words which nobody changes."""
        found = [
            target
            for operation in operations(self.program, block)
            if operation[0] == "calli"
            for target in [self._through(operation[1])]
            if target is not None
        ]
        return block._replace(calls=(*block.calls, *found)) if found else block

    def _through(self, source: Operand) -> Optional[int]:
        """The function of this file that the word *source* leads to, where the file's code only reads it."""
        if source[0] != "m" or source[1] is not None or source[2] is not None:
            return None
        program = self.program
        slot = int(source[4]) - program.base
        target = program.image.relocations.get(slot)
        if target is None or not program.image.is_code(target):
            return None
        named = program.references(slot - _NEAR, slot + 8)
        return target if all(only_reads(program, at) for _, at in named) else None


def _leads(test: _Test, number: int) -> int:
    """Where *test* goes when what it asks about is *number*."""
    width = int(test.value[-1] if test.value[0] == "m" else test.value[2])
    if test.kind == "null":
        holds = number == 0
    elif test.kind == "minus":
        holds = number == (1 << width) - 1
    else:
        holds = bool(number >> (width - 1))
    return test.yes if holds else test.no


def _held(program: Program, graph: Graph, *, handed: bool) -> Dict[int, _Held]:
    """Where the result of which call is held when each block ends.

    :param handed: whether the function is handed an object, as its only argument.
    """
    before = graph.sources()
    held: Dict[int, _Held] = {}
    ranks = graph.ranks()
    for start in sorted(ranks, key=ranks.__getitem__):
        incoming = [held.get(source, {}) for source in before.get(start, ())]
        known: _Held = dict(incoming[0]) if incoming and start != graph.entry else {}
        if handed and start == graph.entry and not incoming:
            known = {(program.lifter.abi.arguments[0], None): _Result(start, _HANDED, 0)}
        for other in incoming[1:]:
            known = {place: result for place, result in known.items() if other.get(place) == result}
        held[start] = _after(program, graph.blocks[start], known)
    return held


def _after(program: Program, block: Block, known: _Held) -> _Held:
    """What holds behind *block* where *known* held before it."""
    abi = program.lifter.abi
    done = operations(program, block)
    for index, operation in enumerate(done):
        if operation[0] in ("call", "calli"):
            name, own = _called(program, operation)
            words = name in _KEEPS_OBJECTS
            known = {
                place: result
                for place, result in known.items()
                if place[0] in abi.saved and (words or place[1] is None)
            }
            if name is not None or own is not None:
                known[abi.result, None] = _Result(block.start, name or "", own or 0)
            variable = _variable(program, done[:index]) if name == _THREAD_BLOCK else None
            if variable is not None:
                known[abi.result, None] = _Result(block.start, _THREAD_BLOCK, variable)
        elif writes(operation) and not _adds_one(operation):
            known = _overwritten(known, operation)
    return known


def _called(program: Program, operation: Operation) -> Tuple[Optional[str], Optional[int]]:
    """(name, address) of what a call reaches, an imported function or one of this file; both ``None`` where unknown."""
    if operation[0] == "call":
        name = program.import_at(int(operation[1]))
        return name, None if name is not None else program.resolved(int(operation[1]))
    return program.imported_through(operation[1]), None


def _variable(program: Program, done: Sequence[Operation]) -> Optional[int]:
    """The thread-local address that a call right behind *done* asks for (ELF Handling For Thread-Local Storage)."""
    argument = program.lifter.abi.arguments[0]
    for operation in reversed(done):
        if writes(operation) and written(operation) == ("r", argument, 64, 0):
            source = operation[2] if operation[0] == "lea" else None
            if source is None or source[1] is not None or source[2] is not None:
                return None
            offset = program.image.tls_slots.get(int(source[4]) - program.base)
            return None if offset is None else THREADS + offset
    return None


def _overwritten(known: _Held, operation: Operation) -> _Held:
    """What of *known* holds behind *operation*, which writes something."""
    target = written(operation)
    if target is None:
        return {}
    into = _place(target)
    if target[0] == "r":
        kept = {place: result for place, result in known.items() if place[0] != target[1]}
    else:
        kept = {place: result for place, result in known.items() if place[1] is None or _apart(place, into)}
    source = _place(operation[2]) if operation[0] == "mov" else None
    if into is not None and source in known:
        kept[into] = known[source]
    elif into is not None and into[1] is None and source is not None and source[1] is not None:
        block = known.get((source[0], None))
        if block is not None and block.name == _THREAD_BLOCK and block.target:
            kept[into] = _Result(block.call, _OF_THREAD, block.target + source[1])
    return kept


def _place(operand: Operand) -> Optional[_Place]:
    """The whole register, or the word of memory at a register and a displacement, that *operand* is."""
    if operand[0] == "r" and operand[2] >= 32:
        return operand[1], None
    if operand[0] == "m" and operand[1] is not None and operand[2] is None and operand[-1] == 64:
        return operand[1], int(operand[4])
    return None


def _apart(place: _Place, written: Optional[_Place]) -> bool:
    """Whether a write of the word at *written* surely leaves the word at *place* alone."""
    if written is None or written[1] is None or place[1] is None or written[0] != place[0]:
        return False
    return abs(written[1] - place[1]) >= 8


def _test(program: Program, block: Block) -> Optional[_Test]:
    """What the branch at the end of *block* asks; ``None`` where there is none, or it is not one of the three."""
    if len(block.next) != 2 or block.next[0] == block.next[1]:
        return None
    after, target = block.next
    done = operations(program, block)
    last = done[-1]
    if last[0] == "zero":
        return _Test(last[1], "null", *((target, after) if last[3] else (after, target)))
    if last[0] == "tbit" and last[2] == last[1][2] - 1:
        return _Test(last[1], "sign", *((after, target) if last[4] else (target, after)))
    if last[0] != "branch" or last[1] not in _OPPOSITE or len(done) < 2:
        return None
    asked = _compared(done[-2])
    if asked is None:
        return None
    value, number = asked
    if last[1] in ("e", "ne") and number in (0, -1):
        kind = "null" if number == 0 else "minus"
    elif last[1] in ("s", "ns", "l", "ge") and number == 0:
        kind = "sign"
    else:
        return None
    return _Test(value, kind, *((target, after) if last[1] in ("e", "s", "l") else (after, target)))


def _compared(operation: Operation) -> Optional[Tuple[Operand, int]]:
    """(value, number) of an operation whose flags tell how the value compares with the number."""
    if operation[0] == "test" and operation[1] == operation[2]:
        return operation[1], 0
    if operation[0] == "cmp" and operation[2][0] == "i":
        width = operation[1][-1] if operation[1][0] == "m" else operation[1][2]
        number = int(operation[2][1])
        return operation[1], -1 if number == (1 << width) - 1 else number
    if _adds_one(operation):
        return operation[2], -1
    return None


def _adds_one(operation: Operation) -> bool:
    """Whether it is the short way to compare with -1, after which nobody reads the register."""
    return bool(operation[0] == "bin" and operation[1] == "add" and operation[4] == ("i", 1))


def _failing(test: _Test, held: _Held, knowing: Optional[Knowing]) -> Optional[int]:
    """The block *test* leads to when the call it asks about has failed; ``None`` where it asks something else."""
    place = _place(test.value)
    result = held.get(place) if place is not None else None
    if result is None or (result.name and not result.name.startswith(("Py", "_Py"))):
        return None
    if result.name == _HAS_FAILED:
        return test.no if test.kind == "null" else None
    if not result.name and knowing is not None and knowing.may_know(result.target):
        return None
    if test.kind == "null":
        return test.yes if test.value[2] == 64 and result.name not in _MAY_BE_NULL else None
    return test.yes


def _is_unset(program: Program, graph: Graph, block: Block, test: _Test) -> bool:
    """Whether *test* asks of a cell, zero in the file, that only this function writes: it is zero the first time."""
    if test.kind != "null":
        return False
    place = _cell(program, block, test.value)
    image = program.image
    if place is None or place in image.relocations or place in image.imports or image.word(place):
        return False
    users = [at for _, at in program.references(place, place + 8)]
    return all(graph.low <= at < graph.high or only_reads(program, at) for at in users)


def _cell(program: Program, block: Block, value: Operand) -> Optional[int]:
    """The static memory *value* is, or was read from in *block*."""
    for operation in reversed(operations(program, block)):
        if value[0] == "m":
            break
        if operation[0] in ("call", "calli") or (operation[0] == "lost" and value[1] in operation[1]):
            return None
        if writes(operation) and (written(operation) or ("",))[:2] == value[:2]:
            if operation[0] != "mov":
                return None
            value = operation[2]
    if value[0] != "m" or value[1] is not None or value[2] is not None:
        return None
    return int(value[4]) - program.base
