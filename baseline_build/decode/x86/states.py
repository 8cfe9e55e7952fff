"""The x86 decoder as a finite automaton over bytes, grown on demand from the opcode tables.

Every byte of an instruction up to ModRM or SIB selects an entry in a flat table of integers; both engines walk the
same table. An entry is

* negative: go on with the next byte in the 256 entries from ``-entry`` on;
* :data:`INVALID`: no encoding matches;
* low four bits zero: not built yet; ``entry >> 4`` is the number to hand to :meth:`States.grow`, then walk again;
* else a leaf, packed as the ``*_SHIFT`` constants say: bytes that remain including this one (low four bits), flow,
  size of the relative target or kind of address that follows the current byte, requirement. A leaf below 16 is an
  instruction with nothing to note.

States are identified by what the bytes so far have decided (:class:`Prefixes` for legacy encodings, the payload fields
for VEX, EVEX, XOP), so common prefixes share states. Growing on demand keeps start-up short: real code visits a few
hundred of the many thousand states.
"""

from __future__ import annotations

import threading
from typing import Callable, Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from ...errors import InternalError
from ...isa.tables import X86
from ..model import Flow
from .rows import ANY, Index, Row, load

INVALID = 0x7FFFFFF0
FLOW_SHIFT, FLOW_MASK = 4, 7
TARGET_SHIFT, TARGET_MASK = 7, 15
REFERENCE_SHIFT, REFERENCE_MASK = 11, 7
SUFFIX_BIT = 1 << 14
LONG_BIT = 1 << 15
REQUIREMENT_SHIFT = 16

#: Values of the target field: size of a relative displacement, or one of these.
TARGET_ABSOLUTE, TARGET_16 = 9, 10
#: Values of the reference field: how the four (or eight) bytes after the current one name an address.
REFERENCE_NONE, REFERENCE_RELATIVE, REFERENCE_RELATIVE_32, REFERENCE_ABSOLUTE, REFERENCE_ABSOLUTE_64 = range(5)

UNKNOWN: FrozenSet[str] = frozenset({"unknown"})
#: An instruction is at most this long (SDM vol. 2, section 2.3.11): longer ones fault.
LONGEST = 15
#: From so many prefixes on, lengths are checked against :data:`LONGEST`.
_MANY = 4

_LOWEST = {64: "x86-64", 32: "i686"}


class Prefixes(NamedTuple):
    """What the legacy prefixes, REX and REX2 so far mean for what follows."""

    mode: int
    operand16: bool = False
    repeat: str = ""
    address: bool = False
    segment: bool = False
    lock: bool = False
    depth: int = 0
    rex: int = ANY  # REX.W, or ANY without REX
    apx: bool = False  # REX2

    @property
    def operand_size(self) -> int:
        if self.rex == 1:
            return 64
        return 16 if self.operand16 else 32

    @property
    def address_size(self) -> int:
        if self.mode == 64:
            return 32 if self.address else 64
        return 16 if self.address else 32

    @property
    def plain(self) -> bool:
        """Whether a VEX, EVEX or XOP prefix may follow (SDM vol. 2, section 2.3.2)."""
        return not (self.operand16 or self.repeat or self.lock or self.rex != ANY or self.apx)


class Vector(NamedTuple):
    """The payload of a VEX, XOP, EVEX or MVEX prefix as far as it selects an encoding."""

    encoding: str
    map: int
    prefix: str
    w: int
    l: int  # noqa: E741 - the manuals' name
    b: bool = False
    b4: bool = False
    x4: bool = False

    @property
    def apx(self) -> bool:
        """Whether a register takes part that only APX has."""
        return self.b4 or self.x4


_PP = ("np", "66", "f3", "f2")
_SEGMENTS = {0x26: False, 0x2E: False, 0x36: False, 0x3E: False, 0x64: True, 0x65: True}
_ONE_BYTE, _TWO_BYTES = 0, 1


class Requirements:
    """Interns sets of features as small integers; 0 is the empty set. One table for both modes."""

    def __init__(self) -> None:
        self.sets: List[FrozenSet[str]] = [frozenset()]
        self.numbers: Dict[FrozenSet[str], int] = {frozenset(): 0}

    def number(self, features: FrozenSet[str]) -> int:
        """The number of *features*, new if need be."""
        found = self.numbers.get(features)
        if found is None:
            found = self.numbers[features] = len(self.sets)
            self.sets.append(features)
        return found


