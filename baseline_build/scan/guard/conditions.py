"""What the outcome of a comparison tells: facts on either edge, and what is left of the compared value.

Condition names are neutral: ``e ne b ae be a l ge le g s ns`` (unsigned below/above, signed less/greater, sign),
``o no p np``. On machines where carry means "no borrow" the lifter translates.
"""

from __future__ import annotations

from typing import Callable, Dict, Mapping, NamedTuple, Optional, Tuple

from .arithmetic import cut
from .values import Bits, Value

OPPOSITE = {
    "e": "ne", "ne": "e", "b": "ae", "ae": "b", "be": "a", "a": "be", "l": "ge", "ge": "l", "le": "g", "g": "le",
    "s": "ns", "ns": "s", "o": "no", "no": "o", "p": "np", "np": "p",
}  # fmt: skip
_MAX_RANGE = 512
_MAX_PAIRS = 1024


class Place(NamedTuple):
    """Where a compared value stands: a register, or memory when ``memory``."""

    memory: bool
    at: int
    size: int


class Flags(NamedTuple):
    """The last comparison.

    ``kind``: ``sub`` (first against second), ``logic`` (first is the result, no carry), ``bit`` (carry is
    bit ``second`` of first), ``result`` (first is the result of arithmetic: zero and sign are its own, carry is not
    known),
    ``shifted``
    (carry as for ``bit``, everything else as ``rest`` says).
    ``place`` is where the first operand still stands.
    """

    kind: str
    first: Value
    second: Value
    width: int
    place: Optional[Place] = None
    rest: Optional[Flags] = None


class Outcome(NamedTuple):
    """One edge: the facts that hold on it, and what the first operand is there (``None``: as before)."""

    facts: int
    value: Optional[Value]


def decide(flags: Optional[Flags], condition: str) -> Tuple[Optional[Outcome], Optional[Outcome]]:
    """The edge where *condition* holds and the one where it does not; ``None`` for one control never takes."""
    unknown = Outcome(0, None)
    if flags is None or flags.first.undefined or (flags.kind == "sub" and flags.second.undefined):
        return unknown, unknown
    if flags.kind == "shifted":
        if condition not in ("b", "ae"):
            return decide(flags.rest, condition)
        flags = flags._replace(kind="bit")
    if condition not in _SUPPORTED[flags.kind]:
        return unknown, unknown
    return _side(flags, condition), _side(flags, OPPOSITE[condition])


_ALL = frozenset(OPPOSITE)
_SUPPORTED = {
    "sub": _ALL - {"p", "np"},
    "logic": _ALL - {"p", "np"},
    "bit": frozenset(["b", "ae"]),
    "result": frozenset(["e", "ne", "s", "ns"]),
}


def _side(flags: Flags, condition: str) -> Optional[Outcome]:
    kind, first, second, width = flags[:4]
    if kind == "sub" and second.exact and len(first.keys) * len(second.keys) <= _MAX_PAIRS:
        return _compared(first, second, width, condition)
    if kind == "sub":
        # The other way round: a constant against a value.
        if first.exact and len(first.keys) * len(second.keys) <= _MAX_PAIRS:
            swapped = _compared(second, first, width, _SWAPPED.get(condition, condition))
            if condition in _SWAPPED or condition in ("e", "ne"):
                return Outcome(swapped.facts, None) if swapped else None
        return Outcome(0, None)
    if kind == "bit":
        return _tested_bit(first, second, condition)
    return _compared(first, Value({0: 0}), width, _LOGIC.get(condition, condition))


_SWAPPED = {"b": "a", "a": "b", "ae": "be", "be": "ae", "l": "g", "g": "l", "ge": "le", "le": "ge"}
# A result compared with zero: carry and overflow are clear.
_LOGIC = {"b": "never", "ae": "always", "o": "never", "no": "always"}


def holds(condition: str, a: int, b: int, width: int) -> bool:
    """Whether *condition* holds after comparing the *width*-bit numbers *a* and *b*."""
    mask = (1 << width) - 1
    sign = 1 << (width - 1)
    a &= mask
    b &= mask
    if condition in _UNSIGNED:
        return _UNSIGNED[condition](a, b)
    left, right = a - (a & sign) * 2, b - (b & sign) * 2
    difference = (a - b) & mask
    overflow = left - right != difference - (difference & sign) * 2
    return {
        "l": left < right, "ge": left >= right, "le": left <= right, "g": left > right,
        "s": bool(difference & sign), "ns": not difference & sign, "o": overflow, "no": not overflow,
    }[condition]  # fmt: skip


