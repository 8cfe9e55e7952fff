"""Run a command on an emulated CPU of just one level, and tell which instruction it died of.

The emulator is qemu's user mode. Nothing is compiled and nothing is injected into the command: the place of an illegal
instruction is read through the emulator's own debugger socket, the Python frames come from :mod:`faulthandler`, and
programs that the command starts are brought under the emulator too (:mod:`.family`).
"""

from __future__ import annotations

from .cpus import Cpu, Gap, cpu_for, cpus, find, gaps
from .faults import Crash, error_of
from .running import EXIT_ILLEGAL_INSTRUCTION, Outcome, machine_of, run

__all__ = [
    "EXIT_ILLEGAL_INSTRUCTION",
    "Cpu",
    "Crash",
    "Gap",
    "Outcome",
    "cpu_for",
    "cpus",
    "error_of",
    "find",
    "gaps",
    "machine_of",
    "run",
]
