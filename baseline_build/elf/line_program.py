"""The line number program of one DWARF unit, run for addresses, files and lines only (DWARF 5, section 6.2).

pyelftools copies a state object for each row, which takes seconds for one large C file; this takes tenths of a second.
Nothing else of the state machine (columns, statements, views) is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

Row = Tuple[int, int, int]

MAX_ROWS = 8_000_000

# Standard opcodes.
COPY, ADVANCE_PC, ADVANCE_LINE, SET_FILE = 1, 2, 3, 4
CONST_ADD_PC, FIXED_ADVANCE_PC = 8, 9
# Extended opcodes.
END_SEQUENCE, SET_ADDRESS = 1, 2


@dataclass(frozen=True)
class Parameters:
    """What the program's header says of how to read it.

    :param lengths: operands of the standard opcodes, from opcode 1 on.
    """

    minimum_length: int
    operations: int
    line_base: int
    line_range: int
    opcode_base: int
    lengths: Tuple[int, ...]
    byteorder: str


class Machine:
    """Runs one program.

    Raises ``ValueError`` for a program no reader can follow, ``IndexError`` for one that ends in the middle.
    """

    def __init__(self, code: bytes, parameters: Parameters) -> None:
        if parameters.line_range == 0 or parameters.operations == 0:
            raise ValueError("a line program divides by zero")
        self.code = code
        self.parameters = parameters
        self.at = 0
        self.address, self.file, self.line = 0, 1, 1
        self.rows: List[Row] = []

    def run(self) -> List[Row]:
        """(address, file, line) rows in the program's order; line 0 where a sequence ends."""
        code, parameters = self.code, self.parameters
        base, span, first = parameters.line_base, parameters.line_range, parameters.opcode_base
        unit = parameters.minimum_length
        rows = self.rows
        size = len(code)
        while self.at < size:
            opcode = code[self.at]
            self.at += 1
            if opcode >= first:
                step = opcode - first
                self.address += step // span * unit
                self.line += base + step % span
                rows.append((self.address, self.file, self.line))
            elif opcode:
                self._standard(opcode)
            else:
                self._extended()
            if len(rows) > MAX_ROWS:
                raise ValueError(f"a line program has more than {MAX_ROWS} rows")
        return rows

    def _standard(self, opcode: int) -> None:
        parameters = self.parameters
        if opcode == COPY:
            self.rows.append((self.address, self.file, self.line))
        elif opcode == ADVANCE_PC:
            self.address += self._unsigned() * parameters.minimum_length
        elif opcode == ADVANCE_LINE:
            self.line += self._signed()
        elif opcode == SET_FILE:
            self.file = self._unsigned()
        elif opcode == CONST_ADD_PC:
            step = (255 - parameters.opcode_base) // parameters.line_range
            self.address += step * parameters.minimum_length
        elif opcode == FIXED_ADVANCE_PC:
            self.address += self._number(2)
        else:
            for _ in range(parameters.lengths[opcode - 1]):
                self._unsigned()

    def _extended(self) -> None:
        length = self._unsigned()
        end = self.at + length
        if not length or end > len(self.code):
            raise ValueError("an extended opcode reaches beyond the line program")
        opcode = self.code[self.at]
        self.at += 1
        if opcode == END_SEQUENCE:
            self.rows.append((self.address, self.file, 0))
            self.address, self.file, self.line = 0, 1, 1
        elif opcode == SET_ADDRESS:
            self.address = self._number(length - 1)
        self.at = end

    def _number(self, size: int) -> int:
        raw = self.code[self.at : self.at + size]
        self.at += size
        return int.from_bytes(raw, "big" if self.parameters.byteorder == "big" else "little")

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self.code[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 70:
                raise ValueError("a number in a line program has more than 64 bits")

    def _signed(self) -> int:
        start = self.at
        value = self._unsigned()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> bits - 1 else value
