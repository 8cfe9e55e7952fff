"""One writer at a time within this process.

LMDB's writer lock belongs to a thread: only the thread that took it can release it, and taking it twice in one thread
would wait forever. So threads queue here first, a second writing transaction in one thread is refused, and a writing
transaction whose thread died or that was dropped without an end is aborted by whoever may do so.
"""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Optional

from .errors import Error, error_for
from .native import lib

if TYPE_CHECKING:
    from .environment import Environment
    from .handles import TransactionHandle

_RECHECK_SECONDS = 0.5


class WriterSlot:
    """The place of the one top-level writing transaction of an environment."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owner: Optional[threading.Thread] = None
        self._handle: Optional[TransactionHandle] = None
        self._dropped = False

    @property
    def taken(self) -> bool:
        """Whether a writing transaction is active or being begun."""
        return self._owner is not None

    def claim(self, env: Environment) -> None:
        """Wait for the place and take it for this thread.

        Raises :class:`Error` (``EBUSY``) when this thread holds it already.
        """
        me = threading.current_thread()
        collected = False
        while True:
            self.end_dropped(env)
            with self._changed:
                if self._owner is None:
                    self._owner = me
                    return
                if self._owner is not me:
                    self._changed.wait(_RECHECK_SECONDS)
                    continue
            if collected:
                raise error_for(
                    "this thread already has a writing transaction; a second one would wait forever", lib.EBUSY
                )
            # Where objects are not counted, a transaction nobody refers to any more may still be alive.
            gc.collect()
            collected = True

    def hold(self, handle: TransactionHandle) -> None:
        """Remember what the claim led to."""
        with self._changed:
            self._handle = handle

    def release(self) -> None:
        """Give the place to the next thread."""
        with self._changed:
            self._owner = None
            self._handle = None
            self._dropped = False
            self._changed.notify_all()

    def may_end(self) -> bool:
        """Whether this thread can end the active transaction: it is its own, or its thread is gone."""
        owner = self._owner
        return owner is None or owner is threading.current_thread() or not owner.is_alive()

    def drop(self, handle: TransactionHandle) -> None:
        """*handle* was garbage-collected in a foreign thread: leave it to its own, or to the next claim."""
        with self._changed:
            if self._handle is handle:
                self._dropped = True

    def end_dropped(self, env: Environment) -> None:
        """Abort a transaction that nobody can end any more, when this thread may."""
        with self._changed:
            handle = self._handle
            gone = self._owner is not None and not self._owner.is_alive()
            if handle is None or not (self._dropped or gone) or not self.may_end():
                return
        env.end(handle, commit=False)

    def wait_for_others(self, env: Environment) -> None:
        """Wait until no other living thread writes."""
        while True:
            self.end_dropped(env)
            with self._changed:
                if self._handle is None or self.may_end():
                    return
                self._changed.wait(_RECHECK_SECONDS)


def foreign_thread_error() -> Error:
    """The exception for ending a writing transaction in another thread than it began in."""
    return Error("a writing transaction can only be ended by the thread that began it")
