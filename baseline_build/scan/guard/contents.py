"""What memory holds before any code of the file has run: constants, variables' first values, thread-local templates."""

from __future__ import annotations

from functools import cached_property
from typing import List, Optional, Tuple

from ...elf import Image
from ...isa import Machine
from .state import THREADS


class Contents:
    """The memory of *image*, whose addresses the analysis moves up by *base*; addresses here are the file's own."""

    def __init__(self, image: Image, base: int) -> None:
        self.image = image
        self.base = base

    def at(self, address: int, size: int) -> Optional[int]:
        """What the file says stands in *size* bytes at *address*; pointers are moved by the base."""
        image = self.image
        if size == image.bits // 8:
            if address in image.imports or address in image.resolvers:
                return None
            if address in image.tls_slots:
                return image.tls_slots[address]
            if address in image.relocations:
                return image.relocations[address] + self.base
        raw = image.read(address, size)
        if len(raw) < size:
            raw = raw + bytes(size - len(raw)) if self.is_mapped(address) else b""
        return int.from_bytes(raw, "little") if raw else None

    def is_mapped(self, address: int) -> bool:
        """Whether a segment maps *address*."""
        return any(s.type == 1 and s.address <= address < s.address + s.memory_size for s in self.image.segments)

    @cached_property
    def _constant_ranges(self) -> List[Tuple[int, int]]:
        # PT_LOAD without write permission, and PT_GNU_RELRO, which is protected before any code of the file runs.
        return [
            (s.address, s.address + s.memory_size)
            for s in self.image.segments
            if (s.type == 1 and not s.writable) or s.type == 0x6474E552
        ]

    def is_constant(self, address: int) -> bool:
        """Whether nothing can write to *address* once the file is loaded."""
        if any(low <= address < high for low, high in self._constant_ranges):
            return True
        return not self.image.segments and not self.is_mapped(address)

    def of_thread(self, address: int, size: int) -> Optional[int]:
        """What a thread finds at thread-local *address* when it begins."""
        tls = self.image.tls
        if tls is None:
            return None
        offset = address - THREADS
        if self.image.machine is Machine.AARCH64 and self.image.kind == "executable":
            # The block of an executable begins behind two words of the thread's own (AAELF64, variant 1).
            offset -= max(16, tls.align)
        if offset < 0:
            align = max(tls.align, 1)
            offset += (tls.memory_size + align - 1) // align * align
        if not 0 <= offset < tls.memory_size:
            return None
        raw = self.image.read(tls.address + offset, size) if offset < tls.file_size else b""
        return int.from_bytes(raw.ljust(size, b"\0"), "little")
