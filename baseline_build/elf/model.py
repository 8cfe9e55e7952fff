"""What an ELF file says: one :class:`Image` with its regions of code, functions, imports, relocations and notes.

Addresses are virtual addresses of the unrelocated file. Relocatable objects have none: :mod:`.objects`
lays their sections out one after the other and applies their relocations, so that readers need not care.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import Mapping, NamedTuple, Optional, Tuple, Union

from ..isa.model import Machine

Bytes = Union[bytes, memoryview]


@dataclass(frozen=True)
class Segment:
    """A program header. ``offset`` and ``file_size`` are the file's, ``address`` and ``memory_size`` the process's."""

    type: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int
    align: int

    @property
    def executable(self) -> bool:
        """Whether the loader maps it executable."""
        return bool(self.flags & 1)

    @property
    def writable(self) -> bool:
        """Whether the loader maps it writable."""
        return bool(self.flags & 2)


@dataclass(frozen=True)
class Section:
    """A section header; ``address`` is synthetic in relocatable objects."""

    index: int
    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry_size: int


@dataclass(frozen=True)
class Region:
    """A run of bytes that can be executed.

    :param name: the section's name, or ``segment@ADDRESS`` where no section header covers it.
    :param declared: whether section headers call it code; false for executable bytes that only a segment maps.
    """

    address: int
    offset: int
    data: Bytes
    name: str
    declared: bool = True

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + len(self.data)


# Symbols and functions come by the hundred thousand; a named tuple is a third of a frozen dataclass's cost.
class Symbol(NamedTuple):
    """A symbol; ``type``, ``binding`` and ``section`` are the gABI's STT, STB and SHN numbers."""

    name: str
    address: int
    size: int
    type: int
    binding: int
    section: int
    visibility: int
    other: int = 0  # the whole of st_other, of which the processor ABIs own the upper bits

    @property
    def defined(self) -> bool:
        """Whether this file holds what it names."""
        return self.section != 0


class Function(NamedTuple):
    """A run of code known to begin at ``address``.

    ``size`` is 0 where nothing says where it ends. ``name`` is None in stripped files. ``origin`` is what told us of
    it: ``symbol``, ``fde``, ``init``, ``entry``, ``resolver``.
    """

    address: int
    size: int
    name: Optional[str]
    origin: str


@dataclass(frozen=True)
class Properties:
    """The GNU property note's numbers, ``None`` where it has none.

    ``isa_needed``: x86, bit n stands for x86-64-v(n+1). ``old_needed``: the numbering of before 2020.
    ``protection``: IBT and SHSTK on x86, BTI and PAC on ARM64.
    """

    isa_needed: Optional[int] = None
    old_needed: Optional[int] = None
    protection: Optional[int] = None


@dataclass(frozen=True)
class SymbolReference:
    """A relocation of a relocatable object: the field at ``address`` names ``symbol`` plus ``addend``.

    ``target`` is its synthetic address, also for symbols of other objects (those are in :attr:`Image.stubs`).
    """

    address: int
    type: int
    symbol: str
    addend: int
    target: int


