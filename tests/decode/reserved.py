"""VEX, EVEX and XOP payloads with their reserved fields as they have to be.

Data in text decodes as vector instructions whose fields make the CPU fault: vvvv where there is no such operand,
zeroing without a mask, a mask register beyond k7. Decoders that check such fields see no instruction; this project
reports the opcode. That nothing else lies behind a difference is seen by asking about the same bytes with the fields
put right.
"""

from __future__ import annotations

from itertools import product
from typing import Iterator, List

# Legacy prefixes, and REX ones, which count for nothing before them.
_PREFIXES = frozenset(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3") | frozenset(range(0x40, 0x50))
_VVVV = 0x78


def repaired(data: bytes) -> Iterator[bytes]:
    """*data*, which begins with an instruction, with all sensible values of fields that may be reserved."""
    start = next((index for index, byte in enumerate(data) if byte not in _PREFIXES), len(data))
    payload = data[start + 1 : start + 4]
    variants: List[bytes] = []
    if len(payload) == 3 and data[start] == 0x62:
        variants = list(_evex(payload))
    elif len(payload) == 3 and data[start] in (0xC4, 0x8F):
        variants = [
            bytes([first]) + last + payload[2:]
            for first, last in product({payload[0], payload[0] | 0xE0}, _last(payload[1]))
        ]
    elif len(payload) == 3 and data[start] == 0xC5:
        variants = [last + payload[1:] for last in _last(payload[0])]
    for variant in variants:
        yield data[: start + 1] + variant + data[start + 4 :]


def _last(byte: int) -> Iterator[bytes]:
    """W (or R) vvvv L pp: with and without an operand in vvvv, in both lengths."""
    for high, vvvv, length in product({byte & 0x80, 0x80}, {byte & _VVVV, _VVVV}, (0, 4)):
        yield bytes([byte & 3 | high | vvvv | length])


def _evex(payload: bytes) -> Iterator[bytes]:
    first, second, third = payload
    lengths = (0x00, 0x20, 0x40)
    # z b aaa: as they are, without zeroing, nothing; with and without b.
    masks = {mask & broadcast for mask in (third & 0x97, third & 0x17 | 1, third & 0x10) for broadcast in (0xFF, 0xEF)}
    for high, vvvv, upper, length, mask in product(
        {first & 0x90, 0x90}, {second & _VVVV, _VVVV}, {third & 8, 8}, lengths, masks
    ):
        yield bytes([first & 0x67 | high, second & ~_VVVV | vvvv | 4, upper | length | mask])