REQUIREMENTS = Requirements()

Key = Tuple[object, ...]


class Identity(NamedTuple):
    """What an instruction is called and needs."""

    mnemonic: str
    features: FrozenSet[str]


class States:
    """The automaton of one mode; ``entries[0:256]`` is its start."""

    def __init__(self, mode: int) -> None:
        self.mode = mode
        self.entries: List[int] = []
        self.index: Index = tables()
        self.lowest = X86.level(_LOWEST[mode]).features
        self.suffixes = [self._suffix(byte) for byte in range(256)]
        self._pending: List[Tuple[int, Callable[[], int]]] = [(0, lambda: 0)]
        self._built: Dict[Key, int] = {}
        self._explanations: Dict[int, Callable[[int], Identity]] = {}
        self._identities: Dict[int, Identity] = {}
        self._lock = threading.Lock()
        self._prefix_state(Prefixes(mode))

    def grow(self, number: int) -> None:
        """Builds the state that the unbuilt entry *number* leads to. Safe to call twice and from threads."""
        with self._lock:
            slot, build = self._pending[number]
            if self.entries[slot] >= 0:
                self.entries[slot] = -build()

    def slot(self, number: int) -> int:
        """Where the entry *number* stands that :meth:`grow` builds."""
        return self._pending[number][0]

    def _suffix(self, byte: int) -> int:
        """Requirement of the 3DNow! instruction with this last byte, -1 where there is none."""
        rows = self.index.get(("3dnow", 15, byte))
        return REQUIREMENTS.number(frozenset(rows[0].features)) if rows else -1

    # -- states -----------------------------------------------------------------------------------------------------

    def identity(self, steps: Sequence[Tuple[int, int]]) -> Identity:
        """Name and features of the instruction that the walk *steps*, (state, byte) each, has led to."""
        for base, byte in reversed(steps):
            explain = self._explanations.get(base)
            if explain is not None:
                found = self._identities.get(base + byte)
                if found is None:
                    found = self._identities[base + byte] = explain(byte)
                return found
        raise InternalError("BB914", "an instruction without name", where=" ".join(f"{byte:02x}" for _, byte in steps))

    def suffix_identity(self, last: int) -> Identity:
        """Name and features of the 3DNow! instruction that ends in the byte *last*, which :attr:`suffixes` knows."""
        return _identity(self.index["3dnow", 15, last][0], apx=False)

    def _state(
        self, key: Key, fill: Callable[[List[int], int], None], explain: Optional[Callable[[int], Identity]] = None
    ) -> int:
        """The state *key*: found, or 256 entries that *fill* sets; *explain* names what a byte there decides."""
        base = self._built.get(key)
        if base is None:
            base = self._built[key] = len(self.entries)
            if explain is not None:
                self._explanations[base] = explain
            block = [INVALID] * 256
            self.entries.extend(block)
            fill(block, base)
            self.entries[base : base + 256] = block
        return base

    def _later(self, slot: int, build: Callable[[], int]) -> int:
        self._pending.append((slot, build))
        return (len(self._pending) - 1) << 4

    def _prefix_state(self, prefixes: Prefixes) -> int:
        def fill(block: List[int], base: int) -> None:
            self._fill_opcodes(block, base, prefixes, _ONE_BYTE)
            for byte in range(256):
                build = self._escape(prefixes, byte)
                if build is not None:
                    block[byte] = self._later(base + byte, build)

        return self._state(("prefix", prefixes), fill, self._opcode_identity(prefixes, _ONE_BYTE))

    def _escape(self, prefixes: Prefixes, byte: int) -> Optional[Callable[[], int]]:
        """What builds the state after *byte* where it is a prefix or an escape, else ``None``."""
        if prefixes.apx:
            return None
        after = _after_prefix(prefixes, byte)
        if after is not None:
            return (lambda: self._prefix_state(after)) if after.depth < LONGEST else None
        if byte == 0x0F:
            return lambda: self._two_bytes(prefixes)
        if self.mode == 64 and byte == 0xD5 and prefixes.rex == ANY:
            return lambda: self._rex2(prefixes)
        if byte in (0x62, 0xC4, 0xC5, 0x8F):
            return {0x62: self._evex, 0xC4: self._vex3, 0xC5: self._vex2, 0x8F: self._xop}[byte](prefixes)
        return None

    def _two_bytes(self, prefixes: Prefixes) -> int:
        def fill(block: List[int], base: int) -> None:
            self._fill_opcodes(block, base, prefixes, _TWO_BYTES)
            if prefixes.apx:
                return
            for byte, table in ((0x38, 2), (0x3A, 3)):
                block[byte] = self._later(base + byte, self._table(prefixes, table))
            block[0x0F] = self._later(base + 0x0F, lambda: self._three_d_now(prefixes))

        return self._state(("map", prefixes, _TWO_BYTES), fill, self._opcode_identity(prefixes, _TWO_BYTES))

    def _table(self, prefixes: Prefixes, table: int) -> Callable[[], int]:
        return lambda: self._state(
            ("map", prefixes, table),
            lambda block, base: self._fill_opcodes(block, base, prefixes, table),
            self._opcode_identity(prefixes, table),
        )

    def _three_d_now(self, prefixes: Prefixes) -> int:
        leaf = Leaf(SUFFIX_BIT, 1, prefixes.address_size, self.mode, prefixes.segment)
        invalid = prefixes.lock

        def fill(block: List[int], base: int) -> None:
            for modrm in range(256):
                if not invalid:
                    block[modrm] = self._operand(leaf, modrm, base + modrm)

        return self._state(("3dnow", leaf, invalid), fill)

    def _rex2(self, prefixes: Prefixes) -> int:
        """REX2: D5, payload M0 R4 X4 B4 W R3 X3 B3 (APX architecture specification, section 3.1.1)."""

        def fill(block: List[int], base: int) -> None:
            for byte in range(256):
                after = prefixes._replace(rex=byte >> 3 & 1, apx=True)
                if byte & 0x80:
                    block[byte] = self._later(base + byte, lambda after=after: self._two_bytes(after))  # type: ignore[misc]
                else:
                    block[byte] = self._later(base + byte, lambda after=after: self._prefix_state(after))  # type: ignore[misc]

        return self._state(("rex2", prefixes), fill)

    # -- VEX, XOP, EVEX ---------------------------------------------------------------------------------------------

    def _vex2(self, prefixes: Prefixes) -> Optional[Callable[[], int]]:
        def payload(byte: int) -> Optional[Vector]:
            return Vector("vex", 1, _PP[byte & 3], 0, byte >> 2 & 1)

        return lambda: self._payload(("vex2",), prefixes, 0xC5, payload)

    def _payload(
        self, key: Key, prefixes: Prefixes, opcode: int, payload: Callable[[int], Optional[Vector]]
    ) -> int:
        """The state of the last payload byte; in 32-bit mode it may be the ModRM byte of an older instruction."""
        older = self._older(prefixes, opcode)

        def fill(block: List[int], base: int) -> None:
            for byte in range(256):
                vector = payload(byte) if prefixes.plain else None
                if older is not None and byte < 0xC0:
                    block[byte] = older(byte, base + byte)
                elif vector is not None:
                    block[byte] = self._later(base + byte, self._vector(vector, prefixes))

        return self._state((*key, prefixes), fill, self._older_identity(prefixes, opcode))

    def _older(self, prefixes: Prefixes, opcode: int) -> Optional[Callable[[int, int], int]]:
        """In 32-bit mode: what the bytes mean as LES, LDS or BOUND, whose operand is in memory (SDM 2.3.5.1)."""
        if self.mode == 64:
            return None
        rows = self._candidates(prefixes, "legacy", 0, opcode)
        return lambda modrm, slot: self._select(prefixes, rows, modrm, slot)

    def _older_identity(self, prefixes: Prefixes, opcode: int) -> Callable[[int], Identity]:
        return lambda modrm: _identity(self._candidates(prefixes, "legacy", 0, opcode)[0], False)

    def _vex3(self, prefixes: Prefixes) -> Optional[Callable[[], int]]:
        return lambda: self._three_byte(prefixes, 0xC4, "vex", (1, 2, 3, 5, 6, 7))

    def _xop(self, prefixes: Prefixes) -> Optional[Callable[[], int]]:
        return lambda: self._three_byte(prefixes, 0x8F, "xop", (8, 9, 10))

    def _three_byte(self, prefixes: Prefixes, opcode: int, encoding: str, maps: Sequence[int]) -> int:
        """The byte after C4 or 8F. 8F is POP where the map field is below 8 (AMD APM vol. 3, section 1.1.7)."""
        older = self._older(prefixes, opcode) if encoding == "vex" else None
        pop = self._candidates(prefixes, "legacy", 0, opcode) if encoding == "xop" else ()

        def fill(block: List[int], base: int) -> None:
            for byte in range(256):
                table = byte & 31
                if encoding == "xop" and table < 8:
                    block[byte] = self._select(prefixes, pop, byte, base + byte)
                elif older is not None and byte < 0xC0:
                    block[byte] = older(byte, base + byte)
                elif table in maps and prefixes.plain:
                    block[byte] = self._later(base + byte, self._three_byte_end(prefixes, encoding, table))

        return self._state((encoding, "payload", prefixes), fill, self._older_identity(prefixes, opcode))

    def _three_byte_end(self, prefixes: Prefixes, encoding: str, table: int) -> Callable[[], int]:
        def fill(block: List[int], base: int) -> None:
            for byte in range(256):
                vector = Vector(encoding, table, _PP[byte & 3], byte >> 7, byte >> 2 & 1)
                block[byte] = self._later(base + byte, self._vector(vector, prefixes))

        return lambda: self._state((encoding, "end", table, prefixes), fill)

    def _evex(self, prefixes: Prefixes) -> Optional[Callable[[], int]]:
        older = self._older(prefixes, 0x62)

        def fill(block: List[int], base: int) -> None:
            for byte in range(256):
                if older is not None and byte < 0xC0:
                    block[byte] = older(byte, base + byte)
                elif prefixes.plain and byte & 7:
                    block[byte] = self._later(base + byte, self._evex_second(prefixes, byte & 7, byte >> 3 & 1))

        return lambda: self._state(("evex", 0, prefixes), fill, self._older_identity(prefixes, 0x62))

    def _evex_second(self, prefixes: Prefixes, table: int, b4: int) -> Callable[[], int]:
        def fill(block: List[int], base: int) -> None:
            for byte in range(256):
                fields = (table, b4, _PP[byte & 3], byte >> 7, byte >> 2 & 1)
                block[byte] = self._later(base + byte, self._evex_third(prefixes, fields))

        return lambda: self._state(("evex", 1, table, b4, prefixes), fill)

    def _evex_third(self, prefixes: Prefixes, fields: Tuple[int, int, str, int, int]) -> Callable[[], int]:
        table, b4, prefix, w, u = fields

        def fill(block: List[int], base: int) -> None:
            for byte in range(256):
                vector = Vector("evex", table, prefix, w, byte >> 5 & 3, bool(byte & 16), bool(b4), not u)
                block[byte] = self._later(base + byte, self._vector(vector, prefixes))

        return lambda: self._state(("evex", 2, fields, prefixes), fill)

    def _vector(self, vector: Vector, prefixes: Prefixes) -> Callable[[], int]:
        depth = min(prefixes.depth, _MANY)
        around = Prefixes(self.mode, address=prefixes.address, segment=prefixes.segment, depth=depth)

        def fill(block: List[int], base: int) -> None:
            for opcode in range(256):
                block[opcode] = self._vector_opcode(vector, around, opcode, base + opcode)

        def explain(opcode: int) -> Identity:
            rows = self.index.get((vector.encoding, vector.map, opcode), ())
            return _identity(next(row for row in rows if self._vector_fits(row, vector, around)), False)

        return lambda: self._state(("vector", vector, around), fill, explain)

    def _vector_opcode(self, vector: Vector, around: Prefixes, opcode: int, slot: int) -> int:
        every = self.index.get((vector.encoding, vector.map, opcode), ())
        rows = tuple(row for row in every if self._vector_fits(row, vector, around))
        if rows and rows[0].place == "-":
            return self._leaf(around, rows[0]).value(1)
        older = self._older_vector(vector, around, opcode)
        guess = self._guess(vector, every or older, opcode)
        if vector.map == 4 and vector.encoding == "evex":
            # Legacy instructions: pp = 66 and W are the operand size, as in their older form.
            around = around._replace(operand16=vector.prefix == "66", rex=vector.w)

        def build() -> int:
            def fill(block: List[int], base: int) -> None:
                for modrm in range(256):
                    row = _vector_row(vector, rows, older, modrm) or guess
                    leaf = self._leaf(around, row, apx=vector.apx and row in rows)
                    block[modrm] = self._operand(leaf, modrm, base + modrm)

            def explain(modrm: int) -> Identity:
                row = _vector_row(vector, rows, older, modrm) or guess
                return _identity(row, vector.apx and row in rows)

            return self._state(("vector modrm", vector, around, rows, older, guess), fill, explain)

        return self._later(slot, build)

    def _older_vector(self, vector: Vector, around: Prefixes, opcode: int) -> Tuple[Row, ...]:
        """What the same bytes mean to Knights Corner: its MVEX prefix has the bit clear that APX made X4."""
        if not vector.x4 or vector.b4 or vector.encoding != "evex":
            return ()
        rows = self.index.get(("mvex", vector.map, opcode), ())
        return tuple(row for row in rows if self._vector_fits(row, vector._replace(l=2), around))

    def _vector_fits(self, row: Row, vector: Vector, around: Prefixes) -> bool:
        if row.mode not in (ANY, self.mode) or row.prefix not in ("*", vector.prefix):
            return False
        if row.size != "-" and not _size_fits(row.size, around):
            return False
        if row.w != ANY and row.w != vector.w:
            return False
        return row.l in (ANY, vector.l) or (vector.b and "round" in row.flags and row.l == 2)

    def _guess(self, vector: Vector, rows: Tuple[Row, ...], opcode: int) -> Row:
        """What an encoding no row knows is taken for: ModRM, the immediate of its neighbours, feature unknown."""
        immediates = {row.immediate for row in rows if row.place != "-"}
        if len(immediates) == 1:
            immediate = immediates.pop()
        elif vector.map == 4:
            immediate = _legacy_immediate(self.index, opcode)
        else:
            immediate = {3: "1", 7: "4", 8: "1", 10: "4"}.get(vector.map, "-")
        return Row("*", ANY, ANY, "*", ANY, ANY, ANY, "-", immediate, Flow.NEXT, (), "unknown", ("unknown",))

    # -- opcodes and operands ---------------------------------------------------------------------------------------

    def _candidates(self, prefixes: Prefixes, encoding: str, table: int, opcode: int) -> Tuple[Row, ...]:
        """Rows that fit all but ModRM, the best first: F3/F2 counts before 66 before none (SDM vol. 2, 2.1.2)."""
        ranked = []
        for row in self.index.get((encoding, table, opcode), ()):
            if row.mode not in (ANY, self.mode) or not _size_fits(row.size, prefixes):
                continue
            rank = _prefix_rank(row.prefix, prefixes)
            if rank is not None:
                ranked.append(((rank, row.size == "o32" and prefixes.operand_size == 64), row))
        return tuple(row for _, row in sorted(ranked, key=lambda pair: pair[0]))

    def _opcode_rows(self, prefixes: Prefixes, table: int, opcode: int) -> Tuple[Row, ...]:
        rows = self._candidates(prefixes, "legacy", table, opcode)
        if not prefixes.apx:
            return rows
        known = tuple(row for row in rows if _rex2_allows(table, opcode))
        if prefixes == Prefixes(self.mode, depth=prefixes.depth, rex=0, apx=True):
            known = self.index.get(("rex2", table, opcode), known)
        if known or (table == _ONE_BYTE and (opcode in _PREFIX_BYTES or opcode == 0x0F)):
            return known
        return (self._guess(Vector("legacy", table, "np", 0, 0), rows, opcode),)

    def _opcode_identity(self, prefixes: Prefixes, table: int) -> Callable[[int], Identity]:
        return lambda opcode: _identity(self._opcode_rows(prefixes, table, opcode)[0], prefixes.apx)

    def _fill_opcodes(self, block: List[int], base: int, prefixes: Prefixes, table: int) -> None:
        for opcode in range(256):
            rows = self._opcode_rows(prefixes, table, opcode)
            if not rows:
                continue
            if rows[0].place == "-":
                if not prefixes.lock:
                    block[opcode] = self._leaf(prefixes, rows[0], apx=prefixes.apx).value(1)
                continue
            block[opcode] = self._later(base + opcode, self._modrm(prefixes, rows))

    def _modrm(self, prefixes: Prefixes, rows: Tuple[Row, ...]) -> Callable[[], int]:
        def fill(block: List[int], base: int) -> None:
            for modrm in range(256):
                block[modrm] = self._select(prefixes, rows, modrm, base + modrm)

        key = (prefixes.operand_size, prefixes.address_size, prefixes.segment, prefixes.lock, prefixes.apx)
        def explain(modrm: int) -> Identity:
            return _identity(next(row for row in rows if row.fits(modrm)), prefixes.apx)

        return lambda: self._state(("modrm", key, prefixes.depth >= _MANY, rows), fill, explain)

    def _select(self, prefixes: Prefixes, rows: Sequence[Row], modrm: int, slot: int) -> int:
        for row in rows:
            if row.fits(modrm):
                if prefixes.lock and ("lock" not in row.flags or modrm >= 0xC0):
                    return INVALID
                leaf = self._leaf(prefixes, row, apx=prefixes.apx)
                if row.place == "i":
                    return leaf.value(1)
                return self._operand(leaf, modrm, slot)
        return INVALID

    def _leaf(self, prefixes: Prefixes, row: Row, *, apx: bool = False) -> Leaf:
        features = _identity(row, apx).features
        number = 0 if features <= self.lowest else REQUIREMENTS.number(features)
        size, target = _immediate(row.immediate, prefixes)
        bits = row.flow << FLOW_SHIFT | target << TARGET_SHIFT | number << REQUIREMENT_SHIFT
        if row.immediate == "moffs" and not prefixes.segment:
            bits |= (REFERENCE_ABSOLUTE_64 if size == 8 else REFERENCE_ABSOLUTE) << REFERENCE_SHIFT
        if prefixes.depth >= _MANY:
            bits |= LONG_BIT
        return Leaf(bits, size, prefixes.address_size, self.mode, prefixes.segment)

    def _operand(self, leaf: Leaf, modrm: int, slot: int) -> int:
        """The entry for *modrm*: a leaf, or a state that looks at the SIB byte where that decides the length."""
        if modrm >= 0xC0:
            return leaf.value(1)
        mod, rm = modrm >> 6, modrm & 7
        if leaf.address_size == 16:
            return leaf.value(1 + (2 if mod == 2 or (mod == 0 and rm == 6) else mod))
        if mod:
            return leaf.value(1 + (rm == 4) + (1 if mod == 1 else 4))
        if rm == 5:
            return leaf.value(5, addressed=True, relative=leaf.mode == 64)
        if rm != 4:
            return leaf.value(1)

        def fill(block: List[int], base: int) -> None:
            for sib in range(256):
                block[sib] = leaf.value(5, addressed=True) if sib & 7 == 5 else leaf.value(1)

        return self._later(slot, lambda: self._state(("sib", leaf), fill))


