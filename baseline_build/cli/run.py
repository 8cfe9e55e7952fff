"""``baseline-build run``: a command on an emulated CPU of just one level."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Sequence

from ..errors import ConfigError
from .console import Console
from .levels import level
from .options import Arguments as Shared
from .options import Parser

_EPILOG = """\
The exit status is the command's own, 128 + the signal it died of, and 132 when
the command or a program it started ran an instruction above the level.

example: baseline-build run --level x86-64 -- python -c 'import numpy'
"""


class Arguments(Shared):
    """Options of ``run``."""

    level: Optional[str]
    sysroot: Optional[str]
    command: List[str]


def parser() -> Parser:
    """The parser of ``run``; the command itself, behind ``--``, is not its business."""
    made = Parser("run", "Run a command, and all it starts, on an emulated CPU of one level.", epilog=_EPILOG)
    made.usage = "baseline-build run [--level LEVEL] [--sysroot DIR] -- COMMAND [ARGUMENT…]"
    made.add_argument(
        "--level",
        type=level,
        metavar="LEVEL",
        help="the level of the CPU; default: the lowest of the program's machine",
    )
    made.add_argument("--sysroot", metavar="DIR", help="where a foreign program's dynamic linker and libraries are")
    return made


def main(argv: Sequence[str], console: Console) -> int:
    """Run ``run`` with *argv*; the command's exit status, or 132."""
    own, found, command = _halves(argv)
    arguments = Arguments()
    parser().read(own, arguments)
    console.verbosity = arguments.verbose - arguments.quiet
    if not found or not command:
        raise ConfigError(
            "BB250", "the command to run is missing", fix="write it behind two dashes: run --level x86-64 -- COMMAND"
        )
    from .. import emulate

    outcome = emulate.run(command, arguments.level, sysroot=Path(arguments.sysroot) if arguments.sysroot else None)
    if outcome.crash is not None:
        console.problem(str(emulate.error_of(outcome.crash, outcome.level)))
    for note in outcome.notes:
        console.status(f"note: {note}")
    return outcome.status


def _halves(argv: Sequence[str]) -> tuple[List[str], bool, List[str]]:
    """What stands before and behind the first ``--``, and whether there is one."""
    if "--" not in argv:
        return list(argv), False, []
    middle = list(argv).index("--")
    return list(argv[:middle]), True, list(argv[middle + 1 :])
