"""PLT stubs: short pieces of code that jump through a slot the loader fills.

They are found by what they do, not by the section they lie in: an indirect jump whose slot a relocation names. Linkers
lay the PLT out in many ways (lazy, ``.plt.sec`` with endbr64, ``.plt.got``, gold's, lld's, mold's, BTI), the jump is
the same in all.
"""

from __future__ import annotations

import re
import struct
from typing import Dict, Iterable, Mapping, Optional, Set, Tuple

from ..isa.model import Machine
from .model import Region

_X86_JUMP = re.compile(rb"\xff\x25(?=[\x00-\xff]{4})", re.DOTALL)
_I386_PIC_JUMP = re.compile(rb"\xff\xa3(?=[\x00-\xff]{4})", re.DOTALL)
_ENDBR64, _ENDBR32, _BND = b"\xf3\x0f\x1e\xfa", b"\xf3\x0f\x1e\xfb", b"\xf2"
_BR_X17 = bytes.fromhex("20021fd6")


def find_stubs(
    machine: Machine, regions: Iterable[Region], slots: Mapping[int, object], got: Optional[int]
) -> Dict[int, int]:
    """Address of each stub -> its slot, for the slots in *slots*.

    :param got: the base of i386's global offset table (DT_PLTGOT), to which its position independent stubs refer.
    """
    found: Dict[int, int] = {}
    if not slots:
        return found
    known = set(slots)
    for region in regions:
        raw = bytes(region.data)
        if machine is Machine.X86_64:
            _x86_64(raw, region.address, known, found)
        elif machine is Machine.I386:
            _i386(raw, region.address, known, found, got)
        elif machine is Machine.AARCH64:
            _aarch64(raw, region.address, known, found)
    return found


def _start(raw: bytes, at: int, marker: bytes) -> Tuple[int, ...]:
    """The offsets where a stub whose jump is at *at* may be entered: prefixes and the landing mark come before."""
    starts = [at]
    if raw[at - 1 : at] == _BND:
        at -= 1
        starts.append(at)
    if raw[at - 4 : at] == marker:
        starts.append(at - 4)
    return tuple(starts)


def _x86_64(raw: bytes, address: int, known: Set[int], found: Dict[int, int]) -> None:
    for match in _X86_JUMP.finditer(raw):
        at = match.start()
        slot = address + at + 6 + struct.unpack_from("<i", raw, at + 2)[0]
        if slot in known:
            for start in _start(raw, at, _ENDBR64):
                found[address + start] = slot


def _i386(raw: bytes, address: int, known: Set[int], found: Dict[int, int], got: Optional[int]) -> None:
    for pattern, base in ((_X86_JUMP, 0), (_I386_PIC_JUMP, got)):
        if base is None:
            continue
        for match in pattern.finditer(raw):
            at = match.start()
            slot = (base + struct.unpack_from("<I", raw, at + 2)[0]) & 0xFFFFFFFF
            if slot in known:
                for start in _start(raw, at, _ENDBR32):
                    found[address + start] = slot


def _aarch64(raw: bytes, address: int, known: Set[int], found: Dict[int, int]) -> None:
    """``[bti c]; adrp x16, page; ldr x17, [x16, #low]; [add x16, x16, #low]; br x17``."""
    at = raw.find(_BR_X17)
    while at >= 0:
        if (address + at) % 4 == 0 and at >= 8:
            words = struct.unpack_from("<4I", raw[max(at - 16, 0) : at].rjust(16, b"\0"))
            load = 3 if words[3] & 0xFFC003FF == 0xF9400211 else 2
            page, ldr = words[load - 1], words[load]
            if page & 0x9F00001F == 0x90000010 and ldr & 0xFFC003FF == 0xF9400211:
                start = address + at - 4 * (5 - load)
                high = (page >> 5 & 0x7FFFF) << 2 | page >> 29 & 3
                high -= (high & 1 << 20) << 1
                slot = (start & ~0xFFF) + (high << 12) + (ldr >> 10 & 0xFFF) * 8
                if slot in known:
                    found[start] = slot
                    if words[load - 2] == 0xD503245F:
                        found[start - 4] = slot
        at = raw.find(_BR_X17, at + 1)