def _identity(row: Row, apx: bool) -> Identity:
    features = frozenset(row.features)
    return Identity(row.mnemonic, features | {"apxf"} if apx and row.mnemonic != "unknown" else features)


def _vector_row(vector: Vector, rows: Sequence[Row], older: Sequence[Row], modrm: int) -> Optional[Row]:
    """The row that ModRM selects; with EVEX.b and a register operand L'L is a rounding mode, not a length."""
    register = modrm >= 0xC0
    rounding = register and vector.b and vector.encoding == "evex" and vector.map != 4
    # X4 belongs to an index register: with a register operand U must be set.
    for row in () if register and vector.x4 else rows:
        length = 2 if rounding else vector.l
        if row.fits(modrm) and row.l in (ANY, length) and (not rounding or "round" in row.flags):
            return row
    return next((row for row in older if row.fits(modrm)), None)


class Leaf(NamedTuple):
    """An instruction whose operand bytes are still to be counted."""

    bits: int
    immediate: int
    address_size: int
    mode: int
    segment: bool

    def value(self, length: int, *, addressed: bool = False, relative: bool = False) -> int:
        """The packed entry: *length* bytes up to the displacement's end, the immediate follows.

        *addressed*: the displacement is a disp32 without base register, *relative* to the instruction pointer or not.
        """
        bits = self.bits
        if addressed:
            if relative:
                kind = REFERENCE_RELATIVE if self.address_size == 64 else REFERENCE_RELATIVE_32
                bits |= kind << REFERENCE_SHIFT
            elif not self.segment:
                bits |= REFERENCE_ABSOLUTE << REFERENCE_SHIFT
        return bits | length + self.immediate


