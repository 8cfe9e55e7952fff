"""Arithmetic on numbers of which only the lowest bits are known: twice something, and what the CPU said added to it.

Tables of pairs are read like that: ``table[2 * size + has_avx2]``.
"""

from __future__ import annotations

from typing import Optional

from .values import PLAIN, Bits, Stepped, Value, join_bits, stepped


def as_pattern(value: Value) -> Bits:
    """What is known of the bits of a *value* that has nothing to do with the CPU, or may have."""
    return value.pattern if isinstance(value, Stepped) else Bits(0, 0, {}, {})


def moved_on(name: str, value: Value, number: int, width: int) -> Value:
    """``value NAME number`` in *width* bits, for a *value* that has nothing to do with the CPU."""
    count, rest = (value.count, value.rest) if isinstance(value, Stepped) else (0, 0)
    if name == "shl":
        by = number & (63 if width == 64 else 31)
        return stepped(count + by, rest << by)
    if name == "mul" and number:
        # An odd number leaves as many bits known, each factor of 2 makes one more.
        return stepped(count + _zeros(number), rest * number)
    if name == "and":
        # Below the lowest bit of a mask nothing is left.
        return stepped(max(count, _zeros(number)), rest & number) if number else PLAIN
    if not count:
        return PLAIN
    if name in ("add", "sub"):
        return stepped(count, rest + number if name == "add" else rest - number)
    return PLAIN


def combined(name: str, value: Stepped, other: Value) -> Optional[Bits]:
    """``value NAME other``, for sums with one of few numbers, of which some tell of the CPU."""
    if name not in ("add", "sub") or not other.exact:
        return None
    mask = (1 << value.count) - 1
    found: Optional[Bits] = None
    whole = 0
    for key, facts in other.keys.items():
        rest = value.rest + (key if name == "add" else -key) & mask
        pattern = Bits(mask & ~rest, rest, {}, {})
        if found is None:
            found, whole = pattern, facts
        else:
            found, whole = join_bits(found, whole, pattern, facts), 0
    return found


def _zeros(number: int) -> int:
    """How many of the lowest bits of *number*, which is not 0, are 0."""
    return (number & -number).bit_length() - 1
