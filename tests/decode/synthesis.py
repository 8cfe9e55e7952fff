"""Bytes made from a row of the opcode tables: an instruction that the row describes."""

from __future__ import annotations

from typing import Optional

from baseline_build.decode.x86.rows import ANY, Place, Row

_MANDATORY = {"66": b"\x66", "f3": b"\xf3", "f2": b"\xf2"}
_ESCAPES = {0: b"", 1: b"\x0f", 2: b"\x0f\x38", 3: b"\x0f\x3a"}
_PP = {"np": 0, "*": 0, "nfx": 0, "66": 1, "f3": 2, "f2": 3}


def modrm_of(row: Row) -> bytes:
    """A ModRM byte (and SIB, displacement of zeros follows from the caller's padding) that *row* fits."""
    if row.place == "-":
        return b""
    reg = 0 if row.reg == ANY else row.reg
    if row.place == "s" or "vsib" in row.flags:
        return bytes([reg << 3 | 4, 0x08])
    if row.place == "m":
        return bytes([reg << 3 | (0 if row.rm == ANY else row.rm)])
    return bytes([0xC0 | reg << 3 | (1 if row.rm == ANY else row.rm)])


def _legacy(place: Place, row: Row, mode: int) -> Optional[bytes]:
    size = row.size
    prefix = _MANDATORY.get(row.prefix, b"")
    if size == "o16":
        prefix = b"\x66" + prefix
    if (size == "a32" and mode == 64) or (size == "a16" and mode == 32):
        prefix = b"\x67" + prefix
    rex = b"\x48" if size == "o64" else b""
    return prefix + rex + _ESCAPES[place[1]] + bytes([place[2]]) + modrm_of(row)


def _vex(place: Place, row: Row, first: int) -> bytes:
    w, l = max(row.w, 0), max(row.l, 0)  # noqa: E741
    return bytes([first, 0xE0 | place[1], w << 7 | 0x78 | l << 2 | _PP[row.prefix], place[2]]) + modrm_of(row)


def _evex(place: Place, row: Row, *, mvex: bool) -> bytes:
    w, l = max(row.w, 0), max(row.l, 0)  # noqa: E741
    third = 0x08 if mvex else l << 5 | 0x08
    second = w << 7 | 0x78 | (0 if mvex else 4) | _PP[row.prefix]
    return bytes([0x62, 0xF0 | place[1], second, third, place[2]]) + modrm_of(row)


def encoded(place: Place, row: Row, mode: int) -> Optional[bytes]:
    """An instruction of *row*, without its immediate; ``None`` where the row has none in *mode*."""
    encoding = place[0]
    if encoding == "legacy":
        return _legacy(place, row, mode)
    if encoding == "rex2":
        return bytes([0xD5, place[1] << 7, place[2]]) + modrm_of(row)
    if encoding == "3dnow":
        return b"\x0f\x0f\xc1" + bytes([place[2]])
    if encoding in ("vex", "xop"):
        return _vex(place, row, 0xC4 if encoding == "vex" else 0x8F)
    return _evex(place, row, mvex=encoding == "mvex")
