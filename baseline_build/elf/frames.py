"""Call frame information: where functions begin and end, also in stripped files.

Only the addresses are read (``.eh_frame`` and ``.eh_frame_hdr``, "Linux Standard Base Core", chapter 10.6; encodings in
10.5). One loop over the records; a record of the common shape (32-bit length, pcrel|sdata4) is read with one call.
"""

from __future__ import annotations

import re
import struct
from typing import Dict, List, Optional, Tuple

from ..errors import BrokenInputError
from .reading import MAX_RECORDS, Window, broken

PCREL, DATAREL, OMIT = 0x10, 0x30, 0xFF
_COMMON = re.compile(rb"[\x10-\x40]\0\0\0\0\0\0\0[\x01\x03]z[RPLSBG]{1,5}\0")
_SIZES: Dict[int, Tuple[str, int]] = {
    0x02: ("H", 2), 0x03: ("I", 4), 0x04: ("Q", 8), 0x0A: ("h", 2), 0x0B: ("i", 4), 0x0C: ("q", 8),
}  # fmt: skip

Range = Tuple[int, int]


class Frames:
    """Reads the frame records of one file.

    :param bits: pointer width of the file.

    ``walked`` is the size in bytes of the table the last :meth:`walk` went through.
    """

    def __init__(self, window: Window, bits: int) -> None:
        self.window = window
        self.bits = bits
        self.walked = 0

    def walk(self, offset: int, size: int, address: int) -> List[Range]:
        """(start, size) of every function of the ``.eh_frame`` at *offset*, whose bytes are mapped at *address*.

        Ends at the terminator or after *size* bytes. Raises BrokenInputError BB403 for a record that reaches outside.
        """
        # Sixteen zero bytes behind it end the walk and let every record be read with one call.
        data = memoryview(bytes(self.window.slice(offset, size, "the unwind records")) + bytes(16))
        common = struct.Struct(self.window.order + "IIiI").unpack_from
        mask = (1 << self.bits) - 1
        found: List[Range] = []
        codes: Dict[int, int] = {}
        at = 0
        while at < size:
            length, back, start, span = common(data, at)
            if length == 0:
                break
            body = at + 4
            if length == 0xFFFFFFFF:
                body = at + 12
                length, back = struct.unpack_from(self.window.order + "QI", data, at + 4)
            if length < 4 or body + length > size:
                raise broken("BB403", f"the unwind record at {offset + at:#x} claims {length} bytes", self.window.name)
            if back:
                code = codes.get(body - back)
                if code is None:
                    code = codes[body - back] = self._encoding(data, body - back)
                if code == 0x1B and body == at + 4:
                    found.append(((address + at + 8 + start) & mask, span))
                else:
                    found.append(self._other(data, body + 4, code, address))
            at = body + length
        if len(found) > MAX_RECORDS:
            raise broken("BB404", f"more than {MAX_RECORDS} unwind records are not read", self.window.name)
        self.walked = min(at + 4, size)
        return found

    def _encoding(self, data: memoryview, at: int) -> int:
        """The pointer encoding a common information entry gives to its functions: letter R of its augmentation."""
        if at < 0 or at + 16 > len(data):
            raise broken(
                "BB403", f"an unwind record refers to a common entry at {at:#x}, outside of the table", self.window.name
            )
        body = at + (12 if bytes(data[at : at + 4]) == b"\xff\xff\xff\xff" else 4)
        raw = bytes(data[body : body + 512]).ljust(8, b"\xff")
        version = raw[4]
        end = raw.find(b"\0", 5)
        if raw[:4] != b"\0\0\0\0" or version not in (1, 3, 4) or end < 0:
            raise broken("BB403", f"an unwind record refers to {at:#x}, which is no common entry", self.window.name)
        letters = raw[5:end]
        if not letters.startswith(b"z"):
            return 0
        place = _skip_leb(raw, _skip_leb(raw, end + 1 + (2 if version == 4 else 0)))
        place = place + 1 if version == 1 else _skip_leb(raw, place)
        return self._letter_r(raw, _skip_leb(raw, place), letters[1:])

    def _letter_r(self, raw: bytes, place: int, letters: bytes) -> int:
        for letter in letters:
            if place >= len(raw) or letter not in b"RLPSBG":
                break
            if letter == ord("R"):
                return raw[place]
            if letter == ord("L"):
                place += 1
            elif letter == ord("P"):
                place += 1 + self._width(raw[place])
        return 0

    def _width(self, code: int) -> int:
        if code & 0x0F == 0:
            return self.bits // 8
        return _SIZES.get(code & 0x0F, ("", 0))[1]

    def _other(self, data: memoryview, at: int, code: int, base: int) -> Range:
        form, width = _SIZES.get(code & 0x0F, ("Q" if self.bits == 64 else "I", self.bits // 8))
        if code & 0x0F in (1, 9) or code & 0x60 or at + 2 * width > len(data):
            raise broken(
                "BB403",
                f"an unwind record at {at:#x} has an address in the unknown encoding {code:#x}",
                self.window.name,
            )
        (start,) = struct.unpack_from(self.window.order + form, data, at)
        (span,) = struct.unpack_from(self.window.order + form.upper(), data, at + width)
        if code & 0x70 == PCREL:
            start += base + at
        return start & ((1 << self.bits) - 1), span

    def from_header(self, offset: int, size: int, address: int) -> Tuple[Optional[int], List[int]]:
        """(address of ``.eh_frame`` or ``None``, addresses of the functions in the index) of ``.eh_frame_hdr``."""
        data = self.window.slice(offset, size, "the unwind index")
        if size < 4 or data[0] != 1:
            raise broken("BB403", "the unwind index has an unknown version", self.window.name)
        pointer, count_code, table = data[1], data[2], data[3]
        at = 4
        frame: Optional[int] = None
        if pointer != OMIT:
            frame, at = self._value(data, at, pointer, address)
        if count_code == OMIT or table == OMIT:
            return frame, []
        count, at = self._value(data, at, count_code, address)
        if table != DATAREL | 0x0B:
            return frame, []
        if count * 8 > size - at or count > MAX_RECORDS:
            raise broken("BB403", f"the unwind index claims {count} functions in {size} bytes", self.window.name)
        rows = struct.iter_unpack(self.window.order + "ii", bytes(data[at : at + count * 8]))
        mask = (1 << self.bits) - 1
        return frame, [(address + row[0]) & mask for row in rows]

    def search(self, offset: int, size: int) -> Optional[int]:
        """The offset of unwind records in a segment that no header leads to (static files without section headers).

        They begin with a common information entry, and all that follows up to the terminator must be records.
        """
        raw = bytes(self.window.slice(offset, size, "a segment"))
        for match in _COMMON.finditer(raw):
            start = match.start()
            try:
                if self.walk(offset + start, size - start, 0):
                    return offset + start
            except BrokenInputError:
                # Not records after all: bytes that only begin like them.
                continue
        return None

    def _value(self, data: memoryview, at: int, code: int, base: int) -> Tuple[int, int]:
        form, width = _SIZES.get(code & 0x0F, ("Q" if self.bits == 64 else "I", self.bits // 8))
        if at + width > len(data) or code & 0x0F in (1, 9):
            raise broken("BB403", f"the unwind index has a number in the unknown encoding {code:#x}", self.window.name)
        (value,) = struct.unpack_from(self.window.order + form, data, at)
        if code & 0x70 == PCREL:
            value += base + at
        elif code & 0x70 == DATAREL:
            value += base
        return value & ((1 << self.bits) - 1), at + width


def _skip_leb(raw: bytes, at: int) -> int:
    while at < len(raw) and raw[at] & 0x80:
        at += 1
    return at + 1