_PREFIX_BYTES = frozenset((*_SEGMENTS, 0x66, 0x67, 0xF0, 0xF2, 0xF3))


def _after_prefix(prefixes: Prefixes, byte: int) -> Optional[Prefixes]:
    """The state after the prefix *byte*; a legacy prefix after REX makes REX void (SDM vol. 2, 2.2.1)."""
    base = prefixes._replace(rex=ANY, depth=prefixes.depth + 1 + (prefixes.rex != ANY))
    if byte in _SEGMENTS:
        # In 64-bit mode only FS and GS count, whatever else follows; elsewhere the last one does.
        segment = _SEGMENTS[byte] or (prefixes.segment and prefixes.mode == 64)
        return base._replace(segment=segment)
    if byte == 0x66:
        return base._replace(operand16=True)
    if byte == 0x67:
        return base._replace(address=True)
    if byte == 0xF0:
        return base._replace(lock=True)
    if byte in (0xF2, 0xF3):
        return base._replace(repeat=f"{byte:x}")
    if prefixes.mode == 64 and byte & 0xF0 == 0x40:
        return prefixes._replace(rex=byte >> 3 & 1, depth=prefixes.depth + (prefixes.rex != ANY))
    return None


def _prefix_rank(prefix: str, prefixes: Prefixes) -> Optional[int]:
    """How well a row with the mandatory *prefix* fits, 0 best; ``None``: not at all."""
    if prefix in ("f2", "f3"):
        return 0 if prefixes.repeat == prefix else None
    if prefix == "66":
        return 1 if prefixes.operand16 and not prefixes.repeat else None
    if prefix == "np":
        return None if prefixes.repeat or prefixes.operand16 else 1
    if prefix == "nfx":
        return None if prefixes.repeat else 2
    return 2


