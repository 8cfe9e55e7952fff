"""What the first import finds in memory: the values of the file, where nothing that ran before may have changed it."""

from __future__ import annotations

from typing import FrozenSet, Iterable, Iterator, List, Optional, Sequence, Set

from .graph import Graph
from .operations import Operation
from .program import Program
from .state import is_thread
from .users import users
from .writing import only_reads, operations, writes, written

# Functions of the C library that run no code of the file, beside Python's C interface.
_HARMLESS = frozenset(["__tls_get_addr"])


class Outset:
    """First values of variables in the functions where an import begins."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def value(self, graph: Graph, at: int, address: int, size: int) -> Optional[int]:
        """The *size* bytes at *address*, static or thread-local, when the first import comes to the block at *at*.

        ``None`` where they may have changed: by what the loader runs of the file, or by the function of *graph*, where
        the import begins, and what it called on the way. Only what uses the variable can change it, or what calls that.
        """
        program = self.program
        mine = program.function_of(graph.entry)
        blocks = [*_before(graph, at), at]
        if self._is_changed(graph, blocks, address, size):
            return None
        changing = self._callers(set(users(program, address)) - {mine}, mine)
        ran = list(self._ran(graph, blocks))
        if None in ran or changing & {program.function_of(callee) for callee in ran if callee is not None}:
            return None
        if ran and any(program.is_named(start, program.end_of(start)) for start in changing):
            return None
        loaded = (*program.image.initialisers, *program.image.resolvers.values())
        if changing & {program.function_of(start) for start in loaded}:
            return None
        if is_thread(address):
            return program.contents.of_thread(address, size)
        return program.contents.at(address - program.base, size)

    def _is_changed(self, graph: Graph, blocks: Sequence[int], address: int, size: int) -> bool:
        """Whether the function itself may change the *size* bytes at *address*: those of a thread, in *blocks*."""
        program = self.program
        if not is_thread(address):
            place = address - program.base
            own = (at for _, at in program.references(place, place + size) if graph.low <= at < graph.high)
            return not all(only_reads(program, at) for at in own)
        done = (operation for start in blocks for operation in operations(program, graph.blocks[start]))
        return any(writes(operation) and self._stores(operation) for operation in done)

    def _stores(self, operation: Operation) -> bool:
        """Whether *operation* may write to memory that is neither the stack nor a static variable."""
        if operation[0] == "lost":
            target = operation[2]
        elif operation[0] in ("calli", "jumpi"):
            return False
        else:
            target = written(operation)
            if target is None:
                return True
        if target is None or target[0] != "m":
            return False
        return target[2] is not None or target[1] not in (None, self.program.lifter.abi.stack)

    def _callers(self, functions: Set[int], apart: int) -> FrozenSet[int]:
        """*functions* and what leads to them by direct calls and jumps, without going on from *apart*."""
        program = self.program
        found = set(functions)
        waiting = list(functions)
        while waiting:
            start = waiting.pop()
            for _, at in program.transfers(start, program.end_of(start)):
                caller = program.function_of(at)
                if caller != apart and caller not in found:
                    found.add(caller)
                    waiting.append(caller)
        return frozenset(found)

    def _ran(self, graph: Graph, blocks: Iterable[int]) -> Iterator[Optional[int]]:
        """Functions of the file that *blocks* call; ``None``: one unknown."""
        for start in blocks:
            yield from graph.blocks[start].calls
            for operation in operations(self.program, graph.blocks[start]):
                if operation[0] in ("call", "calli") and not self._is_harmless(operation):
                    yield None

    def _is_harmless(self, operation: Operation) -> bool:
        """Whether a call stays in the file, where it is followed, or leads to what runs no code of it."""
        program = self.program
        if operation[0] == "call":
            name = program.import_at(int(operation[1]))
            if name is None:
                return program.resolved(int(operation[1])) is not None
        else:
            name = program.imported_through(operation[1])
        return name is not None and (name.startswith(("Py", "_Py")) or name in _HARMLESS)


def _before(graph: Graph, at: int) -> List[int]:
    """Blocks that may run before the one at *at* does for the last time."""
    sources = graph.sources()
    found: Set[int] = set()
    waiting = list(sources.get(at, ()))
    while waiting:
        start = waiting.pop()
        if start not in found:
            found.add(start)
            waiting.extend(sources.get(start, ()))
    return sorted(found)