_UNSIGNED: Mapping[str, Callable[[int, int], bool]] = {
    "e": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "b": lambda a, b: a < b,
    "ae": lambda a, b: a >= b,
    "be": lambda a, b: a <= b,
    "a": lambda a, b: a > b,
    "never": lambda _, __: False,
    "always": lambda _, __: True,
}


def _compared(first: Value, second: Value, width: int, condition: str) -> Optional[Outcome]:
    """Facts where ``first CONDITION second``; *second* consists of constants."""
    facts = -1
    keys: Dict[int, int] = {}
    for key, known in first.keys.items():
        met = -1
        for other, other_known in second.keys.items():
            if holds(condition, key, other, width):
                met &= known | other_known
        if met != -1:
            keys[key] = met
            facts &= met
    bits = None
    if first.bits is not None:
        told, bits = _pattern(first.bits, second, width, condition)
        if told is not None:
            facts &= told
            equal = second.single if condition == "e" else None
            if equal is not None:
                equal &= (1 << width) - 1
                keys[equal] = keys.get(equal, -1) & told
                bits = None
    plain = False
    if first.plain:
        facts = 0
        plain = _plain(second, width, condition, keys)
    if facts == -1 and not plain:
        return None
    return Outcome(facts, Value(keys, bits, plain))


def _plain(second: Value, width: int, condition: str, keys: Dict[int, int]) -> bool:
    """Whether an arbitrary first operand stays arbitrary; where few numbers are left they are added to *keys*."""
    limit = second.single
    if limit is None:
        return True
    limit &= (1 << width) - 1
    if condition == "e":
        keys[limit] = 0
        return False
    if condition in ("b", "be") and limit < _MAX_RANGE:
        for number in range(limit + (condition == "be")):
            keys[number] = 0
        return False
    return True


def _pattern(bits: Bits, second: Value, width: int, condition: str) -> Tuple[Optional[int], Optional[Bits]]:
    """(facts, what is left of the pattern); (None, None) where *condition* cannot hold."""
    number = second.single
    if number is None:
        return 0, bits
    mask = (1 << width) - 1
    number &= mask
    inside = cut(bits, mask)
    own = second.keys[next(iter(second.keys))]
    if condition == "e":
        if inside.zero & number or inside.one & ~number:
            return None, None
        facts = own
        for bit in range(width):
            table = inside.ones if number >> bit & 1 else inside.zeros
            facts |= table.get(bit, 0)
        return facts, bits
    if (condition == "ne" and not number) or (condition == "a" and not number):
        return _nonzero(inside, bits, own)
    if condition == "be" and not number:
        return _pattern(bits, second, width, "e")
    if not number and condition in ("s", "l", "ns", "ge"):
        return _sign(inside, bits, width - 1, condition in ("s", "l"), own)
    if condition == "never":
        return None, None
    return own, bits


def _nonzero(inside: Bits, bits: Bits, own: int) -> Tuple[Optional[int], Optional[Bits]]:
    if inside.one:
        return own, bits
    unknown = (1 << 64) - 1 & ~inside.zero
    if not unknown:
        return None, None
    facts = -1
    while unknown:
        low = unknown & -unknown
        unknown ^= low
        facts &= inside.ones.get(low.bit_length() - 1, 0)
        if not facts:
            break
    return facts | own, bits


def _sign(inside: Bits, bits: Bits, top: int, negative: bool, own: int) -> Tuple[Optional[int], Optional[Bits]]:
    if (inside.zero if negative else inside.one) >> top & 1:
        return None, None
    return own | (inside.ones if negative else inside.zeros).get(top, 0), bits


def _tested_bit(first: Value, second: Value, condition: str) -> Optional[Outcome]:
    """Carry is bit *second* of *first*."""
    number = second.single
    if number is None:
        return Outcome(0, None)
    wanted = condition == "b"
    facts = -1
    keys: Dict[int, int] = {}
    for key, known in first.keys.items():
        if bool(key >> number & 1) == wanted:
            keys[key] = known
            facts &= known
    bits = None
    if first.bits is not None and not (first.bits.zero if wanted else first.bits.one) >> number & 1:
        bits = first.bits
        facts &= (bits.ones if wanted else bits.zeros).get(number, 0)
    if first.plain:
        facts = 0
    if facts == -1:
        return None
    return Outcome(facts | second.keys[number], Value(keys, bits, first.plain))
