"""Operations on abstract values; exact on constants, bit by bit on patterns."""

from __future__ import annotations

from typing import Callable, Dict, Mapping, Optional

from .stepping import as_pattern, combined, moved_on
from .values import LOST, PLAIN, UNDEFINED, Bits, Stepped, Value, as_bits, bounded, join, spread, stepped

_WORD = (1 << 64) - 1
_MAX_PAIRS = 1100
_MAX_FREE = 4


def _signed(number: int, width: int) -> int:
    return number - (1 << width) if number >> (width - 1) & 1 else number


def _rotate(number: int, count: int, width: int) -> int:
    count %= width
    return (number << count | number >> (width - count)) & ((1 << width) - 1)


_EXACT: Mapping[str, Callable[[int, int, int], int]] = {
    "add": lambda a, b, _: a + b,
    "sub": lambda a, b, _: a - b,
    "and": lambda a, b, _: a & b,
    "andn": lambda a, b, _: ~a & b,
    "or": lambda a, b, _: a | b,
    "xor": lambda a, b, _: a ^ b,
    "mul": lambda a, b, _: a * b,
    "shl": lambda a, b, w: a << (b & (63 if w == 64 else 31)),
    "shr": lambda a, b, w: a >> (b & (63 if w == 64 else 31)),
    "sar": lambda a, b, w: _signed(a, w) >> (b & (63 if w == 64 else 31)),
    "rol": _rotate,
    "ror": lambda a, b, w: _rotate(a, w - b % w, w),
}


def binary(name: str, first: Value, second: Value, width: int) -> Value:
    """``first NAME second`` in *width* bits, the bits above cleared."""
    if name == "and" and second.single == 0:
        return Value({0: 0})
    if first.undefined or second.undefined:
        return UNDEFINED
    mask = (1 << width) - 1
    if first.exact and second.exact and len(first.keys) * len(second.keys) <= _MAX_PAIRS:
        return _exact(_EXACT[name], first, second, width, mask)
    if first is PLAIN and second is PLAIN:
        return PLAIN
    number = second.single
    if number is not None:
        found = _with_constant(name, first, number, second.keys[number], width, mask)
    elif name in ("and", "or", "xor", "add") and first.single is not None:
        number = first.single
        found = _with_constant(name, second, number, first.keys[number], width, mask)
    else:
        found = None
    return found if found is not None else _patterns(name, first, second, mask)


def _exact(operation: Callable[[int, int, int], int], first: Value, second: Value, width: int, mask: int) -> Value:
    keys: Dict[int, int] = {}
    for a, a_facts in first.keys.items():
        for b, b_facts in second.keys.items():
            key = operation(a & mask, b & mask, width) & mask
            facts = a_facts | b_facts
            keys[key] = keys[key] & facts if key in keys else facts
    return Value(keys)


def _with_constant(name: str, value: Value, number: int, facts: int, width: int, mask: int) -> Optional[Value]:
    """Each alternative of *value* with the constant *number*; ``None`` where the patterns must be asked."""
    if value.plain and value.bits is None and name in ("shl", "mul") and not any(value.keys.values()):
        # Each of its numbers is one of those that may be anything.
        return moved_on(name, PLAIN if value.keys else value, number & mask, width)
    parts = UNDEFINED
    if value.keys:
        operation = _EXACT[name]
        keys: Dict[int, int] = {}
        for key, known in value.keys.items():
            result = operation(key & mask, number & mask, width) & mask
            keys[result] = keys.get(result, -1) & (known | facts)
        parts = bounded(keys, None, False)
    if value.bits is not None:
        moved = _bits_with_constant(name, value.bits, number & mask, width, mask)
        if moved is None:
            return None
        parts = join(parts, 0, moved, 0)
    if value.plain:
        parts = join(parts, 0, _plain_with_constant(name, value, number & mask, width), 0)
    return parts


def _plain_with_constant(name: str, value: Value, number: int, width: int) -> Value:
    if name == "and" and bin(number).count("1") <= _MAX_FREE:
        keys = {0: 0}
        for bit in range(number.bit_length()):
            if number >> bit & 1:
                keys.update({key | 1 << bit: 0 for key in list(keys)})
        return Value(keys)
    return moved_on(name, value, number, width)


