"""What every import of an extension module runs that succeeds: initialisation without the ways that give up.

The code that sets up a module checks each result and gives up where one is an error. Instructions behind such checks
are not on *every* path, yet no import gets to its end without them. Here the ways out are left aside that CPython's
C interface defines as failure ("The Python/C API Reference Manual", chapter "Exception Handling": a pointer that is
``NULL``, an integer below zero), and the way of a module that finds itself set up already.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from . import detection
from .graph import Block, Graph
from .knowing import Knowing
from .loading import Loaded, roots, surely_run
from .operations import Operand, Operation
from .program import Program

# Functions whose NULL is no failure (the manual: "without setting an exception", or a borrowed optional value).
_MAY_BE_NULL = frozenset(
    ["PyDict_GetItem", "PyDict_GetItemWithError", "PyDict_GetItemString", "_PyDict_GetItem_KnownHash",
     "_PyDict_GetItemStringWithError", "PyErr_Occurred", "PyImport_GetModule", "PySys_GetObject", "_PyType_Lookup",
     "PyWeakref_GetObject", "PyEval_GetLocals", "PyEval_GetGlobals", "PyEval_GetFrame", "PyModule_GetState",
     "PyModule_GetDef", "PyState_FindModule", "PyMem_Malloc", "PyErr_GetRaisedException", "PyUnicode_AsUTF8"]
)  # fmt: skip
# Functions that are handed the address of a pointer to an object and leave it pointing to an object.
_KEEPS_OBJECTS = frozenset(["PyUnicode_InternInPlace"])
_IMPORT_ROOTS = ("module initialiser", "module exec slot")
_MAX_FUNCTIONS = 1000
_HAS_FAILED = "PyErr_Occurred"
_OPPOSITE = {"e": "ne", "ne": "e", "s": "ns", "ns": "s", "l": "ge", "ge": "l"}
_TARGET_LATER = frozenset(["bin", "set", "cmov"])
_UNFOLLOWED = frozenset(["lost", "calli", "jumpi", "cpuid", "xcr", "fill", "copy"])
_WITHOUT_TARGET = frozenset(["cmp", "test", "bit", "branch", "zero", "tbit", "jump", "call", "ret", "stop"])


class _Test(NamedTuple):
    """What a block's branch asks of one value: ``null`` (is it zero), ``minus`` (is it -1) or ``sign``."""

    value: Operand
    kind: str
    yes: int
    no: int


class _Result(NamedTuple):
    """What a call gave: block of the call, name of the function ("" for one of this file), where that function is."""

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
    begin = [(address, what) for address, what in roots(program) if what in _IMPORT_ROOTS]
    first = {address for address, _ in begin}
    knowing = Knowing(program) if detection.detects(program.code) else None
    return surely_run(
        program,
        marks,
        begin,
        lambda entry: always_imported(program, entry, knowing, first=entry in first),
        _MAX_FUNCTIONS,
    )


def always_imported(program: Program, entry: int, knowing: Optional[Knowing], *, first: bool) -> List[Block]:
    """Blocks on every path through the function at *entry* that does not fail, the entry's first.

    :param knowing: tells which functions may know what the CPU can do; ``None`` where none can.
    :param first: whether *entry* is where the import begins, at which nothing else of the module has run yet.
    """
    graph = Graph(program, entry)
    held = _held(program, graph)
    for start, block in list(graph.blocks.items()):
        test = _test(program, block)
        if test is None:
            continue
        dropped = _failing(test, held.get(start, {}), knowing)
        if dropped is None and first and start == entry and _is_unset(program, graph, block, test):
            dropped = test.no
        if dropped is not None:
            graph.blocks[start] = block._replace(next=tuple(target for target in block.next if target != dropped))
    return graph.always()


