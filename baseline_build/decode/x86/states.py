"""The x86 decoder as a finite automaton over bytes, grown on demand from the opcode tables.

Every byte of an instruction up to ModRM or SIB selects an entry in a flat table of integers (:mod:`.entries`); both
engines walk the same table. States are identified by what the bytes so far have decided (:class:`~.prefixes.Prefixes`
for legacy encodings, the payload fields for VEX, EVEX, XOP), so common prefixes share states. Growing on demand keeps
start-up short: real code visits a few hundred of the many thousand states.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import Callable, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from ...errors import InternalError
from ...isa.tables import X86
from ..model import Flow
from .entries import INVALID, MANY, NO_OPERAND, REQUIREMENTS, SUFFIX_BIT, Identity, Leaf, identity_of, leaf_of
from .prefixes import LONGEST, PREFIX_BYTES, Prefixes, prefix_rank, rex2_allows, size_fits
from .rows import ANY, Index, Row

_LOWEST = {64: "x86-64", 32: "i686"}
_ONE_BYTE, _TWO_BYTES = 0, 1

#: Works out an entry, with the state behind it where there is one.
Build = Callable[[], int]
#: Sets the 256 entries of a state, given the list to set and where it will stand.
Fill = Callable[[List[int], int], None]
Key = Tuple[object, ...]
#: Builds the state after a prefix of more than one byte.
Escape = Callable[["States", Prefixes], int]


class States:
    """The automaton of one *mode* (64 or 32); ``entries[0:256]`` is its start.

    :param index: the rows of all tables.
    :param escapes: first byte of a VEX, XOP or EVEX prefix -> what builds the state after it.
    """

    def __init__(self, mode: int, index: Index, escapes: Mapping[int, Escape]) -> None:
        self.mode = mode
        self.entries: List[int] = []
        self.index = index
        self.escapes = escapes
        self.lowest: FrozenSet[str] = X86.level(_LOWEST[mode]).features
        self.suffixes = [self._suffix(byte) for byte in range(256)]
        # What unbuilt entries stand for: the first number of each run, and its first slot and what builds the run.
        self._runs: List[int] = [0]
        self._pending: List[Tuple[int, Callable[[int], int]]] = [(0, lambda _: 0)]
        self._numbers = 1
        self._built: Dict[Key, int] = {}
        self._explanations: Dict[int, Callable[[int], Identity]] = {}
        self._identities: Dict[int, Identity] = {}
        self._lock = threading.Lock()
        self._prefix_state(Prefixes(mode))

    # -- memory -----------------------------------------------------------------------------------------------------

    def grow(self, number: int) -> None:
        """Works out the unbuilt entry *number*. Safe to call twice and from threads."""
        with self._lock:
            run = bisect_right(self._runs, number) - 1
            offset = number - self._runs[run]
            slot, build = self._pending[run]
            if self.entries[slot + offset] == number << 4:
                self.entries[slot + offset] = build(offset)

    def slot(self, number: int) -> int:
        """Where the entry *number* stands that :meth:`grow` builds."""
        run = bisect_right(self._runs, number) - 1
        return self._pending[run][0] + number - self._runs[run]

    def state(self, key: Key, fill: Fill, explain: Optional[Callable[[int], Identity]] = None) -> int:
        """The entry that leads to the state *key*: found, or 256 entries that *fill* sets.

        *explain* names the instruction where a byte of this state decides it.
        """
        base = self._built.get(key)
        if base is None:
            base = self._built[key] = len(self.entries)
            if explain is not None:
                self._explanations[base] = explain
            block = [INVALID] * 256
            fill(block, base)
            self.entries.extend(block)
        return -base

    def later(self, slot: int, build: Build) -> int:
        """An entry for *slot* that *build* replaces when the first walk comes there."""
        return self._later(slot, lambda _: build(), 1) << 4

    def all_later(self, block: List[int], base: int, build: Callable[[int], int]) -> None:
        """Sets all of *block*, the state at *base*: ``build(byte)`` gives an entry when the first walk comes there."""
        first = self._later(base, build, len(block))
        block[:] = range(first << 4, (first + len(block)) << 4, 16)

    def _later(self, slot: int, build: Callable[[int], int], count: int) -> int:
        self._runs.append(self._numbers)
        self._pending.append((slot, build))
        self._numbers += count
        return self._runs[-1]

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
        return identity_of(self.index.get("3dnow", 15, last)[0])

    def _suffix(self, byte: int) -> int:
        """Requirement of the 3DNow! instruction with this last byte, -1 where there is none."""
        found = self.index.get("3dnow", 15, byte)
        return REQUIREMENTS.number(frozenset(found[0].features)) if found else -1

    # -- choosing rows ----------------------------------------------------------------------------------------------

    def candidates(self, prefixes: Prefixes, table: int, opcode: int) -> Tuple[Row, ...]:
        """Legacy rows that fit all but ModRM, the best first."""
        ranked = []
        for row in self.index.get("legacy", table, opcode):
            rank = prefix_rank(row.prefix, prefixes)
            if rank is not None and row.mode in (ANY, self.mode) and size_fits(row.size, prefixes):
                ranked.append(((rank, row.size == "o32" and prefixes.operand_size == 64), row))
        return tuple(row for _, row in sorted(ranked, key=lambda pair: pair[0]))

    def fill_operands(self, block: List[int], base: int, leaf_for: Callable[[int], Optional[Leaf]]) -> None:
        """Sets the entries of all ModRM bytes whose leaf *leaf_for* knows; ``None`` leaves one invalid."""
        entries: Dict[Leaf, List[int]] = {}
        for modrm in range(256):
            leaf = leaf_for(modrm)
            if leaf is None:
                continue
            if leaf not in entries:
                entries[leaf] = _operand_entries(leaf)
            entry = entries[leaf][(modrm >> 3 & 24) | (modrm & 7)]
            block[modrm] = entry or self.later(base + modrm, self._sib(leaf))

    def _sib(self, leaf: Leaf) -> Build:
        """The state after a ModRM byte with mod 0: the base in the SIB byte says whether a disp32 follows."""

        def fill(block: List[int], _: int) -> None:
            short, long = leaf.value(1), leaf.value(5, addressed=True)
            for sib in range(256):
                block[sib] = long if sib & 7 == 5 else short

        return lambda: self.state(("sib", leaf), fill)

    def chooser(self, prefixes: Prefixes, candidates: Sequence[Row]) -> Callable[[int], Optional[Leaf]]:
        """What ModRM selects among *candidates*; LOCK is for memory operands of the rows that say so."""
        leaves = [(row, leaf_of(row, prefixes, self.lowest, apx=prefixes.apx)) for row in candidates]

        def choose(modrm: int) -> Optional[Leaf]:
            for row, leaf in leaves:
                if row.fits(modrm):
                    return None if prefixes.lock and ("lock" not in row.flags or modrm >= 0xC0) else leaf
            return None

        return choose

    def guess(self, immediate: str) -> Row:
        """What an encoding no row knows is taken for: ModRM, *immediate*, feature unknown."""
        return Row("*", ANY, ANY, "*", ANY, ANY, ANY, "-", immediate, Flow.NEXT, (), "unknown", ("unknown",))

    # -- prefixes and opcode maps -----------------------------------------------------------------------------------

    def _prefix_state(self, prefixes: Prefixes) -> int:
        def fill(block: List[int], base: int) -> None:
            self._fill_opcodes(block, base, prefixes, _ONE_BYTE)
            for byte in () if prefixes.apx else range(256):
                build = self._escape(prefixes, byte)
                if build is not None:
                    block[byte] = self.later(base + byte, build)

        return self.state(("prefix", prefixes), fill, self._explain(prefixes, _ONE_BYTE))

    def _escape(self, prefixes: Prefixes, byte: int) -> Optional[Build]:
        """What builds the state after *byte* where it is a prefix or an escape, else ``None``."""
        after = prefixes.after(byte)
        if after is not None:
            # REX and an opcode at least follow; what is longer faults.
            return (lambda: self._prefix_state(after)) if after.depth < LONGEST else None
        if byte == 0x0F:
            return lambda: self._two_bytes(prefixes)
        if self.mode == 64 and byte == 0xD5 and prefixes.rex == ANY:
            return lambda: self._rex2(prefixes)
        escape = self.escapes.get(byte)
        return None if escape is None else (lambda: escape(self, prefixes))

    def _two_bytes(self, prefixes: Prefixes) -> int:
        def fill(block: List[int], base: int) -> None:
            self._fill_opcodes(block, base, prefixes, _TWO_BYTES)
            if not prefixes.apx:
                block[0x38] = self.later(base + 0x38, lambda: self._three_bytes(prefixes, 2))
                block[0x3A] = self.later(base + 0x3A, lambda: self._three_bytes(prefixes, 3))
                block[0x0F] = self.later(base + 0x0F, lambda: self._three_d_now(prefixes))

        return self.state(("map", prefixes, _TWO_BYTES), fill, self._explain(prefixes, _TWO_BYTES))

    def _three_bytes(self, prefixes: Prefixes, table: int) -> int:
        def fill(block: List[int], base: int) -> None:
            self._fill_opcodes(block, base, prefixes, table)

        return self.state(("map", prefixes, table), fill, self._explain(prefixes, table))

    def _three_d_now(self, prefixes: Prefixes) -> int:
        """0F 0F: ModRM and its operand first, the opcode last; the engines look it up in :attr:`suffixes`."""
        leaf = Leaf(SUFFIX_BIT, 1, prefixes.address_size, self.mode, prefixes.segment)

        def fill(block: List[int], base: int) -> None:
            if not prefixes.lock:
                self.fill_operands(block, base, lambda _: leaf)

        return self.state(("3dnow", leaf, prefixes.lock), fill)

    def _rex2(self, prefixes: Prefixes) -> int:
        """REX2: D5, payload M0 R4 X4 B4 W R3 X3 B3 (APX architecture specification, section 3.1.1)."""

        def after(byte: int) -> int:
            extended = prefixes._replace(rex=byte >> 3 & 1, apx=True)
            return self._two_bytes(extended) if byte & 0x80 else self._prefix_state(extended)

        def fill(block: List[int], base: int) -> None:
            self.all_later(block, base, after)

        return self.state(("rex2", prefixes), fill)

    # -- opcodes ----------------------------------------------------------------------------------------------------

    def _opcode_rows(self, prefixes: Prefixes, table: int, opcode: int) -> Tuple[Row, ...]:
        found = self.candidates(prefixes, table, opcode)
        if not prefixes.apx:
            return found
        if prefixes == Prefixes(self.mode, depth=prefixes.depth, rex=0, apx=True):
            found = self.index.get("rex2", table, opcode) or found
        if found and (found[0].immediate == "abs8" or rex2_allows(table, opcode)):
            return found
        if table == _ONE_BYTE and (opcode in PREFIX_BYTES or opcode == 0x0F):
            return ()
        return (self._void(found),)

    def _void(self, found: Sequence[Row]) -> Row:
        """What REX2 before an opcode that it does not allow is taken for: the shape of the legacy instruction."""
        if not found:
            return self.guess("-")
        immediate = {"relz": "z"}.get(found[0].immediate, found[0].immediate.replace("rel", ""))
        return self.guess(immediate)._replace(place="-" if found[0].place == "-" else "*")

    def _explain(self, prefixes: Prefixes, table: int) -> Callable[[int], Identity]:
        return lambda opcode: identity_of(self._opcode_rows(prefixes, table, opcode)[0], apx=prefixes.apx)

    def _fill_opcodes(self, block: List[int], base: int, prefixes: Prefixes, table: int) -> None:
        self.all_later(block, base, lambda opcode: self._opcode(prefixes, table, opcode))

    def _opcode(self, prefixes: Prefixes, table: int, opcode: int) -> int:
        candidates = self._opcode_rows(prefixes, table, opcode)
        if not candidates:
            return INVALID
        if candidates[0].place == "-":
            return (
                INVALID if prefixes.lock else leaf_of(candidates[0], prefixes, self.lowest, apx=prefixes.apx).value(1)
            )

        def fill(block: List[int], base: int) -> None:
            self.fill_operands(block, base, self.chooser(prefixes, candidates))

        def explain(modrm: int) -> Identity:
            return identity_of(next(row for row in candidates if row.fits(modrm)), apx=prefixes.apx)

        sizes = (prefixes.operand_size, prefixes.address_size, prefixes.segment, prefixes.lock, prefixes.apx)
        return self.state(("modrm", sizes, prefixes.depth >= MANY, candidates), fill, explain)


def _operand_entries(leaf: Leaf) -> List[int]:
    """Entries by mod and rm; 0 where the SIB byte decides."""
    if leaf.address_size == NO_OPERAND:
        return [leaf.value(1)] * 32
    if leaf.address_size == 16:
        return [leaf.value(1 + (2 if mod == 0 and rm == 6 else mod % 3)) for mod in range(4) for rm in range(8)]
    first = [leaf.value(1)] * 8
    first[4] = 0
    first[5] = leaf.value(5, addressed=True, relative=leaf.mode == 64)
    rest = [leaf.value(1 + (rm == 4) + (1 if mod == 1 else 4)) for mod in (1, 2) for rm in range(8)]
    return first + rest + [leaf.value(1)] * 8
