"""What prefixes and payload bytes decide: sizes, mandatory prefixes, the fields of VEX, XOP and EVEX."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

from .rows import ANY

#: An instruction is at most this long (SDM vol. 2, section 2.3.11): longer ones fault.
LONGEST = 15

#: Values of the target field of an entry beside sizes: an absolute address of 8 bytes, a 16-bit displacement whose
#: target is cut to 16 bits.
TARGET_ABSOLUTE, TARGET_16 = 9, 10

#: The mandatory prefix that the ``pp`` field of VEX, XOP and EVEX stands for.
PP = ("np", "66", "f3", "f2")

_SEGMENTS = {0x26: False, 0x2E: False, 0x36: False, 0x3E: False, 0x64: True, 0x65: True}
#: Bytes that are prefixes in every mode.
PREFIX_BYTES = frozenset((*_SEGMENTS, 0x66, 0x67, 0xF0, 0xF2, 0xF3))


class Prefixes(NamedTuple):
    """What the legacy prefixes, REX and REX2 so far mean for what follows.

    :param mode: 64 or 32.
    :param repeat: the last of F2 and F3, as ``"f2"``, ``"f3"`` or ``""``.
    :param address: 67 was there.
    :param segment: FS or GS counts: a displacement is no address of its own.
    :param depth: how many prefix bytes there were.
    :param rex: REX.W, or :data:`~.rows.ANY` without REX.
    :param apx: REX2 was there.
    """

    mode: int
    operand16: bool = False
    repeat: str = ""
    address: bool = False
    segment: bool = False
    lock: bool = False
    depth: int = 0
    rex: int = ANY
    apx: bool = False

    @property
    def operand_size(self) -> int:
        """Bits of an operand that follows 66 and REX.W."""
        if self.rex == 1:
            return 64
        return 16 if self.operand16 else 32

    @property
    def address_size(self) -> int:
        """Bits of an address."""
        if self.mode == 64:
            return 32 if self.address else 64
        return 16 if self.address else 32

    @property
    def plain(self) -> bool:
        """Whether a VEX, EVEX or XOP prefix may follow (SDM vol. 2, section 2.3.2)."""
        return not (self.operand16 or self.repeat or self.lock or self.rex != ANY or self.apx)

    def after(self, byte: int) -> Optional[Prefixes]:
        """The prefixes with *byte* added, ``None`` where it is no prefix.

        A legacy prefix after REX makes REX void (SDM vol. 2, section 2.2.1).
        """
        if self.mode == 64 and byte & 0xF0 == 0x40:
            return self._replace(rex=byte >> 3 & 1, depth=self.depth + (self.rex != ANY))
        if byte not in PREFIX_BYTES:
            return None
        base = self._replace(rex=ANY, depth=self.depth + 1 + (self.rex != ANY))
        if byte in _SEGMENTS:
            # In 64-bit mode only FS and GS count, whatever else follows; elsewhere the last one does.
            return base._replace(segment=_SEGMENTS[byte] or (self.segment and self.mode == 64))
        if byte == 0x66:
            return base._replace(operand16=True)
        if byte == 0x67:
            return base._replace(address=True)
        if byte == 0xF0:
            return base._replace(lock=True)
        return base._replace(repeat=f"{byte:x}")


class Vector(NamedTuple):
    """The payload of a VEX, XOP or EVEX prefix as far as it selects an encoding.

    :param b: EVEX.b, broadcast or rounding.
    :param b4: EVEX.B4 is set. :param x4: EVEX.U is clear, which APX made the inverted X4 and MVEX has always.
    """

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


def prefix_rank(prefix: str, prefixes: Prefixes) -> Optional[int]:
    """How well a row with the mandatory *prefix* fits, 0 best; ``None``: not at all.

    F3 and F2 count before 66 (SDM vol. 2, section 2.1.2 and the opcode maps of appendix A).
    """
    if prefix in ("f2", "f3"):
        return 0 if prefixes.repeat == prefix else None
    if prefix == "66":
        return 1 if prefixes.operand16 and not prefixes.repeat else None
    if prefix == "np":
        return None if prefixes.repeat or prefixes.operand16 else 1
    if prefix == "nfx":
        return None if prefixes.repeat else 2
    return 2


def size_fits(size: str, prefixes: Prefixes) -> bool:
    """Whether a row for this operand or address *size* is meant."""
    if size == "-":
        return True
    number = int(size[1:])
    if size[0] == "a":
        return number == prefixes.address_size
    if size[0] == "d":
        return (prefixes.operand_size != 16) if number == 64 else number == prefixes.operand_size
    # REX.W on what has no 64-bit form keeps the 32-bit name (INSD).
    return number == prefixes.operand_size or (number == 32 and prefixes.operand_size == 64)


def immediate_of(immediate: str, prefixes: Prefixes) -> Tuple[int, int]:
    """(bytes, target field of an entry) of an immediate column."""
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


def rex2_allows(table: int, opcode: int) -> bool:
    """Rows 4, 7, A, E of map 0 and 3, 8 of map 1 are void after REX2 (APX specification, section 3.1.1.1)."""
    return opcode >> 4 not in ((4, 7, 10, 14) if table == 0 else (3, 8))