def _bits_with_constant(name: str, bits: Bits, number: int, width: int, mask: int) -> Optional[Value]:
    above = _WORD & ~mask
    if name == "and":
        zero, one = bits.zero | ~number & _WORD, bits.one & number
        return spread(Bits(zero, one, _kept(bits.ones, number), _kept(bits.zeros, number)))
    if name == "or" or (name == "add" and not number & ~bits.zero):
        zero, one = bits.zero & ~number | above, (bits.one | number) & mask
        left = mask & ~number
        return spread(Bits(zero, one, _kept(bits.ones, left), _kept(bits.zeros, left)))
    if name == "xor":
        zero = bits.zero & ~number | bits.one & number | above
        one = (bits.one & ~number | bits.zero & number) & mask
        ones = {**_kept(bits.ones, mask & ~number), **_kept(bits.zeros, mask & number)}
        zeros = {**_kept(bits.zeros, mask & ~number), **_kept(bits.ones, mask & number)}
        return spread(Bits(zero, one, ones, zeros))
    if name in ("shl", "shr"):
        count = number & (63 if width == 64 else 31)
        return spread(_shifted(cut(bits, mask), count if name == "shl" else -count, mask))
    if name == "mul" and 0 < bin(number).count("1") <= _MAX_FREE:
        return _multiplied(cut(bits, mask), number, width)
    if name in ("rol", "ror"):
        return spread(_rotated(cut(bits, mask), number if name == "rol" else width - number % width, width))
    if name == "sub" and not number:
        return spread(cut(bits, mask))
    return LOST


def _multiplied(bits: Bits, number: int, width: int) -> Value:
    """The sum of what each bit of *number* moves *bits* to."""
    mask = (1 << width) - 1
    moved = [spread(_shifted(bits, bit, mask)) for bit in range(width) if number >> bit & 1]
    found = moved[0]
    for further in moved[1:]:
        found = binary("add", found, further, width)
    return found


def _kept(table: Mapping[int, int], mask: int) -> Dict[int, int]:
    return {bit: facts for bit, facts in table.items() if mask >> bit & 1}


def cut(bits: Bits, mask: int) -> Bits:
    """*bits* with everything outside *mask* known to be 0."""
    return Bits(bits.zero | _WORD & ~mask, bits.one & mask, _kept(bits.ones, mask), _kept(bits.zeros, mask))


def _moved(table: Mapping[int, int], count: int, mask: int) -> Dict[int, int]:
    return {bit + count: facts for bit, facts in table.items() if 0 <= bit + count < 64 and mask >> (bit + count) & 1}


def _shifted(bits: Bits, count: int, mask: int) -> Bits:
    if count >= 0:
        zero = (bits.zero << count | (1 << count) - 1) & mask
        one = bits.one << count & mask
    else:
        zero = bits.zero >> -count | _WORD & ~(_WORD >> -count)
        one = bits.one >> -count
    zero |= _WORD & ~mask
    return Bits(zero & _WORD, one, _moved(bits.ones, count, mask), _moved(bits.zeros, count, mask))


def _rotated(bits: Bits, count: int, width: int) -> Bits:
    mask = (1 << width) - 1
    return Bits(
        _rotate(bits.zero & mask, count, width) | _WORD & ~mask,
        _rotate(bits.one & mask, count, width),
        {(bit + count) % width: facts for bit, facts in bits.ones.items()},
        {(bit + count) % width: facts for bit, facts in bits.zeros.items()},
    )


def _patterns(name: str, first: Value, second: Value, mask: int) -> Value:
    """Bitwise operations on patterns; anything else loses the meaning."""
    tainted = first.tainted or second.tainted
    if not tainted:
        return PLAIN
    for one, other in ((first, second), (second, first) if name == "add" else (first, second)):
        moved = combined(name, one, other) if isinstance(one, Stepped) else None
        if moved is not None:
            return spread(cut(moved, mask))
    left, right = as_bits(first), as_bits(second)
    if name == "andn" and left is not None:
        left = Bits(left.one, left.zero, left.zeros, left.ones)
        name = "and"
    if name not in ("and", "or", "xor", "add"):
        return LOST
    # What may also be something else tells nothing.
    if first.plain or left is None:
        left = as_pattern(first)
    if second.plain or right is None:
        right = as_pattern(second)
    if name == "and":
        return spread(cut(_both(left, right), mask))
    # a + b is a | b where no bit can be 1 in both; a ^ b likewise.
    if name == "or" or not (_WORD & mask & ~left.zero & ~right.zero):
        return spread(cut(_inverted(_both(_inverted(left), _inverted(right))), mask))
    return LOST


