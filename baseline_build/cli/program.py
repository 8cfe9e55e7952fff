"""Finds the command, runs it, and turns errors into messages and exit statuses."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import sys
import traceback
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from .. import __version__
from ..errors import (
    EXIT_INTERNAL,
    BaselineBuildError,
    ConfigError,
    InternalError,
)
from .console import Console
from .options import nearest
from .refusals import refusal

COMMANDS: Dict[str, str] = {
    "scan": "say which CPU a wheel, ELF file or folder needs",
    "repair": "scan, auditwheel repair, scan again, hand the wheel over",
    "run": "run a command on an emulated CPU of one level",
    "explain": "say what a code means, or what stands at an address",
    "config": "show every setting, its value and where it came from",
    "vendor": "fetch, check or list the pinned sources",
    "verify": "build a project, scan the result; twice, and compare the bytes",
    "mark": "write the level that the code needs into wheels and ELF files",
    "completion": "print a completion script for bash, zsh or fish",
}
"""Every command and what it does, in the order the help lists them; each is a module of this package."""

_EXIT_INTERRUPTED = 130  # 128 + SIGINT, what shells report
_EXIT_UNREAD = 141  # 128 + SIGPIPE, likewise


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line *argv* (``sys.argv[1:]`` when ``None``) and return its exit status; never raises."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    console = Console()
    verbose = any(a == "--verbose" or (a.startswith("-v") and not a.startswith("--")) for a in _own(arguments))
    try:
        return _dispatch(arguments, console)
    except BaselineBuildError as error:
        console.problem(str(error))
        return error.exit_code
    except SystemExit as stop:  # argparse's --help
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        console.problem("BB254: interrupted\n  fix: run it again; nothing unfinished was left in an output folder")
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        _give_up_stdout()  # the reader of our output (head, a pager) went away: nobody is left to tell
        return _EXIT_UNREAD
    except OSError as error:
        _give_up_stdout()
        failure = refusal(error)
        console.problem(str(failure))
        return failure.exit_code
    except Exception as error:  # noqa: BLE001 - the last resort: a bug becomes a message that says what to report
        console.problem(str(_bug(error)))
        if verbose:
            console.problem("".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip())
        return EXIT_INTERNAL


def _give_up_stdout() -> None:
    """Send what stdout still holds to the void: Python would try to write it again at exit, and fail again."""
    with contextlib.suppress(OSError, ValueError):  # a stdout that is no file has nothing to flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _own(arguments: Sequence[str]) -> List[str]:
    """What stands before ``--``: behind it is another program's command line."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return list(arguments[:end])


def _dispatch(arguments: List[str], console: Console) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        console.result(_help())
        return 0 if arguments else ConfigError.exit_code
    if arguments[0] in ("-V", "--version"):
        console.result(f"baseline-build {__version__}\n")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        near = nearest(name, list(COMMANDS))
        what = f"the option {name} is unknown here" if name.startswith("-") else f"the command {name!r} is unknown"
        raise ConfigError(
            "BB250", what, fix=f"did you mean {near}?" if near else f"choose one of {', '.join(COMMANDS)}"
        )
    module = importlib.import_module(f".{name}", __package__)
    status: int = module.main(arguments[1:], console)
    return status


def _help() -> str:
    lines = [
        "usage: baseline-build COMMAND [OPTION…]",
        "",
        "Python wheels that run on every CPU of their architecture, proven from the",
        "machine code.",
        "",
        "commands:",
        *(f"  {name:<11}{text}" for name, text in COMMANDS.items()),
        "",
        "baseline-build COMMAND --help shows a command's options; --version the version.",
        "",
        "exit status: 0 clean or guarded, 1 violation, 2 usage or configuration,",
        "3 unproven or undecided, 4 broken input, 5 an external tool failed, 70 our bug.",
    ]
    return "\n".join(lines) + "\n"


def _bug(error: Exception) -> InternalError:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else None
    text = " ".join(str(error).split())
    return InternalError(
        "BB900",
        f"unexpected {type(error).__name__}: {text}" if text else f"unexpected {type(error).__name__}",
        where=place,
        why="this is a bug in baseline-build; nothing was proven about your files",
        fix=(
            "run the same command with -v and report its output, the file it happened on, and: "
            f"baseline-build {__version__}, Python {platform.python_version()} "
            f"({platform.python_implementation()}) on {platform.machine()}"
        ),
    )