def _held(program: Program, graph: Graph) -> Dict[int, _Held]:
    """Where the result of which call is held when each block ends."""
    before: Dict[int, List[int]] = {}
    for block in graph.blocks.values():
        for target in block.next:
            before.setdefault(target, []).append(block.start)
    held: Dict[int, _Held] = {}
    ranks = graph.ranks()
    for start in sorted(ranks, key=ranks.__getitem__):
        incoming = [held.get(source, {}) for source in before.get(start, ())]
        known: _Held = dict(incoming[0]) if incoming and start != graph.entry else {}
        for other in incoming[1:]:
            known = {place: result for place, result in known.items() if other.get(place) == result}
        held[start] = _after(program, graph.blocks[start], known)
    return held


def _after(program: Program, block: Block, known: _Held) -> _Held:
    """What holds behind *block* where *known* held before it."""
    abi = program.lifter.abi
    for operation in _operations(program, block):
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
        elif operation[0] not in _WITHOUT_TARGET and not _adds_one(operation):
            known = _overwritten(known, operation)
    return known


def _called(program: Program, operation: Operation) -> Tuple[Optional[str], Optional[int]]:
    """(name, address) of what a call reaches, an imported function or one of this file; both ``None`` where unknown."""
    if operation[0] == "call":
        name = program.import_at(int(operation[1]))
        return name, None if name is not None else program.resolved(int(operation[1]))
    return program.imported_through(operation[1]), None


def _overwritten(known: _Held, operation: Operation) -> _Held:
    """What of *known* holds behind *operation*, which writes something."""
    written = _written(operation)
    if written is None:
        return {}
    into = _place(written)
    if written[0] == "r":
        kept = {place: result for place, result in known.items() if place[0] != written[1]}
    else:
        kept = {place: result for place, result in known.items() if place[1] is None or _apart(place, into)}
    source = _place(operation[2]) if operation[0] == "mov" else None
    if into is not None and source in known:
        kept[into] = known[source]
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


def _operations(program: Program, block: Block) -> List[Operation]:
    found: List[Operation] = []
    address = block.start
    while address < block.end:
        step = program.step(address)
        if step is None:
            break
        found.extend(step.operations)
        address += step.length
    return found


def _test(program: Program, block: Block) -> Optional[_Test]:
    """What the branch at the end of *block* asks; ``None`` where there is none, or it is not one of the three."""
    if len(block.next) != 2 or block.next[0] == block.next[1]:
        return None
    after, target = block.next
    operations = _operations(program, block)
    last = operations[-1]
    if last[0] == "zero":
        return _Test(last[1], "null", *((target, after) if last[3] else (after, target)))
    if last[0] == "tbit" and last[2] == last[1][2] - 1:
        return _Test(last[1], "sign", *((after, target) if last[4] else (target, after)))
    if last[0] != "branch" or last[1] not in _OPPOSITE or len(operations) < 2:
        return None
    asked = _compared(operations[-2])
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


def _written(operation: Operation) -> Optional[Operand]:
    """The operand *operation* writes; ``None`` where it may write anything."""
    position = 2 if operation[0] in _TARGET_LATER else 1
    if operation[0] in _UNFOLLOWED or len(operation) <= position:
        return None
    written: Operand = operation[position]
    return written


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
    return all(graph.low <= at < graph.high or _only_reads(program, at) for at in users)


def _cell(program: Program, block: Block, value: Operand) -> Optional[int]:
    """The static memory *value* is, or was read from in *block*."""
    for operation in reversed(_operations(program, block)):
        if value[0] == "m":
            break
        if operation[0] == "mov" and operation[1][:2] == value[:2]:
            value = operation[2]
    if value[0] != "m" or value[1] is not None or value[2] is not None:
        return None
    return int(value[4]) - program.base


def _only_reads(program: Program, at: int) -> bool:
    step = program.step(at)
    if step is None:
        return False
    for operation in step.operations:
        if operation[0] in _WITHOUT_TARGET or operation[0] in ("calli", "jumpi"):
            continue
        written = _written(operation)
        if operation[0] == "lea" or written is None or written[0] == "m":
            return False
    return True
