"""A command line being taken apart (:class:`Line`), and what is left of it (:class:`Outcome`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from ..isa.model import Machine
from ..isa.tables import isa_of
from .tables import Meaning, level_of, meaning

# Words by which LLVM's code generator is told of an instruction set, wherever they are passed on to it.
CODE_GENERATOR = re.compile(r"-{0,2}(plugin-opt=|lto-)?-?(mcpu|mattr|march)[=,]|-{0,2}(mcpu|mattr|march)\Z")


@dataclass(frozen=True)
class Outcome:
    """What the filter made of a command line.

    :param arguments: what may stay, in order.
    :param removed: options taken off, as they stood (pairs joined by a blank).
    :param foreign: those of them that ask for more than the level.
    :param unknown: options that begin with ``-m`` and are in no table; they are among ``arguments``.
    """

    arguments: Tuple[str, ...]
    removed: Tuple[str, ...]
    foreign: Tuple[str, ...]
    unknown: Tuple[str, ...]


class Line:
    """A command line being taken apart: the arguments, the place, and the four lists of an :class:`Outcome`."""

    def __init__(self, arguments: Sequence[str], machine: str, level: Optional[str]) -> None:
        self.arguments = list(arguments)
        self.machine = machine
        self.level = level
        self.kept: List[str] = []
        self.removed: List[str] = []
        self.foreign: List[str] = []
        self.unknown: List[str] = []
        self.place = 0
        self.keyword: Optional[Tuple[int, int]] = None  # where the linker option -z stands that waits for its value

    def next(self) -> str:
        """The next argument, which is then taken."""
        self.place += 1
        return self.arguments[self.place - 1]

    def peek(self, ahead: int = 0) -> Optional[str]:
        """The argument *ahead* of the next one, ``None`` behind the end."""
        place = self.place + ahead
        return self.arguments[place] if place < len(self.arguments) else None

    def keep(self, *arguments: str) -> None:
        """Let *arguments* stay."""
        self.kept.extend(arguments)

    def drop(self, text: str, *, foreign: bool) -> None:
        """Take *text* off."""
        self.removed.append(text)
        if foreign:
            self.foreign.append(text)

    def judge(self, option: str) -> Meaning:
        """What the ``-m…`` *option* means here."""
        return meaning(option, self.machine, self.level)

    def outcome(self) -> Outcome:
        """What is left."""
        return Outcome(tuple(self.kept), tuple(self.removed), tuple(self.foreign), tuple(self.unknown))


def feature_allowed(name: str, machine: str, level: Optional[str]) -> bool:
    """Whether *name*, an LLVM feature, is part of *level*. Names that are no extension (``x87``) are allowed."""
    if level is None:
        return True
    isa = isa_of(Machine(machine))
    spelled = {"neon": "simd", "fp-armv8": "fp", "crc32": "sse4.2", "x87": "", "crt-static": ""}.get(name, name)
    if isa is None or not spelled:
        return True
    return spelled in level_of(machine, level).features or name.startswith(("retpoline", "outline-atomics", "reserve-"))
