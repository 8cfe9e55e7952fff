"""The x86 opcode tables as facts: reads ``*.txt``.

A row is one encoding or a group of encodings that share name, features and length rule. Columns, separated by ``|``:

* encoding: ``legacy``, ``rex2``, ``vex``, ``evex``, ``xop``, ``3dnow``, ``mvex``
* map: opcode map in hexadecimal; legacy 0 (one byte), 1 (0F), 2 (0F38), 3 (0F3A); VEX and EVEX ``mmmmm``; XOP 8, 9,
  a; 3DNow! f
* prefix: ``np`` none of 66/F3/F2, ``66``, ``f3``, ``f2`` mandatory, ``nfx`` no F3/F2, ``*`` any
* opcode: hexadecimal; ``50+`` stands for eight opcodes; for 3DNow! the byte at the end
* W, L: 0, 1 (2 for L) or ``*`` for ignored
* modrm: ``-`` none; else where the operand may be: ``*`` anywhere, ``m`` memory, ``r`` register, ``s`` memory with a
  SIB byte, ``i`` register whatever mod says; then ``/reg`` and ``:rm`` where these belong to the opcode
* mode: ``64``, ``32`` or ``*``
* size: operand size the row is for: ``o16`` ``o32`` ``o64``, ``d64`` (64-bit unless 66), ``a16`` ``a32`` ``a64``
  (address size), ``-`` any
* immediate: bytes; ``z`` 2 or 4, ``v`` 2, 4 or 8 by operand size, ``moffs`` by address size, ``far``, ``relN`` a
  relative target of N bytes, ``relz`` of 2 or 4, ``abs8`` an absolute target; ``-`` none
* flow: a member of :class:`~..model.Flow` in lower case
* flags: ``lock`` (LOCK is allowed), ``round`` (embedded rounding or SAE: with EVEX.b and registers L is 512 bits),
  ``vsib``; ``-`` none
* mnemonic; features it needs under gcc's names, ``-`` none

Sources: Intel SDM vol. 2, AMD APM vol. 3-5, Intel's "Architecture Instruction Set Extensions" and APX manuals, read
through the tools named at the head of each table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

from ...errors import InternalError
from ..model import Flow

_HERE = Path(__file__).parent
#: Names of the tables, without ``.txt``.
FILES = ("legacy", "vex", "evex", "xop", "3dnow", "mvex", "supplement", "apx")
_COLUMNS = 14
ANY = -1

#: Encoding, map, opcode.
Place = Tuple[str, int, int]


class Row(NamedTuple):
    """One row; ``-1`` (:data:`ANY`) where a column says any. See the module's text for the columns."""

    prefix: str
    w: int
    l: int  # noqa: E741 - the manuals' name
    place: str
    reg: int
    rm: int
    mode: int
    size: str
    immediate: str
    flow: Flow
    flags: Tuple[str, ...]
    mnemonic: str
    features: Tuple[str, ...]

    def fits(self, modrm: int) -> bool:
        """Whether the ModRM byte *modrm* selects this row."""
        if self.place == "-":
            return True
        if self.reg != ANY and self.reg != modrm >> 3 & 7:
            return False
        if self.rm != ANY and self.rm != modrm & 7:
            return False
        register = modrm >= 0xC0
        if self.place == "m":
            return not register
        if self.place == "r":
            return register
        if self.place == "s":
            return not register and modrm & 7 == 4
        return True

    @property
    def precision(self) -> int:
        """How much of the encoding the row pins down; of two rows that fit, the higher one counts."""
        pinned = (self.reg != ANY) * 4 + (self.rm != ANY) * 2 + (self.place in "mrs") + (self.size != "-") * 8
        # Knights Corner used encodings of its own that AVX-512 took up with another meaning.
        return pinned + (self.mode != ANY) - 16 * (self.features == ("knc",))


_FLOWS = {flow.name.lower().replace("_", "-"): flow for flow in Flow}


def _number(cell: str) -> int:
    return ANY if cell == "*" else int(cell)


def _row(cells: List[str]) -> Row:
    place, reg, rm = cells[6], ANY, ANY
    if "/" in place:
        place, _, group = place.partition("/")
        first, _, second = group.partition(":")
        reg = int(first)
        rm = int(second) if second else ANY
    return Row(
        cells[2],
        _number(cells[4]),
        _number(cells[5]),
        place,
        reg,
        rm,
        _number(cells[7]),
        cells[8],
        cells[9],
        _FLOWS[cells[10]],
        () if cells[11] == "-" else tuple(cells[11].split()),
        cells[12],
        () if cells[13] == "-" else tuple(cells[13].split()),
    )


class Index:
    """All rows by (encoding, map, opcode); a row is parsed when it is first asked for.

    Raises :class:`~...errors.InternalError` (BB910) where a table cannot be read.
    """

    def __init__(self) -> None:
        self._lines: Dict[Place, List[Tuple[str, str]]] = {}
        self._rows: Dict[Place, Tuple[Row, ...]] = {}
        for name in FILES:
            self._read(f"{name}.txt")

    def _read(self, name: str) -> None:
        for number, line in enumerate((_HERE / name).read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("#") or not line.strip():
                continue
            where = f"{name}:{number}"
            try:
                encoding, table, _, opcode, _ = line.split(" | ", 4)
                first = int(opcode.rstrip("+"), 16)
                place = (encoding, int(table, 16), first)
            except ValueError as error:
                raise _unreadable(where, error) from error
            for value in range(first, first + (8 if opcode.endswith("+") else 1)):
                self._lines.setdefault((*place[:2], value), []).append((where, line))

    def get(self, encoding: str, table: int, opcode: int) -> Tuple[Row, ...]:
        """The rows of one opcode of one map, the most precise first; empty where there is none."""
        place = (encoding, table, opcode)
        found = self._rows.get(place)
        if found is None:
            parsed = [_parsed(where, line) for where, line in self._lines.get(place, ())]
            found = self._rows[place] = tuple(sorted(parsed, key=lambda row: -row.precision))
        return found

    def places(self) -> Iterator[Place]:
        """Every (encoding, map, opcode) that has a row."""
        return iter(self._lines)


def _parsed(where: str, line: str) -> Row:
    cells = [cell.strip() for cell in line.split("|")]
    if len(cells) != _COLUMNS:
        raise _unreadable(where, f"expected {_COLUMNS} columns, found {len(cells)}")
    try:
        return _row(cells)
    except (ValueError, KeyError) as error:
        raise _unreadable(where, error) from error


def _unreadable(where: str, reason: object) -> InternalError:
    return InternalError("BB910", f"unreadable row of an opcode table: {reason}", where=where)
