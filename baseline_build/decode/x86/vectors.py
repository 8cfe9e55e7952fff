"""The automaton's states behind the VEX, XOP, EVEX and MVEX prefixes.

An encoding that no row knows becomes the feature ``unknown``, with the length that its neighbours suggest: it is never
skipped, because a CPU of the lowest level faults on all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Sequence, Tuple

from .entries import MANY, Identity, identity_of, leaf_of
from .prefixes import PP, Prefixes, Vector, size_fits
from .rows import ANY, Index, Row

if TYPE_CHECKING:
    from .states import States

#: Maps in use or set aside; with another map field C4 is no VEX prefix of any processor.
_VEX_MAPS = frozenset(range(8))
_XOP_MAPS = frozenset((8, 9, 10))
#: Immediate of most instructions of a map, where no row of the same opcode tells.
_MAP_IMMEDIATES = {
    ("vex", 3): "1",
    ("evex", 3): "1",
    ("vex", 7): "4",
    ("evex", 7): "4",
    ("xop", 8): "1",
    ("xop", 10): "4",
}


def _older(states: States, prefixes: Prefixes, opcode: int) -> Tuple[Row, ...]:
    """The rows of LES, LDS, BOUND and POP, which the same first byte begins."""
    return states.candidates(prefixes, 0, opcode)


def _explain_older(states: States, prefixes: Prefixes, opcode: int) -> Callable[[int], Identity]:
    return lambda _: identity_of(_older(states, prefixes, opcode)[0])


def _is_older(states: States, byte: int) -> bool:
    """In 32-bit mode LES, LDS and BOUND take memory operands only: mod is not 3 (SDM vol. 2, section 2.3.5.1)."""
    return states.mode == 32 and byte < 0xC0


def two_byte_vex(states: States, prefixes: Prefixes) -> int:
    """The state after C5."""
    older = states.chooser(prefixes, _older(states, prefixes, 0xC5))

    def fill(block: List[int], base: int) -> None:
        states.fill_operands(block, base, lambda byte: older(byte) if _is_older(states, byte) else None)
        for byte in range(256):
            if _is_older(states, byte):
                continue
            if prefixes.plain:
                vector = Vector("vex", 1, PP[byte & 3], 0, byte >> 2 & 1)
                block[byte] = states.later(base + byte, _opcodes_after(states, vector, prefixes))

    return states.state(("vex2", prefixes), fill, _explain_older(states, prefixes, 0xC5))


def three_byte_vex(states: States, prefixes: Prefixes) -> int:
    """The state after C4."""
    older = states.chooser(prefixes, _older(states, prefixes, 0xC4))

    def fill(block: List[int], base: int) -> None:
        states.fill_operands(block, base, lambda byte: older(byte) if _is_older(states, byte) else None)
        for byte in range(256):
            if _is_older(states, byte):
                continue
            if byte & 31 in _VEX_MAPS and prefixes.plain:
                block[byte] = states.later(base + byte, _second_payload(states, prefixes, "vex", byte & 31))

    return states.state(("vex3", prefixes), fill, _explain_older(states, prefixes, 0xC4))


def xop(states: States, prefixes: Prefixes) -> int:
    """The state after 8F, which is POP where the map field is below 8 (AMD APM vol. 3, section 1.1.7)."""
    older = states.chooser(prefixes, _older(states, prefixes, 0x8F))

    def fill(block: List[int], base: int) -> None:
        states.fill_operands(block, base, lambda byte: older(byte) if byte & 31 < 8 else None)
        for byte in range(256):
            if byte & 31 < 8:
                continue
            if byte & 31 in _XOP_MAPS and prefixes.plain:
                block[byte] = states.later(base + byte, _second_payload(states, prefixes, "xop", byte & 31))

    return states.state(("xop", prefixes), fill, _explain_older(states, prefixes, 0x8F))


def _second_payload(states: States, prefixes: Prefixes, encoding: str, table: int) -> Callable[[], int]:
    def after(byte: int) -> int:
        return _opcodes(states, Vector(encoding, table, PP[byte & 3], byte >> 7, byte >> 2 & 1), prefixes)

    def fill(block: List[int], base: int) -> None:
        states.all_later(block, base, after)

    return lambda: states.state(("payload", encoding, table, prefixes), fill)


def evex(states: States, prefixes: Prefixes) -> int:
    """The state after 62; three payload bytes follow."""
    older = states.chooser(prefixes, _older(states, prefixes, 0x62))

    def fill(block: List[int], base: int) -> None:
        states.fill_operands(block, base, lambda byte: older(byte) if _is_older(states, byte) else None)
        for byte in range(256):
            if _is_older(states, byte):
                continue
            if byte & 7 and prefixes.plain:
                block[byte] = states.later(base + byte, _evex_second(states, prefixes, byte & 15))

    return states.state(("evex", prefixes), fill, _explain_older(states, prefixes, 0x62))


def _evex_second(states: States, prefixes: Prefixes, first: int) -> Callable[[], int]:
    def fill(block: List[int], base: int) -> None:
        states.all_later(block, base, lambda byte: _evex_third(states, prefixes, first, byte & 0x87))

    return lambda: states.state(("evex", first, prefixes), fill)


def _evex_third(states: States, prefixes: Prefixes, first: int, second: int) -> int:
    def after(byte: int) -> int:
        vector = Vector(
            "evex",
            first & 7,
            PP[second & 3],
            second >> 7,
            byte >> 5 & 3,
            b=bool(byte & 16),
            b4=bool(first & 8),
            x4=not second & 4,
        )
        return _opcodes(states, vector, prefixes)

    def fill(block: List[int], base: int) -> None:
        states.all_later(block, base, after)

    return states.state(("evex", first, second, prefixes), fill)


def _opcodes_after(states: States, vector: Vector, prefixes: Prefixes) -> Callable[[], int]:
    return lambda: _opcodes(states, vector, prefixes)


def _opcodes(states: States, vector: Vector, prefixes: Prefixes) -> int:
    """The state of the opcode byte after the payload *vector*."""
    around = Prefixes(states.mode, address=prefixes.address, segment=prefixes.segment, depth=min(prefixes.depth, MANY))
    if vector.encoding == "evex" and vector.map == 4:
        # Legacy instructions: pp = 66 and W are the operand size, as in their older form.
        around = around._replace(operand16=vector.prefix == "66", rex=vector.w)

    def fill(block: List[int], base: int) -> None:
        states.all_later(block, base, lambda opcode: _opcode(states, vector, around, opcode))

    def explain(opcode: int) -> Identity:
        return identity_of(_fitting(states, vector, around, vector.encoding, opcode)[0])

    return states.state(("opcodes", vector, around), fill, explain)


def _opcode(states: States, vector: Vector, around: Prefixes, opcode: int) -> int:
    fitting = _fitting(states, vector, around, vector.encoding, opcode)
    if fitting and fitting[0].place == "-":
        return leaf_of(fitting[0], around, states.lowest).value(1)
    # Knights Corner's MVEX prefix has the bit clear that APX made the inverted X4.
    mvex = vector.encoding == "evex" and vector.x4 and not vector.b4
    older = _fitting(states, vector._replace(l=2), around, "mvex", opcode) if mvex else ()
    guess = states.guess(_neighbours_immediate(states.index, vector, opcode))

    def row_of(modrm: int) -> Row:
        return _row(vector, fitting, older, modrm) or guess

    def fill(block: List[int], base: int) -> None:
        leaves = {id(row): leaf_of(row, around, states.lowest, apx=vector.apx) for row in fitting}
        leaves.update((id(row), leaf_of(row, around, states.lowest)) for row in (*older, guess))
        states.fill_operands(block, base, lambda modrm: leaves[id(row_of(modrm))])

    def explain(modrm: int) -> Identity:
        row = row_of(modrm)
        return identity_of(row, apx=vector.apx and row in fitting)

    return states.state(("vector", vector, around, opcode), fill, explain)


def _fitting(states: States, vector: Vector, around: Prefixes, encoding: str, opcode: int) -> Tuple[Row, ...]:
    """The rows that fit all but ModRM."""
    found = states.index.get(encoding, vector.map, opcode)
    return tuple(row for row in found if _fits(row, vector, around))


def _fits(row: Row, vector: Vector, around: Prefixes) -> bool:
    if row.mode not in (ANY, around.mode) or row.prefix not in ("*", vector.prefix) or row.w not in (ANY, vector.w):
        return False
    if not size_fits(row.size, around):
        return False
    return row.l in (ANY, vector.l) or (vector.b and "round" in row.flags and row.l == 2)


def _row(vector: Vector, fitting: Sequence[Row], older: Sequence[Row], modrm: int) -> Optional[Row]:
    """The row that ModRM selects; with EVEX.b and a register operand L'L is a rounding mode, not a length."""
    register = modrm >= 0xC0
    rounding = register and vector.b and vector.encoding == "evex" and vector.map != 4
    length = 2 if rounding else vector.l
    # X4 belongs to an index register: with a register operand U must be set.
    for row in () if register and vector.x4 else fitting:
        if row.fits(modrm) and row.l in (ANY, length) and (not rounding or "round" in row.flags):
            return row
    return next((row for row in older if row.fits(modrm)), None)


def _neighbours_immediate(index: Index, vector: Vector, opcode: int) -> str:
    """The immediate that other encodings of this opcode and map have, where they agree; else the map's usual one."""
    if vector.encoding == "evex" and vector.map == 4:
        places = [("evex", 4, opcode), ("legacy", 0, opcode)]
    else:
        places = [(vector.encoding, vector.map, opcode), ("mvex", vector.map, opcode)]
    for place in places:
        immediates = {row.immediate for row in index.get(*place) if row.place != "-"}
        if len(immediates) == 1:
            return immediates.pop()
    return _MAP_IMMEDIATES.get((vector.encoding, vector.map), "-")


#: First byte -> what builds the state after it.
VECTOR_ESCAPES: Dict[int, Callable[[States, Prefixes], int]] = {
    0x62: evex,
    0x8F: xop,
    0xC4: three_byte_vex,
    0xC5: two_byte_vex,
}
