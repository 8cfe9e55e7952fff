"""Builds that are told to end: they leave nothing behind either."""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType
from typing import Iterator, Optional

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextlib.contextmanager
def ended_cleanly() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block by SystemExit, so that work folders are removed on the way out.

    By default they end a process at once (POSIX, ``<signal.h>``). A handler that somebody has set stays, and so does a
    signal that is ignored. Only the main thread may set handlers; elsewhere nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    mine = [one for one in _SIGNALS if signal.getsignal(one) is signal.SIG_DFL]
    for one in mine:
        signal.signal(one, _end)
    try:
        yield
    finally:
        for one in mine:
            signal.signal(one, signal.SIG_DFL)


def _end(number: int, _frame: Optional[FrameType]) -> None:
    raise SystemExit(128 + number)
