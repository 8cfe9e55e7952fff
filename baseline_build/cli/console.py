"""The only place that writes to the terminal: results to stdout, everything else to stderr."""

from __future__ import annotations

import os
import shutil
import sys
import time
from types import TracebackType
from typing import Callable, Optional, TextIO, Type, final

_PATIENCE = 1.0  # seconds before progress is worth a line
_REDRAW = 0.1  # seconds between two redraws


def wants_colour(stream: TextIO) -> bool:
    """Whether to colour what goes to *stream*: NO_COLOR, then FORCE_COLOR (https://no-color.org), then a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class Console:
    """Where a command's text goes.

    :param verbosity: -1 quiet, 0 normal, 1 and more verbose.
    """

    def __init__(self, verbosity: int = 0, *, stdout: Optional[TextIO] = None, stderr: Optional[TextIO] = None) -> None:
        self.verbosity = verbosity
        self.stdout = stdout if stdout is not None else sys.stdout
        self.stderr = stderr if stderr is not None else sys.stderr

    @property
    def width(self) -> int:
        """Columns of the terminal; 80 where there is none (a pipe, a file) and COLUMNS says nothing."""
        return shutil.get_terminal_size((80, 24)).columns

    @property
    def whole_words(self) -> bool:
        """Whether names longer than a line stay whole: no terminal shows them, a program may look for them."""
        return not self.stdout.isatty()

    @property
    def colour(self) -> bool:
        """Whether results on stdout are coloured."""
        return wants_colour(self.stdout)

    def result(self, text: str) -> None:
        """Write *text*, the answer that was asked for, to stdout as it is."""
        try:
            self.stdout.write(text)
        except UnicodeEncodeError:
            encoding = self.stdout.encoding or "ascii"
            self.stdout.write(text.encode(encoding, "replace").decode(encoding))
        self.stdout.flush()

    def status(self, text: str) -> None:
        """One line on what is going on, to stderr; nothing with ``-q``."""
        if self.verbosity >= 0:
            self._line(text)

    def detail(self, text: str) -> None:
        """A line that only ``-v`` shows, to stderr."""
        if self.verbosity >= 1:
            self._line(text)

    def problem(self, text: str) -> None:
        """An error or warning, to stderr, always."""
        if wants_colour(self.stderr):
            first, newline, rest = text.partition("\n")
            text = f"\033[1;31m{first}\033[0m{newline}{rest}"
        self._line(text)

    def progress(self, what: str) -> Progress:
        """A progress line for work called *what*; it draws nothing on pipes, with ``-q`` or within the first second."""
        return Progress(what, self.stderr, enabled=self.verbosity >= 0 and self.stderr.isatty(), width=self.width)

    def _line(self, text: str) -> None:
        encoding = self.stderr.encoding or "ascii"
        self.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        self.stderr.flush()


@final
class Progress:
    """One line on the terminal that is redrawn, and wiped at the end; call it with (done, total, what).

    ``total`` 0 means unknown. Amounts are in bytes when ``total`` is 10,000 or more, in things below.
    """

    def __init__(
        self, what: str, stream: TextIO, *, enabled: bool, width: int = 80, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._stream = stream
        self._enabled = enabled
        self._width = width
        self._clock = clock
        self._started = self._drawn = clock()
        self._visible = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.clear()

    def __call__(self, done: int, total: int, what: str = "") -> None:
        """Tell that *done* of *total* is finished and *what* is being worked on."""
        now = self._clock()
        if not self._enabled or now - self._started < _PATIENCE or now - self._drawn < _REDRAW:
            return
        self._drawn = now
        self._visible = True
        line = f"{self._what} {_amount(done, total)} {what}"[: self._width - 1]
        self._stream.write(f"\r\033[K{line}")
        self._stream.flush()

    def clear(self) -> None:
        """Wipe the line, so that what comes next starts on an empty one."""
        if self._visible:
            self._stream.write("\r\033[K")
            self._stream.flush()
            self._visible = False


def _amount(done: int, total: int) -> str:
    if not total:
        return f"{done:,}"
    share = 100 * done // total
    if total < 10_000:
        return f"{done}/{total} ({share} %)"
    return f"{done / 1e6:.1f}/{total / 1e6:.1f} MB ({share} %)"
