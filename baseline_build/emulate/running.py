"""Starts the emulator, watches every process of the command, and says how it ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..errors import ConfigError, ToolError
from . import family, surroundings
from .cpus import Cpu, cpu_for, find
from .faults import Crash, locate, python_frames
from .gdb import SIGILL, DisconnectedError, Fault, Session

EXIT_ILLEGAL_INSTRUCTION = 132
"""128 + SIGILL: the exit status of a command that died of an instruction above the level, as shells report it."""

_MACHINES = {62: "x86-64", 3: "i386", 183: "aarch64", 40: "arm", 21: "ppc64le", 22: "s390x", 243: "riscv64"}
_TRIPLES = {"aarch64": "aarch64-linux-gnu", "i386": "i686-linux-gnu", "x86-64": "x86_64-linux-gnu"}
_KEPT = 1 << 16  # bytes of stderr kept to look for faulthandler's stack
_NOISE = (b"qemu: uncaught target signal", b"warning: TCG doesn't support requested feature")


@dataclass(frozen=True)
class Outcome:
    """How the command ended.

    :param status: as a shell reports it: the command's own, or 128 + signal; 132 when any of its processes died of an
        illegal instruction.
    :param level: the level of the emulated CPU.
    :param crash: where that was.
    :param notes: what limits the proof: instructions the emulator runs all the same, processes it could not follow.
    """

    status: int
    level: str
    crash: Optional[Crash]
    notes: Tuple[str, ...]


def machine_of(program: Path) -> Optional[str]:
    """The machine of the ELF file *program* under the name reports use; ``None`` for anything else."""
    with program.open("rb") as stream:
        head = stream.read(20)
    if len(head) < 20 or not head.startswith(b"\x7fELF"):
        return None
    number = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return _MACHINES.get(number, "other")


def run(
    command: Sequence[str],
    level: Optional[str],
    *,
    environ: Optional[Mapping[str, str]] = None,
    cwd: Optional[Path] = None,
    sysroot: Optional[Path] = None,
    sink: Optional[Callable[[bytes], object]] = None,
    stdout: Optional[int] = None,
) -> Outcome:
    """Run *command* on an emulated CPU of *level* (``None``: the lowest of the program's machine).

    The command gets our stdin. Its stderr goes to *sink* chunk by chunk (default: our stderr), without the
    emulator's own lines.

    :param sysroot: where the dynamic linker and libraries of a foreign program are (``qemu -L``); found by itself
        where the distribution's cross compiler put them.
    :param stdout: file descriptor for the command's stdout; ours by default.
    :raises ConfigError: BB253 for a command that does not exist; BB510, BB511 for a level that cannot be emulated.
    :raises ToolError: BB512, BB513 for a missing or too old emulator.
    """
    variables = dict(os.environ if environ is None else environ)
    line = _resolve(command, variables.get("PATH", os.defpath))
    machine = machine_of(Path(line[0]))
    if machine is None:
        raise ConfigError("BB253", "it is neither an ELF program nor a script", where=line[0])
    cpu = cpu_for(level, machine)
    emulator = find(cpu)
    variables.setdefault("PYTHONFAULTHANDLER", "1")
    variables["QEMU_CPU"] = cpu.model  # programs that the kernel hands to qemu by itself (binfmt_misc) get it too
    with tempfile.TemporaryDirectory(prefix="baseline-build-run-") as scratch:
        root = surroundings.prefix(cpu, sysroot or _sysroot(machine), Path(scratch, "prefix"))
        if root is not None:
            variables["QEMU_LD_PREFIX"] = str(root)
        watcher = _Watcher(cpu, emulator, Path(scratch), sink or (lambda data: os.write(2, data)), stdout)
        return watcher.run(line, variables, cwd)


def _resolve(command: Sequence[str], path: str) -> List[str]:
    """*command* with its program found on *path* and scripts replaced by their interpreters, as the kernel would."""
    found = shutil.which(command[0], path=path) if command else None
    if found is None:
        name = command[0] if command else ""
        if os.path.isfile(name):
            raise ConfigError("BB253", "this file may not be executed", where=name, fix="chmod +x, or name a program")
        raise ConfigError("BB253", "there is no such command", where=name, fix="write it with its full path")
    line = [os.path.abspath(found), *command[1:]]
    for _ in range(4):  # the kernel's own limit on interpreters of interpreters
        with open(line[0], "rb") as stream:
            first = stream.readline(4096)
        if not first.startswith(b"#!"):
            break
        words = first[2:].decode("utf-8", "surrogateescape").strip().split(None, 1)
        if not words:
            break
        line = [*words, *line]
    return line


def _sysroot(machine: str) -> Optional[Path]:
    """The folder with a foreign machine's dynamic linker, where Debian's and Fedora's cross packages put it."""
    if machine == {"x86_64": "x86-64"}.get(os.uname().machine, os.uname().machine):
        return None
    triple = _TRIPLES.get(machine)
    for folder in (f"/usr/{triple}", f"/usr/{triple}/sys-root"):
        if triple and os.path.isdir(os.path.join(folder, "lib")):
            return Path(folder)
    return None


class _Watcher:
    """One run: its threads and what they found."""

    def __init__(
        self, cpu: Cpu, emulator: str, scratch: Path, sink: Callable[[bytes], object], stdout: Optional[int]
    ) -> None:
        self._cpu = cpu
        self._emulator = emulator
        self._scratch = scratch
        self._sink = sink
        self._stdout = stdout
        self._tail = b""
        self._sessions: Dict[int, threading.Thread] = {}
        self._faults: Dict[int, Tuple[Fault, str]] = {}
        self._illegal: List[int] = []
        self._ended: Set[int] = set()
        self._launches = 0
        self._sockets: Dict[int, Path] = {}
        self._notes: List[str] = []
        self._followed = False

    def run(self, line: List[str], environ: Mapping[str, str], cwd: Optional[Path]) -> Outcome:
        """Run *line* to its end."""
        result: List[int] = []
        failure: List[BaseException] = []
        started = threading.Event()
        process: List[subprocess.Popen[bytes]] = []

        def supervise() -> None:
            # A tracer is a thread, not a process: starting, seizing and waiting must all happen in this one.
            try:
                process.append(self._start(line, environ, cwd))
                started.set()
                result.append(self._supervise(process[0]))
            except BaseException as error:  # noqa: BLE001 - handed to the calling thread, which raises it
                failure.append(error)
            finally:
                started.set()

        tracer = threading.Thread(target=supervise, name="tracer", daemon=True)
        tracer.start()
        started.wait()
        reader = threading.Thread(target=self._forward, args=(process,), name="stderr", daemon=True)
        reader.start()
        try:
            tracer.join()
        except KeyboardInterrupt:
            tracer.join(2)  # the terminal sent it to the command as well
            if tracer.is_alive() and process:
                process[0].kill()
                tracer.join()
            raise
        # Background children may hold the pipe open for ever; what the command itself wrote is there by now.
        reader.join(1 if process else 0)
        if failure:
            raise failure[0]
        return self._outcome(result[0], line[0])

    def _prefix(self, process: int) -> List[str]:
        """The emulator's command line up to the program, with a debugger socket of its own for *process*."""
        self._launches += 1
        # A number of its own for each start: a process may run several programs, one after the other.
        path = self._sockets[process] = self._scratch / str(self._launches)
        return [self._emulator, "-cpu", self._cpu.model, "-g", str(path)]

    def _start(self, line: List[str], environ: Mapping[str, str], cwd: Optional[Path]) -> subprocess.Popen[bytes]:
        command = [*self._prefix(0), "-0", line[0], *line]
        try:
            process = subprocess.Popen(command, env=dict(environ), cwd=cwd, stdout=self._stdout, stderr=subprocess.PIPE)
        except OSError as error:
            raise ToolError("BB514", f"the emulator did not start: {error}", where=self._emulator) from error
        try:
            family.seize(process.pid)
        except OSError as error:
            self._note(f"programs that the command starts ran on this machine's own CPU: no tracing ({error.strerror})")
            self._followed = False
        else:
            self._followed = True
            if not family.can_follow(self._cpu.machine) and self._cpu.machine == _own_machine():
                self._note("programs that the command starts ran on this machine's own CPU")
        self._watch(process.pid, self._sockets[0], line[0])
        return process

    def _supervise(self, process: subprocess.Popen[bytes]) -> int:
        if self._followed:
            status = family.wait(process, self._emulator, self._prefix, self._child_started, self._child_ended)
        else:
            _, status = os.waitpid(process.pid, 0)
            self._child_ended(process.pid, status)
        process.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return process.returncode

    def _child_started(self, process: int) -> None:
        path = self._sockets.get(process)
        arguments = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        if path is None or str(path).encode() not in arguments:
            return  # the command runs qemu itself; what happens in there is its own affair
        program = arguments[arguments.index(b"-0") + 2].decode("utf-8", "surrogateescape")
        self._watch(process, path, program)

    def _child_ended(self, process: int, status: int) -> None:
        self._ended.add(process)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == SIGILL:
            self._illegal.append(process)

    def _watch(self, process: int, path: Path, program: str) -> None:
        thread = threading.Thread(target=self._debug, args=(process, path, program), name=f"gdb-{process}", daemon=True)
        self._ended.discard(process)  # numbers are given again
        self._sessions[process] = thread
        thread.start()

    def _debug(self, process: int, path: Path, program: str) -> None:
        try:
            session = Session(str(path), self._cpu.machine, lambda: process not in self._ended)
        except DisconnectedError:
            return  # it ended before it ran: its exit status tells
        try:
            fault = session.watch()
        except DisconnectedError:
            return  # it became another program, which has a session of its own
        finally:
            session.close()
        if fault is not None:
            self._faults[process] = (fault, program)

    def _forward(self, process: List[subprocess.Popen[bytes]]) -> None:
        """Hand the command's stderr on, but for the emulator's own lines."""
        if not process or process[0].stderr is None:
            return
        with process[0].stderr as pipe:
            self._copy(pipe.fileno())

    def _copy(self, source: int) -> None:
        held = b""
        while True:
            data = os.read(source, 65536)
            self._tail = (self._tail + data)[-_KEPT:]
            lines = (held + data).splitlines(keepends=True)
            held = b""
            if data and lines and lines[-1].startswith(b"qemu") and not lines[-1].endswith(b"\n"):
                held = lines.pop()
            kept = b"".join(text for text in lines if not (text.startswith(b"qemu") and any(n in text for n in _NOISE)))
            if kept:
                self._sink(kept)
            if not data:
                return

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)

    def _outcome(self, returned: int, program: str) -> Outcome:
        status = 128 - returned if returned < 0 else returned
        for limit in self._cpu.limits:
            self._note(limit)
        if surroundings.cpuinfo(self._cpu, 1) is None:
            self._note(surroundings.UNTOLD)
        if not self._illegal:
            return Outcome(status, self._cpu.level, None, tuple(self._notes))
        process = self._illegal[0]
        if process in self._sessions:
            self._sessions[process].join(5)
        if process in self._faults:
            fault, of = self._faults[process]
            crash = locate(fault, process, of, self._cpu.machine, self._tail)
        else:
            self._note("the process that died was forked without running a program: the emulator cannot look into it")
            crash = Crash(process, program, None, None, b"", "", (), None, python_frames(self._tail))
        return Outcome(EXIT_ILLEGAL_INSTRUCTION, self._cpu.level, crash, tuple(self._notes))


def _own_machine() -> str:
    machine = os.uname().machine
    return {"x86_64": "x86-64", "i686": "i386"}.get(machine, machine)