def _inverted(bits: Bits) -> Bits:
    return Bits(bits.one, bits.zero, bits.zeros, bits.ones)


def _both(left: Bits, right: Bits) -> Bits:
    """``left & right``: a bit of the result is 1 when it is 1 in both."""
    zero = left.zero | right.zero
    one = left.one & right.one
    ones: Dict[int, int] = {}
    zeros: Dict[int, int] = {}
    for bit in {*left.ones, *right.ones}:
        if not zero >> bit & 1:
            ones[bit] = left.ones.get(bit, 0) | right.ones.get(bit, 0)
    for bit in {*left.zeros, *right.zeros}:
        if zero >> bit & 1:
            continue
        # The result is 0 when either is: only what both tell holds, unless one of them surely is 1.
        a = -1 if left.one >> bit & 1 else left.zeros.get(bit, 0)
        b = -1 if right.one >> bit & 1 else right.zeros.get(bit, 0)
        if a & b:
            zeros[bit] = a & b
    return Bits(zero, one, ones, zeros)


def resized(value: Value, width: int) -> Value:
    """*value* cut to *width* bits, zero-extended."""
    if width >= 64 or (value.bits is None and not value.keys):
        return stepped(width, value.rest) if isinstance(value, Stepped) and width < value.count else value
    mask = (1 << width) - 1
    keys = value.keys
    if any(key > mask for key in keys):
        cut_keys: Dict[int, int] = {}
        for key, facts in keys.items():
            cut_keys[key & mask] = cut_keys[key & mask] & facts if key & mask in cut_keys else facts
        keys = cut_keys
    if value.bits is None:
        return Value(keys, None, value.plain)
    narrowed = spread(cut(value.bits, mask))
    return join(Value(keys, None, value.plain), 0, narrowed, 0)


def extended(value: Value, source: int, target: int) -> Value:
    """*value* of *source* bits, sign-extended to *target* bits."""
    value = resized(value, source)
    if value.bits is None and not value.keys:
        return value
    mask = (1 << target) - 1
    keys = {_signed(key, source) & mask: facts for key, facts in value.keys.items()}
    bits = value.bits
    if bits is None:
        return Value(keys, None, value.plain)
    top = source - 1
    fill = mask & ~((1 << source) - 1)
    if bits.zero >> top & 1:
        return Value(keys, bits, value.plain)
    if bits.one >> top & 1:
        bits = Bits(bits.zero & ~fill, bits.one | fill, bits.ones, bits.zeros)
    else:
        bits = Bits(bits.zero & ~fill, bits.one, bits.ones, bits.zeros)
    return Value(keys, bits, value.plain)


def negated(value: Value, width: int) -> Value:
    """Two's complement."""
    return binary("sub", Value({0: 0}), value, width)


def inverted(value: Value, width: int) -> Value:
    """All bits flipped."""
    return binary("xor", value, Value({(1 << width) - 1: 0}), width)


def taken(value: Value, shift: int, width: int) -> Value:
    """The *width* bits of *value* from bit *shift* on."""
    return resized(binary("shr", value, Value({shift: 0}), 64) if shift else value, width)


def glued(low: Value, high: Value, width: int) -> Value:
    """*high* above the *width* bits of *low*."""
    if high.single == 0:
        return resized(low, width)
    return binary("or", resized(low, width), binary("shl", high, Value({width: 0}), 64), 64)


def replaced(old: Value, new: Value, shift: int, width: int) -> Value:
    """*old* with the *width* bits from *shift* on replaced by *new*."""
    hole = _WORD & ~(((1 << width) - 1) << shift)
    moved = binary("shl", resized(new, width), Value({shift: 0}), 64) if shift else resized(new, width)
    return binary("or", binary("and", old, Value({hole: 0}), 64), moved, 64)
