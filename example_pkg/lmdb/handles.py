"""What stands for LMDB's own objects, and who may end them.

The Python objects people hold (:class:`Transaction`, :class:`Cursor`, databases) never own native memory. They refer to
the handles here, which the environment keeps in one registry. Ending anything (commit, abort, close, a resized map, a
fork) empties the handle, so that every later use is refused instead of reaching freed memory, whichever thread or
garbage collector comes last.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Set

from .errors import closed_error
from .native import ffi, lib

if TYPE_CHECKING:
    from .database import _Database
    from .environment import Environment


class CursorHandle:
    """An ``MDB_cursor`` on *database* in *transaction*."""

    __slots__ = ("database", "native", "transaction")

    def __init__(self, native: Any, transaction: TransactionHandle, database: _Database) -> None:
        self.native: Any = native
        self.transaction = transaction
        self.database = database

    def live(self) -> Any:
        """The ``MDB_cursor``. Raises :class:`Error` when it or its transaction is closed."""
        if self.native is None:
            raise closed_error()
        return self.native

    def close(self) -> None:
        """Free it; the environment's guard is held. Closing twice is harmless."""
        native, self.native = self.native, None
        if native is not None:
            self.transaction.cursors.discard(self)
            lib.mdb_cursor_close(native)


class TransactionHandle:
    """An ``MDB_txn`` with all that depends on it.

    :ivar owner: the thread that began a writing transaction: LMDB's writer lock can only be released by it.
    :ivar mutations: counts writes of the whole family of nested transactions; cursors compare it to know whether what
        they remember still stands.
    """

    __slots__ = (
        "_views",
        "children",
        "cursors",
        "env",
        "native",
        "opened",
        "owner",
        "parent",
        "root_mutations",
        "write",
    )

    def __init__(self, env: Environment, native: Any, parent: Optional[TransactionHandle], write: bool) -> None:
        self.env = env
        self.native: Any = native
        self.parent = parent
        self.write = write
        self.owner = threading.current_thread() if write else None
        self.children: Set[TransactionHandle] = set()
        self.cursors: Set[CursorHandle] = set()
        self.opened: List[_Database] = []
        self.root_mutations: List[int] = parent.root_mutations if parent else [0]
        self._views: Dict[int, Any] = {}
        if parent:
            parent.children.add(self)

    @property
    def mutations(self) -> int:
        """How many writes this transaction, its ancestors and descendants made."""
        return self.root_mutations[0]

    def live(self) -> Any:
        """The ``MDB_txn``. Raises :class:`Error` when the transaction ended."""
        if self.native is None:
            raise closed_error()
        return self.native

    def mutated(self) -> None:
        """Note a write: LMDB may move or free pages, so views handed out before become unusable."""
        self.root_mutations[0] += 1
        handle: Optional[TransactionHandle] = self
        while handle is not None:
            if handle._views:
                handle.release_views()
            handle = handle.parent

    def view(self, value: Any) -> memoryview:
        """A read-only view of the bytes an ``MDB_val`` points to, released when they stop being valid."""
        # LMDB leaves the pointer undefined when there is nothing to point to.
        data = ffi.buffer(value.mv_data, value.mv_size) if value.mv_size else b""
        view = memoryview(data).toreadonly()
        key = id(view)
        views = self._views

        def forget(reference: Any) -> None:
            # Where such calls come late, another view may have the same identity by now.
            if views.get(key) is reference:
                del views[key]

        views[key] = weakref.ref(view, forget)
        return view

    def release_views(self) -> None:
        """Make the views handed out raise ``ValueError`` on access, save those another object exports."""
        references = list(self._views.values())
        self._views.clear()
        for reference in references:
            view = reference()
            if view is not None:
                try:
                    view.release()
                except BufferError:
                    # Something else (an array, a slice) looks through it: from here on that is its owner's risk.
                    continue

    def detach(self) -> Any:
        """Empty this handle and all below it and return the native transaction; the guard is held.

        Children are aborted, cursors are closed; databases opened here are kept, see the environment.
        """
        native, self.native = self.native, None
        self.release_views()
        for child in list(self.children):
            inner = child.detach()
            if inner is not None:
                lib.mdb_txn_abort(inner)
            child.forget_databases()
        for cursor in list(self.cursors):
            cursor.close()
        if self.parent is not None:
            self.parent.children.discard(self)
        return native

    def forget_databases(self) -> None:
        """The databases opened here do not exist: the transaction did not commit."""
        for database in self.opened:
            if self.env.databases.get(database.name) is database:
                del self.env.databases[database.name]
            database.forget()
        self.opened = []

    def abandon(self) -> None:
        """After a fork, in the child: forget the native objects without touching them, they are the parent's."""
        self.native = None
        self._views.clear()
        for cursor in self.cursors:
            cursor.native = None
        for child in self.children:
            child.abandon()
        self.cursors.clear()
        self.children.clear()
