"""Runs the external programs of a build and keeps what they say."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import IO, List, Mapping, Optional, Sequence

from ..errors import ToolError
from .reporter import Reporter

_TAIL = 40
_WORTH_SHOWING = ("error", "Error", "FAILED", "undefined", "fatal", "CMake Error")


def run_tool(
    command: Sequence[str],
    *,
    log: Path,
    reporter: Reporter,
    environ: Optional[Mapping[str, str]] = None,
    cwd: Optional[Path] = None,
) -> None:
    """Run *command*; its output goes to the file *log*, and to the reporter as detail.

    :param environ: the whole environment; that of this process by default.
    :raises ToolError: BB701 when it cannot be started, BB702 when it fails, with the lines that say why.
    """
    reporter.detail(f"$ {shlex.join(command)}")
    lines: List[str] = []
    with log.open("a", encoding="utf-8", errors="replace") as stream:
        stream.write(f"$ {shlex.join(command)}\n")
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(os.environ if environ is None else environ),
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise ToolError(
                "BB701",
                f"cannot be started: {error.strerror}",
                where=command[0],
                fix="make it executable, or name another program"
                if isinstance(error, PermissionError)
                else "install the program, or the interpreter that its first line names",
            ) from error
        with process:
            assert process.stdout is not None
            _follow(process.stdout, stream, lines, reporter)
    if process.returncode:
        raise ToolError(
            "BB702",
            f"{Path(command[0]).name} ended with exit status {process.returncode}",
            where=shlex.join(command),
            why="the tool wrote:\n    " + "\n    ".join(_telling(lines)),
            fix="mend what the tool complains about; -C verbose=true shows everything it wrote",
        )


def _follow(output: IO[str], stream: IO[str], lines: List[str], reporter: Reporter) -> None:
    for line in output:
        stream.write(line)
        lines.append(line.rstrip("\n"))
        reporter.detail(line.rstrip("\n"))


def _telling(lines: Sequence[str]) -> Sequence[str]:
    """The part of a tool's output that says why it failed: from the first line that speaks of an error."""
    for number, line in enumerate(lines):
        if any(word in line for word in _WORTH_SHOWING):
            return lines[number : number + _TAIL]
    return lines[-_TAIL:]
