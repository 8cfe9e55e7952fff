"""A raw fault -> the instruction, its feature, the file, the function and the Python frames."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from ..errors import BaselineBuildError, BrokenInputError, ToolError, ViolationError
from ..isa import AARCH64, X86, Machine, isa_of
from .gdb import Fault, Module

_STACK = re.compile(rb"^(?:Current thread|Stack) ?.*most recent call first.*\n((?:  File .*\n?)+)", re.MULTILINE)
_FRAME = re.compile(rb'  File "(.*)", line (\d+) in (.*)')


@dataclass(frozen=True)
class Crash:
    """Where a process died of an illegal instruction.

    :param process: its number.
    :param file: the ELF file that holds the instruction; ``None`` where the process could not be looked into.
    :param address: the instruction's virtual address within *file*.
    :param function: its name, or ``fn@ADDRESS``.
    :param data: its bytes.
    :param instruction: its mnemonic; empty where it is unknown.
    :param features: what it needs.
    :param level: the lowest level that has them, ``None`` where no level does.
    :param python: the Python frames, ``file:line in function``, innermost first.
    """

    process: int
    file: Optional[str]
    address: Optional[int]
    function: Optional[str]
    data: bytes
    instruction: str
    features: Tuple[str, ...]
    level: Optional[str]
    python: Tuple[str, ...]


def python_frames(output: bytes) -> Tuple[str, ...]:
    """The frames of the last stack that :mod:`faulthandler` wrote to *output*, innermost first."""
    stacks = _STACK.findall(output)
    if not stacks:
        return ()
    # PyPy's own start-up code is Python as well and stands below the user's.
    frames = [frame for frame in _FRAME.findall(stacks[-1]) if not frame[0].startswith(b"<builtin>/")]
    return tuple(
        f"{file.decode('utf-8', 'replace')}:{int(line)} in {function.decode('utf-8', 'replace')}"
        for file, line, function in frames
    )


def locate(fault: Fault, process: int, program: str, machine: str, output: bytes) -> Crash:
    """Name everything that can be named about *fault*.

    :param program: path of the program the process runs.
    :param output: what the process wrote to stderr.
    """
    from .. import decode

    kind = Machine(machine)
    instruction = decode.instruction(kind, fault.data, fault.address)
    isa = isa_of(kind)
    features = isa.reduced(instruction.features) if isa else instruction.features
    level = isa.lowest_level(instruction.features) if isa and instruction.features else None
    file, address, function = _place(fault, program)
    return Crash(
        process,
        file,
        address,
        function,
        fault.data[: instruction.length],
        instruction.mnemonic if instruction.valid else "",
        tuple(sorted(features)),
        level.name if level else None,
        python_frames(output),
    )


def _place(fault: Fault, program: str) -> Tuple[Optional[str], Optional[int], Optional[str]]:
    """The file, address within it and function of *fault*.

    The linker's list gives where each file was put; the file's own segments say how far it reaches. A program
    without a dynamic linker has no list: its addresses are its own.
    """
    modules = fault.modules or (Module(0, "", 0),)
    for module in modules:
        path = module.name or program
        if not Path(path).is_file():
            continue  # the kernel's vDSO has a name and no file
        address = fault.address - module.bias
        function = _function(path, address)
        if function is not None:
            return path, address, function
    return None, fault.address, None


def _function(path: str, address: int) -> Optional[str]:
    """The function of the ELF file at *path* that holds *address*; ``None`` when the file holds no such code."""
    from .. import elf

    try:
        image = elf.parse(Path(path).read_bytes(), path)
    except BrokenInputError:
        return None  # the guest's linker took it, our stricter reader does not; another file may still match
    if not image.is_code(address):
        return None
    return image.label(address)


def error_of(crash: Crash, level: str) -> BaselineBuildError:
    """*crash* as the error BB515: what no CPU of *level* can run, where it stands, who called it.

    BB516 where CPUs of *level* do have the instruction, and only the emulator has not.
    """
    name = crash.instruction or (f"the bytes {crash.data.hex(' ')}" if crash.data else "an instruction")
    needs = f" ({'+'.join(crash.features)}{f', {crash.level}' if crash.level else ''})" if crash.features else ""
    place = crash.file or "unknown file"
    if crash.address is not None:
        place += f"+{crash.address:#x}"
    details = [f"  function: {crash.function}"] if crash.function else []
    details += [f"  bytes: {crash.data.hex(' ')}"] if crash.data else []
    details += [f"  python: {frame}" for frame in crash.python]
    if _of_level(crash, level):
        return ToolError(
            "BB516",
            "\n".join([f"the emulator has no {name}{needs}, which a CPU of {level} has", *details]),
            where=place,
            why="qemu's user mode leaves some instructions out of the levels it emulates; the code is not to blame",
            fix="run it on a real CPU of that level, or emulate a lower one, where a careful program avoids it",
        )
    return ViolationError(
        "BB515",
        "\n".join([f"a CPU of {level} has no {name}{needs}", *details]),
        where=place,
        why="the emulated CPU stopped the process with SIGILL, as a real one of that level would",
        fix="compile that file for the level, or let the program ask the CPU before it goes there",
    )


def _of_level(crash: Crash, level: str) -> bool:
    """Whether every feature that *crash* needed is one of *level*'s."""
    for isa in (X86, AARCH64):
        if any(level == one.name for one in isa.levels):
            return bool(crash.features) and isa.closure(frozenset(crash.features)) <= isa.level(level).features
    return False
