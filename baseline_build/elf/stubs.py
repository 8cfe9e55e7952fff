"""PLT stubs: short pieces of code that jump through a slot the loader fills.

They are found by what they do, not by the section they lie in: an indirect jump whose slot a relocation names. Linkers
lay the PLT out in many ways (lazy, ``.plt.sec`` with endbr64, ``.plt.got``, gold's, lld's, mold's, BTI), the jump is
the same in all.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from typing import Dict, Iterable, Mapping, Optional, Pattern, Sequence, Set, Tuple

from ..isa.model import Machine
from .model import Region

_X86_JUMP = re.compile(rb"\xff\x25(?=[\x00-\xff]{4})", re.DOTALL)
_I386_PIC_JUMP = re.compile(rb"\xff\xa3(?=[\x00-\xff]{4})", re.DOTALL)
# A landing mark, mold's number of the slot (mov r11d or ecx), a bnd prefix: each may or may not be there.
_BEFORE_64 = re.compile(rb"(\xf3\x0f\x1e\xfa)?(\x41\xbb[\x00-\xff]{4})?(\xf2)?\Z", re.DOTALL)
_BEFORE_32 = re.compile(rb"(\xf3\x0f\x1e\xfb)?(\xb9[\x00-\xff]{4})?\Z", re.DOTALL)
# call the next instruction's address into ebx; add ebx, distance of the global offset table
_I386_BASE = re.compile(rb"\xe8[\x00-\xff]{4}\x81\xc3(?=[\x00-\xff]{4})", re.DOTALL)
_BR_X17 = bytes.fromhex("20021fd6")


def find_stubs(
    machine: Machine, regions: Sequence[Region], slots: Mapping[int, object], got: Optional[int]
) -> Dict[int, int]:
    """Address of each stub -> its slot, for the slots in *slots*.

    :param got: the base of i386's global offset table (DT_PLTGOT), to which its position independent stubs refer.
    """
    found: Dict[int, int] = {}
    if not slots:
        return found
    known = set(slots)
    bases = _i386_bases(regions, got) if machine is Machine.I386 else set()
    for region in regions:
        raw = bytes(region.data)
        if machine is Machine.X86_64:
            _x86_64(raw, region.address, known, found)
        elif machine is Machine.I386:
            _i386(raw, region.address, known, found, bases)
        elif machine is Machine.AARCH64:
            _aarch64(raw, region.address, known, found)
    return found


def _start(raw: bytes, at: int, before: Pattern[bytes]) -> Tuple[int, ...]:
    """The offsets where a stub whose jump is at *at* may be entered: what may come before the jump is part of it."""
    match = before.search(raw, max(at - 11, 0), at)
    if match is None:
        return (at,)
    # Every group that took part is a place some caller may aim at.
    return tuple({at, *(match.start(group) for group in range(match.re.groups + 1) if match[group])})


def _x86_64(raw: bytes, address: int, known: Set[int], found: Dict[int, int]) -> None:
    for match in _X86_JUMP.finditer(raw):
        at = match.start()
        slot = address + at + 6 + struct.unpack_from("<i", raw, at + 2)[0]
        if slot in known:
            for start in _start(raw, at, _BEFORE_64):
                found[address + start] = slot


def _i386_bases(regions: Iterable[Region], got: Optional[int]) -> Set[int]:
    """Where ebx points in position independent code: DT_PLTGOT with most linkers, the start of .got with mold; what the
    code itself computes most often tells."""
    counts: Counter[int] = Counter()
    for region in regions:
        raw = bytes(region.data)
        for match in _I386_BASE.finditer(raw):
            distance = struct.unpack_from("<I", raw, match.end())[0]
            counts[(region.address + match.end() - 2 + distance) & 0xFFFFFFFF] += 1
    return {base for base, _ in counts.most_common(1)} | ({got} if got is not None else set())


def _i386(raw: bytes, address: int, known: Set[int], found: Dict[int, int], bases: Set[int]) -> None:
    for pattern, base in [(_X86_JUMP, 0), *((_I386_PIC_JUMP, base) for base in sorted(bases))]:
        for match in pattern.finditer(raw):
            at = match.start()
            slot = (base + struct.unpack_from("<I", raw, at + 2)[0]) & 0xFFFFFFFF
            if slot in known:
                for start in _start(raw, at, _BEFORE_32):
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