@dataclass(frozen=True, eq=False)
class Image:
    """One ELF file.

    :param kind: ``executable`` (ET_EXEC, or position independent with an interpreter or the PIE flag), ``shared``,
        ``object``.
    :param entry: the start address of an executable, else ``None`` (in shared objects the field means nothing).
    :param data: the file.
    :param regions: all executable bytes, ascending, never overlapping.
    :param functions: all known beginnings of functions, ascending by address, one for each address.
    :param exports: names other files may bind to and run or read -> address.
    :param imports: GOT or PLT slot, or any other relocated word -> the name from another file that fills it.
    :param stubs: address of a PLT stub -> the name it jumps to (imports only).
    :param local_stubs: address of a PLT stub -> its slot, where the slot is filled from this very file
        (look it up in ``relocations`` or ``resolvers``).
    :param relocations: relocated word -> the address in this file it holds at run time.
    :param resolvers: word filled by an IFUNC resolver -> address of that resolver.
    :param tls_slots: word -> offset in the thread-local block (module/offset pairs are under the pair's first word,
        descriptors under the descriptor, initial-exec words under the word).
    :param initialisers: DT_PREINIT_ARRAY, DT_INIT and DT_INIT_ARRAY in the order in which they run.
    :param finalisers: DT_FINI_ARRAY and DT_FINI.
    :param tls: the thread-local template.
    :param entries: ascending addresses where an instruction is known or very likely to start.
    :param data_ranges: (start, end) of bytes in code regions that symbols declare to be data.
    :param references: the relocations of a relocatable object in code sections.
    """

    name: str
    machine: Machine
    bits: int
    order: str
    kind: str
    flags: int
    entry: Optional[int]
    data: memoryview = field(repr=False)
    interpreter: Optional[str] = None
    soname: Optional[str] = None
    needed: Tuple[str, ...] = ()
    rpath: Optional[str] = None
    runpath: Optional[str] = None
    segments: Tuple[Segment, ...] = ()
    sections: Tuple[Section, ...] = ()
    regions: Tuple[Region, ...] = field(default=(), repr=False)
    functions: Tuple[Function, ...] = field(default=(), repr=False)
    symbols: Tuple[Symbol, ...] = field(default=(), repr=False)
    dynamic_symbols: Tuple[Symbol, ...] = field(default=(), repr=False)
    exports: Mapping[str, int] = field(default_factory=dict, repr=False)
    imports: Mapping[int, str] = field(default_factory=dict, repr=False)
    stubs: Mapping[int, str] = field(default_factory=dict, repr=False)
    local_stubs: Mapping[int, int] = field(default_factory=dict, repr=False)
    relocations: Mapping[int, int] = field(default_factory=dict, repr=False)
    resolvers: Mapping[int, int] = field(default_factory=dict, repr=False)
    tls_slots: Mapping[int, int] = field(default_factory=dict, repr=False)
    ifuncs: Tuple[Symbol, ...] = ()
    initialisers: Tuple[int, ...] = ()
    finalisers: Tuple[int, ...] = ()
    tls: Optional[Segment] = None
    properties: Properties = Properties()
    entries: array[int] = field(default_factory=lambda: array("Q"), repr=False)
    data_ranges: Tuple[Tuple[int, int], ...] = field(default=(), repr=False)
    references: Tuple[SymbolReference, ...] = field(default=(), repr=False)
    memory: Tuple[Region, ...] = field(default=(), repr=False)

    @cached_property
    def _memory_starts(self) -> list[int]:
        return [block.address for block in self.memory]

    @cached_property
    def _region_starts(self) -> list[int]:
        return [region.address for region in self.regions]

    @cached_property
    def _function_starts(self) -> array[int]:
        return array("Q", (function.address for function in self.functions))

    def read(self, address: int, size: int) -> bytes:
        """Up to *size* bytes of memory the file backs at *address*: fewer, even none, where it backs less."""
        index = bisect_right(self._memory_starts, address) - 1
        if index < 0:
            return b""
        block = self.memory[index]
        start = address - block.address
        return bytes(block.data[start : start + size])

    def word(self, address: int) -> Optional[int]:
        """The pointer-sized unsigned number the file has at *address*, unrelocated; ``None`` where it has none."""
        size = self.bits // 8
        raw = self.read(address, size)
        return int.from_bytes(raw, "little" if self.order == "<" else "big") if len(raw) == size else None

    def pointer(self, address: int) -> Optional[int]:
        """The pointer at *address* at run time: relocated, ``None`` where another file or a resolver fills it."""
        if address in self.relocations:
            return self.relocations[address]
        if address in self.imports or address in self.resolvers:
            return None
        return self.word(address)

    def region_of(self, address: int) -> Optional[Region]:
        """The region of code *address* lies in."""
        index = bisect_right(self._region_starts, address) - 1
        if index < 0 or address >= self.regions[index].end:
            return None
        return self.regions[index]

    def is_code(self, address: int) -> bool:
        """Whether *address* can be executed."""
        return self.region_of(address) is not None

    def function_at(self, address: int) -> Optional[Function]:
        """The function *address* lies in: the nearest one below whose size reaches it, or whose end is not known."""
        index = bisect_right(self._function_starts, address) - 1
        # A function may lie inside another (cold parts, labels of assembler code): look a few places further down.
        for near in range(index, max(index - 8, -1), -1):
            found = self.functions[near]
            if address < found.address + found.size or (near == index and not found.size):
                return found
        return None

    def label(self, address: int) -> str:
        """A name for people: the function's, else ``fn@ADDRESS`` of its beginning, else ``fn@ADDRESS`` itself."""
        function = self.function_at(address)
        if function is None:
            return f"fn@{address:x}"
        return function.name or f"fn@{function.address:x}"
