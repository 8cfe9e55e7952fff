"""Progress of a build: stages with their times, written by the build hooks and by nobody else.

Frontends show a backend's standard error in different ways: ``build`` passes it through, ``pip`` keeps it back unless
``-v`` is given or the build fails. So that ``pip wheel .`` is not silent for minutes, stages are also written to the
terminal when pip runs us (it sets ``PIP_BUILD_TRACKER``) in the foreground of one.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import IO, Iterator, List, Mapping, Optional


class Reporter:
    """Writes stages and notes for people; keeps detail back unless it is wanted.

    :param streams: where stages go.
    :param verbose: whether :meth:`detail` writes too.
    """

    def __init__(self, streams: Optional[List[IO[str]]] = None, *, verbose: bool = False) -> None:
        self._streams = [sys.stderr] if streams is None else streams
        self._depth = 0
        self.verbose = verbose

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce a stage, and its time in seconds when it has ended well."""
        self.note(f"{name} ...")
        began = time.monotonic()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        self.note(f"{name}: {time.monotonic() - began:.1f} s")

    def note(self, text: str) -> None:
        """Write a line that everybody should see."""
        self._write(text, self._streams)

    def fail(self, text: str) -> None:
        """Write the message of an error, as it is."""
        for stream in self._streams:
            stream.write(f"\n{text}\n")
            stream.flush()

    def detail(self, text: str) -> None:
        """Write a line that is wanted only with ``verbose``; pip shows it with ``-v``."""
        if self.verbose:
            self._write(text, self._streams[:1])

    def _write(self, text: str, streams: List[IO[str]]) -> None:
        for stream in streams:
            for line in text.splitlines():
                stream.write(f"baseline-build: {'  ' * self._depth}{line}\n")
            stream.flush()


@contextlib.contextmanager
def reporting(environ: Mapping[str, str], *, verbose: bool) -> Iterator[Reporter]:
    """A reporter for a build hook under the frontend that *environ* tells of."""
    under_pip = "PIP_BUILD_TRACKER" in environ
    terminal = _terminal() if under_pip and "CI" not in environ and not sys.stderr.isatty() else None
    streams: List[IO[str]] = [sys.stderr] if terminal is None else [sys.stderr, terminal]
    try:
        # What pip keeps back anyway may as well be complete: with -v, or after a failure, it is there.
        yield Reporter(streams, verbose=verbose or under_pip)
    finally:
        if terminal is not None:
            terminal.close()


def _terminal() -> Optional[IO[str]]:
    """The controlling terminal, if this process is in its foreground."""
    try:
        descriptor = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        return None
    try:
        foreground = os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        foreground = False
    if not foreground:
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")
