"""A client of qemu's debugger socket (the GDB remote serial protocol), as far as finding a fault needs it.

Protocol: https://sourceware.org/gdb/current/onlinedocs/gdb.html/Remote-Protocol.html
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Tuple

SIGILL = 4

_PROGRAM_COUNTER = {"x86-64": (16 * 8, 8), "aarch64": (32 * 8, 8), "i386": (8 * 4, 4)}
"""Where the program counter stands in the reply to ``g``: offset and size in bytes, by machine."""

_SYSTEM_CALLS = {"x86-64": b"\x0f\x05", "aarch64": b"\x01\x00\x00\xd4", "i386": b"\xcd\x80"}
_BEFORE, _AFTER = 4, 16  # bytes read around the program counter


@dataclass(frozen=True)
class Module:
    """A file the guest's dynamic linker has loaded.

    :param bias: what to subtract from an address to get the file's own virtual address.
    :param name: its path as the linker knows it; empty for the program itself.
    """

    bias: int
    name: str
    dynamic: int


@dataclass(frozen=True)
class Fault:
    """An illegal-instruction stop: where, the bytes there, and what was loaded at that moment."""

    address: int
    data: bytes
    modules: Tuple[Module, ...]


class DisconnectedError(Exception):
    """The emulator closed the socket: the process exited or became another program."""


class Session:
    """A connection to one emulated process."""

    def __init__(self, path: str, machine: str, alive: Callable[[], bool], patience: float = 600.0) -> None:
        """Connect to the socket at *path*, which the emulator creates when it starts.

        :param alive: tells whether the process is still there; waiting ends when it is not.
        :raises DisconnectedError: it never came up.
        """
        self._machine = machine
        self._buffer = b""
        deadline = time.monotonic() + patience
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.connect(path)
            except OSError as error:
                self._socket.close()
                if not alive() or time.monotonic() > deadline:
                    raise DisconnectedError from error
                time.sleep(0.005)
            else:
                return

    def close(self) -> None:
        """Let go of the process; it runs on."""
        self._socket.close()

    def watch(self) -> Optional[Fault]:
        """Let the process run to its end; the fault it died of, or ``None`` when it ended in another way."""
        faults: List[Fault] = []
        reply = self._ask(b"c")
        while reply[:1] in (b"T", b"S"):
            number = int(reply[1:3], 16)
            if number == SIGILL:
                fault = self._fault(reply)
                if fault is not None:
                    faults.append(fault)
            # Every signal goes on to the guest: it may have a handler, and asking is all we do.
            reply = self._ask(b"C%02x" % number)
        died = reply[:1] == b"X" and int(reply[1:3], 16) == SIGILL
        return faults[-1] if died and faults else None

    def read(self, address: int, size: int) -> bytes:
        """*size* bytes of the guest's memory; fewer at the end of what is mapped."""
        while size > 0:
            reply = self._ask(b"m%x,%x" % (address, size))
            if not reply.startswith(b"E"):
                return bytes.fromhex(reply.decode("ascii"))
            size //= 2
        return b""

    def _fault(self, stop: bytes) -> Optional[Fault]:
        """What stands at the program counter; ``None`` when the signal was sent by a call (``raise``, ``kill``)."""
        fields = dict(part.split(b":", 1) for part in stop[3:].split(b";") if b":" in part)
        if b"thread" in fields:
            self._ask(b"Hg" + fields[b"thread"])
        offset, size = _PROGRAM_COUNTER[self._machine]
        registers = bytes.fromhex(self._ask(b"g").decode("ascii").replace("x", "0"))
        address = int.from_bytes(registers[offset : offset + size], "little")
        call = _SYSTEM_CALLS[self._machine]
        if self.read(address - _BEFORE, _BEFORE).endswith(call):
            return None
        return Fault(address, self.read(address, _AFTER), self._modules())

    def _modules(self) -> Tuple[Module, ...]:
        """The dynamic linker's list (``r_debug`` and ``link_map`` of <link.h>), found through the auxiliary vector."""
        wide = self._machine != "i386"
        word, size = ("<Q", 8) if wide else ("<I", 4)
        auxiliary = self._auxiliary(size)
        debug = self._debug_structure(auxiliary, size)
        modules: List[Module] = []
        entry = self._word(debug + size, word) if debug else 0
        while entry and len(modules) < 4096:
            fields = self.read(entry, 4 * size)
            if len(fields) < 4 * size:
                break
            bias, name, dynamic, following = struct.unpack(f"<4{word[1]}", fields)
            modules.append(Module(bias, self._text(name), dynamic))
            entry = following
        return tuple(modules)

    def _auxiliary(self, size: int) -> Dict[int, int]:
        reply = self._ask(b"qXfer:auxv:read::0,1000")
        if reply[:1] not in (b"l", b"m"):
            return {}
        data = reply[1:]
        count = len(data) // (2 * size)
        words = struct.unpack(f"<{2 * count}{'Q' if size == 8 else 'I'}", data[: 2 * count * size])
        return dict(zip(words[::2], words[1::2]))

    def _debug_structure(self, auxiliary: Dict[int, int], size: int) -> int:
        """The address of ``r_debug``, from the program's DT_DEBUG; 0 for a static program."""
        headers, entry, count = (auxiliary.get(key, 0) for key in (3, 4, 5))  # AT_PHDR, AT_PHENT, AT_PHNUM
        bias = dynamic = None
        for index in range(count):
            header = self.read(headers + index * entry, entry)
            kind = int.from_bytes(header[:4], "little")
            at = 16 if size == 8 else 8
            address = int.from_bytes(header[at : at + size], "little")
            if kind == 6:  # PT_PHDR
                bias = headers - address
            elif kind == 2:  # PT_DYNAMIC
                dynamic = address
        if bias is None or dynamic is None:
            return 0
        for index in range(512):
            pair = self.read(bias + dynamic + index * 2 * size, 2 * size)
            tag, value = (int.from_bytes(pair[i * size : (i + 1) * size], "little") for i in (0, 1))
            if tag == 21:  # DT_DEBUG
                return value
            if tag == 0:
                break
        return 0

    def _word(self, address: int, form: str) -> int:
        data = self.read(address, struct.calcsize(form))
        return int(struct.unpack(form, data)[0]) if len(data) == struct.calcsize(form) else 0

    def _text(self, address: int) -> str:
        data = self.read(address, 1024) if address else b""
        return data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")

    def _ask(self, packet: bytes) -> bytes:
        """Send *packet* and return the reply's payload, unescaped."""
        try:
            self._socket.sendall(b"$%s#%02x" % (packet, sum(packet) & 255))
            payload = self._packet()
        except OSError as error:
            raise DisconnectedError from error
        with contextlib.suppress(OSError):  # after its last words the process is gone and needs no acknowledgement
            self._socket.sendall(b"+")
        return payload

    def _packet(self) -> bytes:
        while True:
            start = self._buffer.find(b"$")
            end = self._buffer.find(b"#", start)
            if start >= 0 and end >= 0 and len(self._buffer) >= end + 3:
                payload = self._buffer[start + 1 : end]
                self._buffer = self._buffer[end + 3 :]
                return _unescaped(payload)
            data = self._socket.recv(65536)
            if not data:
                raise DisconnectedError
            self._buffer += data


def _unescaped(payload: bytes) -> bytes:
    """``}`` is followed by the byte it hides, XORed with 0x20."""
    if b"}" not in payload:
        return payload
    plain = bytearray()
    escaped = False
    for byte in payload:
        if escaped:
            plain.append(byte ^ 0x20)
            escaped = False
        elif byte == 0x7D:
            escaped = True
        else:
            plain.append(byte)
    return bytes(plain)