def _size_fits(size: str, prefixes: Prefixes) -> bool:
    if size == "-":
        return True
    number = int(size[1:])
    if size[0] == "a":
        return number == prefixes.address_size
    if size[0] == "d":
        return (prefixes.operand_size != 16) if number == 64 else number == prefixes.operand_size
    # REX.W on what has no 64-bit form keeps the 32-bit name (INSD): the more precise o64 row comes first.
    return number == prefixes.operand_size or (number == 32 and prefixes.operand_size == 64)


def _immediate(immediate: str, prefixes: Prefixes) -> Tuple[int, int]:
    """(bytes, target field) of an immediate column."""
    short = prefixes.operand_size == 16
    if immediate == "-":
        return 0, 0
    if immediate == "z":
        return (2 if short else 4), 0
    if immediate == "v":
        return prefixes.operand_size // 8, 0
    if immediate == "moffs":
        return prefixes.address_size // 8, 0
    if immediate == "far":
        return (4 if short else 6), 0
    if immediate == "relz":
        return (2, TARGET_16) if short else (4, 4)
    if immediate == "abs8":
        return 8, TARGET_ABSOLUTE
    if immediate.startswith("rel"):
        return int(immediate[3:]), int(immediate[3:])
    return int(immediate), 0


def _rex2_allows(table: int, opcode: int) -> bool:
    """Rows 4, 7, A, E of map 0 and 3, 8 of map 1 are void after REX2 (APX specification, section 3.1.1.1)."""
    if table == _ONE_BYTE:
        return opcode >> 4 not in (4, 7, 10, 14)
    return opcode >> 4 not in (3, 8)


def _legacy_immediate(index: Index, opcode: int) -> str:
    rows = index.get(("legacy", 0, opcode), ())
    immediates = {row.immediate for row in rows if row.place != "-"}
    return immediates.pop() if len(immediates) == 1 else "-"


_TABLES: List[Index] = []
_STATES: Dict[int, States] = {}
_STATES_LOCK = threading.Lock()


def tables() -> Index:
    """The rows, read once."""
    if not _TABLES:
        _TABLES.append(load())
    return _TABLES[0]


def states(mode: int) -> States:
    """The automaton of *mode* (64 or 32), made once."""
    with _STATES_LOCK:
        if mode not in _STATES:
            _STATES[mode] = States(mode)
        return _STATES[mode]
