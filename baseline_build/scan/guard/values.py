"""Abstract values: what a register or a variable may hold, and what that tells of the CPU.

A :class:`Value` is a choice of alternatives: known constants, each with the facts that hold whenever the value *is*
that constant; a bit pattern (:class:`Bits`) with the facts each bit tells; and ``plain``, anything that has nothing
to do with the CPU. "The value is k, hence the CPU has AVX2" stays true for good, because a CPU does not change: so
such facts
survive stores, joins and calls. A value without any alternative is undefined: control never gets there, or the program
never wrote it.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Dict, Mapping, Optional

MAX_KEYS = 40
_EXPANDED_BITS = 5
_EXPANDED_UNINFORMED = 2
_MAX_STEP = 6
_NONE: Mapping[int, int] = {}


class Bits:
    """A pattern of bits.

    ``zero`` and ``one`` are masks of bits known to be 0 and 1; ``ones[i]`` and ``zeros[i]`` are the facts that hold
    when bit *i*, not known, is 1 or 0.
    """

    __slots__ = ("one", "ones", "zero", "zeros")

    def __init__(self, zero: int, one: int, ones: Mapping[int, int], zeros: Mapping[int, int]) -> None:
        self.zero = zero
        self.one = one
        self.ones = ones
        self.zeros = zeros

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bits) and (self.zero, self.one, self.ones, self.zeros) == (
            other.zero, other.one, other.ones, other.zeros,
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash((self.zero, self.one, tuple(sorted(self.ones.items())), tuple(sorted(self.zeros.items()))))

    @property
    def informed(self) -> bool:
        """Whether any bit tells anything."""
        return bool(self.ones or self.zeros)

    def adding(self, extra: int) -> Bits:
        """The same where *extra* holds too, whatever the bits are."""
        unknown = (1 << 64) - 1 & ~(self.zero | self.one)
        ones = dict(self.ones)
        zeros = dict(self.zeros)
        while unknown:
            low = unknown & -unknown
            bit = low.bit_length() - 1
            ones[bit] = ones.get(bit, 0) | extra
            zeros[bit] = zeros.get(bit, 0) | extra
            unknown ^= low
        return Bits(self.zero, self.one, ones, zeros)


LOST_BITS = Bits(0, 0, _NONE, _NONE)


class Value:
    """One abstract value; never changed once made."""

    __slots__ = ("bits", "keys", "plain")

    def __init__(self, keys: Mapping[int, int], bits: Optional[Bits] = None, plain: bool = False) -> None:
        self.keys = keys
        self.bits = bits
        self.plain = plain

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Value)
            and self.plain == other.plain
            and self.keys == other.keys
            and self.bits == other.bits
        )

    def __hash__(self) -> int:
        return hash((tuple(sorted(self.keys.items())), self.bits, self.plain))

    def __repr__(self) -> str:
        parts = [f"{key:#x}:{facts:#x}" if facts else f"{key:#x}" for key, facts in sorted(self.keys.items())]
        if self.bits is not None:
            parts.append(f"bits(0={self.bits.zero:#x},1={self.bits.one:#x},{self.bits.ones},{self.bits.zeros})")
        if self.plain:
            parts.append("?")
        return "{" + " ".join(parts) + "}"

    @property
    def single(self) -> Optional[int]:
        """The constant it surely is, else ``None``."""
        if self.bits is None and not self.plain and len(self.keys) == 1:
            return next(iter(self.keys))
        return None

    @property
    def exact(self) -> bool:
        """Whether all alternatives are known constants (and there is one)."""
        return self.bits is None and not self.plain and bool(self.keys)

    @property
    def undefined(self) -> bool:
        """Whether there is no alternative at all."""
        return self.bits is None and not self.plain and not self.keys

    @property
    def informed(self) -> bool:
        """Whether any alternative tells anything of the CPU."""
        return any(self.keys.values()) or (self.bits is not None and self.bits.informed)

    @property
    def tainted(self) -> bool:
        """Whether it comes from what the CPU said, be its meaning known or lost."""
        return self.bits is not None or any(self.keys.values())


class Stepped(Value):
    """Anything whose lowest *count* bits are *rest*: nothing to do with the CPU, but perhaps the place of a pair.

    There is one object of each, see :func:`stepped`.
    """

    __slots__ = ("count", "rest")

    def __init__(self, count: int, rest: int) -> None:
        super().__init__(_NONE, None, True)
        self.count = count
        self.rest = rest

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return hash((self.count, self.rest))

    @property
    def pattern(self) -> Bits:
        """The same as a pattern of bits."""
        return Bits((1 << self.count) - 1 & ~self.rest, self.rest, _NONE, _NONE)


PLAIN = Value(_NONE, None, True)
LOST = Value(_NONE, LOST_BITS)
UNDEFINED = Value(_NONE)


@lru_cache(maxsize=1 << 14)
def constant(number: int) -> Value:
    """The constant *number*: most often the same object, which is quickly seen to be equal."""
    return Value({number: 0})


@cache
def _one_stepped(count: int, rest: int) -> Stepped:
    return Stepped(count, rest)


def stepped(count: int, rest: int) -> Value:
    """Anything whose lowest *count* bits are those of *rest*."""
    count = min(count, _MAX_STEP)
    return _one_stepped(count, rest & (1 << count) - 1) if count > 0 else PLAIN


def unstepped(value: Value) -> Value:
    """*value*, nothing told of what has nothing to do with the CPU: where that cannot matter any more."""
    return PLAIN if isinstance(value, Stepped) else value


def choice(keys: Mapping[int, int]) -> Value:
    """One of *keys*, each with its facts."""
    return Value(keys)


def knowing(value: Value, facts: int) -> Value:
    """*value* where *facts* hold too, whichever alternative it is."""
    if not facts or (not value.keys and value.bits is None):
        return value
    keys = {key: known | facts for key, known in value.keys.items()}
    return Value(keys, value.bits.adding(facts) if value.bits is not None else None, value.plain)


def as_bits(value: Value) -> Optional[Bits]:
    """The constants and the bit pattern of *value* as one pattern; ``None`` without either."""
    if not value.keys:
        return value.bits
    keys = value.keys
    one = (1 << 64) - 1
    some = 0
    for key in keys:
        one &= key
        some |= key
    if len(keys) == 1 and value.bits is None:
        return Bits(~some & (1 << 64) - 1, one, _NONE, _NONE)
    ones: Dict[int, int] = {}
    zeros: Dict[int, int] = {}
    varying = some & ~one
    while varying:
        low = varying & -varying
        bit = low.bit_length() - 1
        varying ^= low
        when_one = when_zero = -1
        for key, facts in keys.items():
            if key & low:
                when_one &= facts
            else:
                when_zero &= facts
        if when_one:
            ones[bit] = when_one
        if when_zero:
            zeros[bit] = when_zero
    folded = Bits(~some & (1 << 64) - 1, one, ones, zeros)
    if value.bits is None:
        return folded
    whole = -1
    for facts in keys.values():
        whole &= facts
    return join_bits(folded, whole, value.bits, 0)


def join_bits(first: Bits, first_facts: int, second: Bits, second_facts: int) -> Bits:
    """Either pattern; *first_facts* hold whenever it is the first, *second_facts* whenever it is the second."""
    ones: Dict[int, int] = {}
    zeros: Dict[int, int] = {}
    one = first.one & second.one
    zero = first.zero & second.zero
    unknown = (1 << 64) - 1 & ~(one | zero)
    candidates = unknown if first_facts and second_facts else _bits_of(first, second) & unknown
    while candidates:
        low = candidates & -candidates
        bit = low.bit_length() - 1
        candidates ^= low
        when_one = _when(first.zero, first.one, first.ones, low, bit, first_facts) & _when(
            second.zero, second.one, second.ones, low, bit, second_facts
        )
        when_zero = _when(first.one, first.zero, first.zeros, low, bit, first_facts) & _when(
            second.one, second.zero, second.zeros, low, bit, second_facts
        )
        if when_one:
            ones[bit] = when_one
        if when_zero:
            zeros[bit] = when_zero
    return Bits(zero, one, ones, zeros)


def _bits_of(first: Bits, second: Bits) -> int:
    """Bits of which one of the two patterns says something."""
    mask = first.zero | first.one | second.zero | second.one
    for table in (first.ones, first.zeros, second.ones, second.zeros):
        for bit in table:
            mask |= 1 << bit
    return mask


def _when(never: int, always: int, table: Mapping[int, int], low: int, bit: int, facts: int) -> int:
    """Facts of one pattern when its bit has the wanted value: everything where it never has."""
    if never & low:
        return -1
    if always & low:
        return facts
    return table.get(bit, 0) | facts


def spread(bits: Bits) -> Value:
    """*bits* as a value; few unknown bits (more where they tell something) become constants, which are exact."""
    unknown = (1 << 64) - 1 & ~(bits.zero | bits.one)
    if not unknown:
        return Value({bits.one: 0})
    if bin(unknown).count("1") > (_EXPANDED_BITS if bits.informed else _EXPANDED_UNINFORMED):
        return Value(_NONE, bits)
    keys = {bits.one: 0}
    while unknown:
        low = unknown & -unknown
        bit = low.bit_length() - 1
        unknown ^= low
        when_zero, when_one = bits.zeros.get(bit, 0), bits.ones.get(bit, 0)
        wider = {key: facts | when_zero for key, facts in keys.items()}
        wider.update({key | low: facts | when_one for key, facts in keys.items()})
        keys = wider
    return Value(keys)


def join(first: Value, first_facts: int, second: Value, second_facts: int) -> Value:
    """Either value; *first_facts* hold whenever it is the first, *second_facts* whenever it is the second."""
    if first is second:
        return first
    if first.plain == second.plain and first.keys == second.keys and first.bits == second.bits:
        return _common(first, second) if isinstance(first, Stepped) else first
    if first.undefined:
        return knowing(second, second_facts)
    if second.undefined:
        return knowing(first, first_facts)
    if not first_facts and _holds_all(first, second, second_facts):
        return first
    keys = {key: facts | first_facts for key, facts in first.keys.items()}
    for key, facts in second.keys.items():
        known = facts | second_facts
        keys[key] = keys[key] & known if key in keys else known
    if first.bits is None:
        bits = second.bits.adding(second_facts) if second.bits is not None and second_facts else second.bits
    elif second.bits is None:
        bits = first.bits.adding(first_facts) if first_facts else first.bits
    else:
        bits = join_bits(first.bits, first_facts, second.bits, second_facts)
    if bits is not None and keys:
        keys = {key: facts for key, facts in keys.items() if not _covers(bits, key, facts)}
    return bounded(keys, bits, first.plain or second.plain)


def _common(first: Stepped, second: Value) -> Value:
    """What the lowest bits of both are."""
    if not isinstance(second, Stepped):
        return PLAIN
    differing = (first.rest ^ second.rest) | 1 << min(first.count, second.count)
    return stepped((differing & -differing).bit_length() - 1, first.rest)


def _holds_all(first: Value, second: Value, facts: int) -> bool:
    """Whether *second*, with *facts*, is among the alternatives of *first* (which is not asked bit by bit)."""
    if first.bits is not None or second.bits is not None or (second.plain and not first.plain):
        return False
    keys = first.keys
    if len(keys) > MAX_KEYS:
        return False
    return all(key in keys and not keys[key] & ~(known | facts) for key, known in second.keys.items())


def _covers(bits: Bits, key: int, facts: int) -> bool:
    """Whether *key*, at which *facts* hold, is one of the numbers *bits* describes, told of no more there."""
    if key & bits.zero or ~key & bits.one:
        return False
    told = 0
    for bit, known in bits.ones.items():
        if key >> bit & 1:
            told |= known
    for bit, known in bits.zeros.items():
        if not key >> bit & 1:
            told |= known
    return not told & ~facts


def weakened(value: Value) -> Value:
    """A byte that holds *value*, or 0, or anything where *value* was not 0."""
    if value.plain:
        return value
    known = -1
    for key, facts in value.keys.items():
        if key:
            known &= facts
    if value.bits is not None and not value.bits.one:
        for bit in range(8):
            if not value.bits.zero >> bit & 1:
                known &= value.bits.ones.get(bit, 0)
    elif value.bits is not None:
        known = 0
    if known == -1:
        return constant(0)
    return Value(_NONE, Bits((1 << 64) - 1 & ~0xFF, 0, dict.fromkeys(range(8), known) if known else _NONE, _NONE))


def bounded(keys: Mapping[int, int], bits: Optional[Bits], plain: bool) -> Value:
    """A value of these alternatives; too many constants are folded into the pattern."""
    if len(keys) <= MAX_KEYS:
        if plain and not keys and bits is None:
            return PLAIN
        return Value(keys, bits, plain)
    if bits is None and not any(keys.values()):
        return PLAIN
    return Value(_NONE, as_bits(Value(keys, bits)), plain)


def without_plain(value: Value) -> Value:
    """*value* without the alternative that has nothing to do with the CPU."""
    return Value(value.keys, value.bits) if value.plain else value
