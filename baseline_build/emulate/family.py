"""Keeps a whole family of processes under the emulator.

qemu's user mode emulates one process: when the guest runs another program, the kernel loads that one for the *host's*
CPU, and nothing of it is proven. So the family is traced (ptrace(2)): each program that starts natively is stopped
before its first instruction and turned into ``qemu PROGRAM`` by having it call ``execve`` once more.

Only x86-64 hosts with x86-64 guests need and get this; a foreign program cannot start natively at all.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from typing import Callable, List, Sequence, Set

_SEIZE, _CONTINUE, _GETREGS, _SETREGS, _LISTEN, _GETEVENTMSG = 0x4206, 7, 12, 13, 0x4208, 0x4201
_FORK, _VFORK, _CLONE, _EXEC, _STOP = 1, 2, 3, 4, 128
_OPTIONS = sum(1 << event for event in (_FORK, _VFORK, _CLONE, _EXEC))
_WALL, _WNOTHREAD = 0x40000000, 0x20000000
_GROUP_STOPS = (19, 20, 21, 22)  # SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU

# struct user_regs_struct of x86-64 <sys/user.h>, 27 words: the ones that are set here.
_REGISTERS = 27
_RDX, _RSI, _RDI, _ORIG_RAX, _RIP, _RSP = 12, 13, 14, 15, 16, 19
_CALL_EXECVE = b"\xb8\x3b\x00\x00\x00\x0f\x05\x0f\x0b"  # mov eax, 59; syscall; ud2 if it comes back
_SCRATCH = 96 * 1024  # bytes below the new stack pointer that the kernel has mapped (it maps 128 KiB)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def can_follow(machine: str) -> bool:
    """Whether programs of *machine* would start natively here and can be brought back under the emulator."""
    return machine == "x86-64" and os.uname().machine == "x86_64"


def _ptrace(request: int, task: int, address: object = None, data: object = None) -> None:
    if _libc.ptrace(request, task, address, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def seize(task: int) -> None:
    """Start to trace process *task*. Raises ``OSError`` where the system forbids it (seccomp, Yama)."""
    _ptrace(_SEIZE, task, None, ctypes.c_void_p(_OPTIONS))


def wait(
    process: subprocess.Popen[bytes],
    emulator: str,
    prefix: Callable[[int], Sequence[str]],
    started: Callable[[int], None],
    ended: Callable[[int, int], None],
) -> int:
    """Let the seized *process* and all its children run until it ends; its wait status.

    Must run in the thread that started and seized it.

    :param emulator: path of the emulator.
    :param prefix: the emulator's command line, up to the program, for a process number.
    :param started: called with a process number once the emulator runs there.
    :param ended: called with the number and wait status of every process that ended.
    """
    threads: Set[int] = set()
    while True:
        task, status = os.waitpid(-1, _WALL | _WNOTHREAD)
        if not os.WIFSTOPPED(status):
            if task not in threads:
                ended(task, status)
            threads.discard(task)
            if task == process.pid:
                return status
            continue
        signal, event = os.WSTOPSIG(status), status >> 16
        try:
            # A thread may die with its process before its own first stop is reported, so both events count.
            new = task if event == _STOP else _newcomer(task) if event == _CLONE else 0
            if new and _leader(new) != new:
                threads.add(new)
            if event == _EXEC:
                if os.path.samefile(f"/proc/{task}/exe", emulator):
                    started(task)
                else:
                    _bring_back(task, emulator, prefix(task))
            if event == _STOP and signal in _GROUP_STOPS:
                _ptrace(_LISTEN, task)
            else:
                _ptrace(_CONTINUE, task, None, ctypes.c_void_p(0 if event else signal))
        except (ProcessLookupError, FileNotFoundError):
            continue  # killed while it was stopped; its end is reported by the next wait


def _newcomer(task: int) -> int:
    """The number of the task that the stopped *task* has just cloned."""
    number = ctypes.c_ulong()
    _ptrace(_GETEVENTMSG, task, None, ctypes.byref(number))
    return number.value


def _leader(task: int) -> int:
    """The process that *task* is a thread of (its own number when it is one by itself)."""
    with open(f"/proc/{task}/status", encoding="ascii", errors="replace") as stream:
        for line in stream:
            if line.startswith("Tgid:"):
                return int(line.split()[1])
    return task


def _bring_back(task: int, emulator: str, prefix: Sequence[str]) -> None:
    """Make the freshly loaded program of *task* call ``execve`` of the emulator with itself as the argument."""
    registers = (ctypes.c_uint64 * _REGISTERS)()
    _ptrace(_GETREGS, task, None, ctypes.byref(registers))
    stack = registers[_RSP]
    with open(f"/proc/{task}/mem", "r+b", buffering=0) as memory:

        def words(address: int, count: int) -> List[int]:
            memory.seek(address)
            return list(struct.unpack(f"<{count}Q", memory.read(8 * count)))

        def text(address: int) -> bytes:
            collected = b""
            while b"\0" not in collected:
                memory.seek(address + len(collected))
                collected += memory.read(64)
            return collected.split(b"\0", 1)[0]

        count = words(stack, 1)[0]
        arguments = words(stack + 8, count)
        program = os.readlink(f"/proc/{task}/exe").encode()
        name = text(arguments[0]) if arguments else program
        front = [*(part.encode() for part in prefix), b"-0", name, program]
        strings = b"".join(part + b"\0" for part in (emulator.encode(), *front))
        vector = 8 * (len(front) + max(count - 1, 0) + 1)
        base = (stack - 256 - len(strings) - vector) & ~0xF
        if stack - base > _SCRATCH:
            raise OSError(7, "the argument list is too long to hand to the emulator", program.decode())
        pointers = []
        at = base + vector + len(emulator.encode()) + 1
        for part in front:
            pointers.append(at)
            at += len(part) + 1
        block = struct.pack(f"<{vector // 8}Q", *pointers, *arguments[1:], 0)
        memory.seek(base)
        memory.write(block + strings)
        memory.seek(registers[_RIP])
        memory.write(_CALL_EXECVE)
    registers[_RDI] = base + vector
    registers[_RSI] = base
    registers[_RDX] = stack + 8 + 8 * (count + 1)
    registers[_ORIG_RAX] = 0xFFFFFFFFFFFFFFFF  # no system call is to be restarted
    _ptrace(_SETREGS, task, None, ctypes.byref(registers))
