"""The compiled x86 engine's Python side: buffers, growth of the automaton on demand, collecting what was found."""

from __future__ import annotations

import threading
from array import array
from itertools import chain
from typing import Any, Dict, List, Sequence, Tuple

from ...errors import InternalError
from ..engine import Library
from ..model import Sweep
from ..notes import Bytes
from .automaton import states
from .engine import Notes, stretches
from .states import States

_ROOM = 1 << 14  # items per array between two calls
_ARRAYS = (
    ("mark_addresses", "Q", "marks"),
    ("mark_lengths", "B", "marks"),
    ("mark_requirements", "H", "marks"),
    ("branch_addresses", "Q", "branches"),
    ("branch_lengths", "B", "branches"),
    ("branch_flows", "B", "branches"),
    ("branch_targets", "Q", "branches"),
    ("reference_addresses", "Q", "references"),
    ("reference_targets", "Q", "references"),
    ("gap_addresses", "Q", "gaps"),
    ("gap_lengths", "Q", "gaps"),
)
_DONE, _FULL, _DAMAGED = 0, -1, -2


class Mirror:
    """The automaton's entries in an array C can read.

    Entries change in place while other threads read; a full array is replaced, never resized, so that passes under way
    keep theirs.
    """

    def __init__(self, machine: States) -> None:
        self.machine = machine
        self.used = 0
        self.entries = array("i")
        self.suffixes = array("i", machine.suffixes)
        self._lock = threading.Lock()
        with self._lock:
            self._copy()

    def grow(self, number: int) -> None:
        """Builds what entry *number* stands for, and shows it to C."""
        self.machine.grow(number)
        with self._lock:
            self._copy()
            slot = self.machine.slot(number)
            self.entries[slot] = self.machine.entries[slot]

    def _copy(self) -> None:
        size = len(self.machine.entries)
        if size > len(self.entries):
            room = max(2 * size, 1 << 16)
            larger = array("i", bytes(4 * room))
            larger[: self.used] = self.entries[: self.used]
            self.entries = larger
        memoryview(self.entries)[self.used : size] = array("i", self.machine.entries[self.used : size])
        self.used = size


_MIRRORS: Dict[int, Mirror] = {}
_MIRRORS_LOCK = threading.Lock()


def mirror(mode: int) -> Mirror:
    """The table of *mode* (64 or 32) as C reads it, one for the process."""
    machine = states(mode)
    with _MIRRORS_LOCK:
        if mode not in _MIRRORS:
            _MIRRORS[mode] = Mirror(machine)
        return _MIRRORS[mode]


class Pass:
    """One pass: the C structure and the arrays it points to."""

    def __init__(self, library: Library, mode: int, code: Bytes, address: int, runs: List[Tuple[int, int]]) -> None:
        self.library = library
        self.mirror = mirror(mode)
        self.notes = Notes()
        ffi = library.ffi
        self.c = ffi.new("struct bb_x86_pass *")
        self._kept: List[Any] = []
        self.c.mode = mode
        self.c.code_size = len(code)
        self.c.code = self._buffer("uint8_t[]", code if len(code) else b"\0")
        self.c.suffixes = self._buffer("int32_t[]", self.mirror.suffixes)
        self.c.base = address & 0xFFFFFFFFFFFFFFFF
        flat = array("Q", chain.from_iterable(runs) if runs else [0])
        self.c.runs = self._buffer("uint64_t[]", flat)
        self.c.run_count = len(runs)
        self.c.room = _ROOM
        self.arrays: Dict[str, array[int]] = {}
        for name, kind, _ in _ARRAYS:
            items = self.arrays[name] = array(kind, bytes(_ROOM * array(kind).itemsize))
            setattr(self.c, name, self._buffer(f"uint{8 * items.itemsize}_t[]", items))

    def _buffer(self, kind: str, data: Any) -> Any:
        pointer = self.library.ffi.from_buffer(kind, data)
        self._kept.append(pointer)
        return pointer

    def run(self) -> Sweep:
        """Calls until all is done. Raises :class:`~baseline_build.errors.InternalError` (BB913) on a damaged table."""
        while True:
            entries = self.mirror.entries
            table = self.library.ffi.from_buffer("int32_t[]", entries)
            self.c.table = table
            self.c.table_size = len(entries)
            result = self.library.lib.bb_x86_sweep(self.c)
            if result == _DAMAGED:
                raise InternalError("BB913", "the decoder's table is damaged", where=f"offset {self.c.here:#x}")
            if result in (_DONE, _FULL):
                self._collect()
            if result == _DONE:
                self.notes.instructions = self.c.instructions
                return self.notes.sweep()
            if result > 0:
                self.mirror.grow(result)

    def _collect(self) -> None:
        for name, _, count in _ARRAYS[:-2]:
            found: array[int] = getattr(self.notes, name)
            found.extend(self.arrays[name][: getattr(self.c, count)])
        for index in range(self.c.gaps):
            self.notes.skip(self.arrays["gap_addresses"][index], self.arrays["gap_lengths"][index])
        self.c.marks = self.c.branches = self.c.references = self.c.gaps = 0


def sweep(
    library: Library,
    mode: int,
    code: Bytes,
    address: int,
    entries: Sequence[int] = (),
    data: Sequence[Tuple[int, int]] = (),
) -> Sweep:
    """As :func:`.engine.sweep`, by the compiled engine *library*."""
    return Pass(library, mode, code, address, stretches(len(code), address, entries, data)).run()
