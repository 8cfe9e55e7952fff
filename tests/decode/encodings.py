"""The distinct encodings of real code, each with the number of times it stands there.

What a decoder says of an instruction depends on its bytes alone. So an oracle need not be asked twice about the same
bytes, and when it agrees on the length of every distinct encoding, its own pass over the code visits the same places.
Instructions that differ in nothing but the distance of a branch or of an operand relative to the instruction pointer
count as one encoding; it keeps the bytes that were met first.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Any, Iterator, NamedTuple

from cffi import FFI

import baseline_build.decode
from baseline_build.decode.engine import Library
from baseline_build.decode.x86.compiled import mirror

HERE = Path(__file__).parent
_ENGINE = Path(baseline_build.decode.__file__).parent
_ITEM = struct.Struct("<15xB15sBII")
_DONE, _FULL, _DAMAGED = 0, -1, -2


class Encoding(NamedTuple):
    """A distinct encoding.

    :param data: 15 bytes as they were met first: the instruction and what stood behind it.
    :param length: of the instruction; 0 where this project's decoder sees none.
    :param requirement: number of the features it needs.
    :param times: how often it was met.
    """

    data: bytes
    length: int
    bits: int
    requirement: int
    times: int

    @property
    def code(self) -> bytes:
        """The bytes of the instruction, or all that were kept where there is none."""
        return self.data[: self.length] if self.length else self.data


def build(folder: Path, compiler: str) -> Library:
    """Compiles ``collector.c`` into *folder* and loads it."""
    program = folder / "collector.so"
    command = [compiler, "-O2", "-shared", "-fPIC", f"-I{_ENGINE}", str(HERE / "collector.c"), "-o", str(program)]
    subprocess.run(command, check=True)
    ffi = FFI()
    source = (HERE / "collector.c").read_text(encoding="utf-8")
    ffi.cdef(source.partition("/* cffi:begin */")[2].partition("/* cffi:end */")[0])
    return Library(ffi, ffi.dlopen(str(program)))


class Collection:
    """Distinct encodings of all the code added so far.

    :ivar instructions: how many instructions that were, repeated ones too.
    :ivar undecoded: how many bytes were no instruction.
    """

    def __init__(self, library: Library, room: int = 1 << 16) -> None:
        self._library = library
        self._ffi = library.ffi
        self._c = library.ffi.new("struct bb_collection *")
        self._places: Any = None
        self._make(room)

    @property
    def instructions(self) -> int:
        return int(self._c.instructions)

    @property
    def undecoded(self) -> int:
        return int(self._c.undecoded)

    def __len__(self) -> int:
        return int(self._c.used)

    def _make(self, room: int) -> None:
        old, count = self._places, self._c.room
        self._places = self._ffi.new("struct bb_encoding[]", room)
        self._c.places, self._c.room, self._c.used = self._places, room, 0
        if old is not None:
            self._library.lib.bb_move(old, count, self._c)

    def add(self, bits: int, code: bytes) -> None:
        """Takes in the instructions of *code*, from its first byte on."""
        table = mirror(bits)
        c, ffi = self._c, self._ffi
        kept = [ffi.from_buffer("uint8_t[]", code or b"\0"), ffi.from_buffer("int32_t[]", table.suffixes)]
        c.mode, c.code, c.code_size, c.here, c.suffixes = bits, kept[0], len(code), 0, kept[1]
        result = _FULL
        while result != _DONE:
            entries = ffi.from_buffer("int32_t[]", table.entries)
            c.table, c.table_size = entries, len(table.entries)
            result = self._library.lib.bb_collect(c)
            if result == _FULL:
                self._make(2 * c.room)
            elif result == _DAMAGED:
                raise AssertionError(f"the decoder's table is damaged at offset {c.here:#x}")
            elif result > 0:
                table.grow(result)

    def encodings(self) -> Iterator[Encoding]:
        """All of them, in no order that means anything."""
        view = memoryview(self._ffi.buffer(self._places))
        for length, data, bits, requirement, count in _ITEM.iter_unpack(view):
            if count:
                yield Encoding(data, length, bits, requirement, count)
