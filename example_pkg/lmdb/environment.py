"""Environments: one database file with its lock file, opened once per process."""

from __future__ import annotations

import gc
import os
import threading
from collections import deque
from contextlib import contextmanager
from typing import Any, Deque, Dict, Iterator, List, Optional, Set, Tuple, final

from . import registry
from .database import _Database, open_database
from .errors import Error, check, closed_error, error_for
from .handles import TransactionHandle
from .maintenance import Maintenance, PathLike
from .native import ffi, lib
from .transaction import NO_DATABASE, Transaction, names_in
from .writer import WriterSlot, foreign_thread_error

# Where objects are not counted, readers nobody refers to any more may still hold their places; each collection
# finalises one level of what refers to each other: cursors, then their transactions.
_COLLECTIONS = 3


@final
class Environment(Maintenance):
    """An LMDB environment; parameters and methods are py-lmdb's.

    :param path: the folder, or with ``subdir=False`` the file; ``-lock`` is added for its lock file.
    :param map_size: the largest size the database may reach, in bytes.
    :param subdir: whether *path* is a folder (made when missing, unless ``create=False`` or ``readonly=True``).
    :param readonly: refuse writing transactions; the files must exist.
    :param metasync: flush the meta page at every commit.
    :param sync: flush data at every commit.
    :param map_async: with *writemap*, flush in the background.
    :param mode: permissions of what is created.
    :param readahead: let the system read ahead.
    :param writemap: write through the map; not for files from others, see the notes of the pinned LMDB patches.
    :param meminit: clear memory before it is written to disk.
    :param max_readers: concurrent reading transactions of all processes; the first process decides.
    :param max_dbs: named databases that can be open.
    :param max_spare_txns: finished reading transactions kept for the next reader.
    :param lock: whether LMDB locks; without, the caller keeps writers and readers apart.

    Thread-safe. Not usable in a child process after ``fork``: there every operation raises :class:`Error`, and the
    child may open the environment anew. Raises :class:`Error` when the files are open in this process already.
    """

    def __init__(
        self,
        path: PathLike,
        map_size: int = 10485760,
        subdir: bool = True,
        readonly: bool = False,
        metasync: bool = True,
        sync: bool = True,
        map_async: bool = False,
        mode: int = 0o755,
        create: bool = True,
        readahead: bool = True,
        writemap: bool = False,
        meminit: bool = True,
        max_readers: int = 126,
        max_dbs: int = 0,
        max_spare_txns: int = 0,
        lock: bool = True,
    ) -> None:
        self._native: Any = None
        self._closing = False
        self._users = 0
        self._guard = threading.Condition(threading.RLock())
        self._writer = WriterSlot()
        self._live: Set[TransactionHandle] = set()
        self._spares: List[Any] = []
        self._garbage: Deque[TransactionHandle] = deque()
        self._max_spares = max_spare_txns
        self._files: Tuple[Tuple[int, int], ...] = ()
        self.readonly = bool(readonly)
        self.databases: Dict[Optional[bytes], _Database] = {}
        encoded = os.fsencode(path)
        if create and subdir and not readonly and not os.path.isdir(encoded):
            os.mkdir(encoded, mode)
        flags = lib.MDB_NOTLS
        for wanted, flag in (
            (not subdir, lib.MDB_NOSUBDIR),
            (readonly, lib.MDB_RDONLY),
            (not metasync, lib.MDB_NOMETASYNC),
            (not sync, lib.MDB_NOSYNC),
            (map_async, lib.MDB_MAPASYNC),
            (not readahead, lib.MDB_NORDAHEAD),
            (writemap, lib.MDB_WRITEMAP),
            (not meminit, lib.MDB_NOMEMINIT),
            (not lock, lib.MDB_NOLOCK),
        ):
            flags |= flag if wanted else 0
        with registry.opening(encoded, subdir):
            self._open(encoded, flags, mode & ~0o111, (map_size, max_readers, max_dbs))
            self._files = registry.add(self, encoded, subdir)

    def _open(self, path: bytes, flags: int, mode: int, limits: Tuple[int, int, int]) -> None:
        box = ffi.new("MDB_env **")
        check("mdb_env_create", lib.mdb_env_create(box))
        native = box[0]
        try:
            check("mdb_env_set_mapsize", lib.mdb_env_set_mapsize(native, limits[0]))
            check("mdb_env_set_maxreaders", lib.mdb_env_set_maxreaders(native, limits[1]))
            check("mdb_env_set_maxdbs", lib.mdb_env_set_maxdbs(native, limits[2]))
            check(os.fsdecode(path), lib.open_env(native, path, flags, mode))
            self._native = native
            with Transaction(self, db=NO_DATABASE) as txn:
                self.databases[None] = open_database(txn.handle, None, 0)
        except BaseException:
            self._native = None
            for handle in list(self._live):
                lib.mdb_txn_abort(handle.detach())
            self._live.clear()
            lib.mdb_env_close(native)
            raise

    # Life

    def __enter__(self) -> Environment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Where another thread still writes, closing would wait in a garbage collector; the files stay open then.
        if getattr(self, "_native", None) is not None and self._writer.may_end():
            self.close()

    def close(self) -> None:
        """End everything that is open and close the files; closing twice is harmless.

        Waits while another thread writes or copies.
        """
        if self._native is None:
            return
        self._discard_garbage()
        self._writer.wait_for_others(self)
        with self._guard:
            self._closing = True
            while self._users:
                self._guard.wait()
            native, self._native = self._native, None
            if native is None:
                return
            self._end_all()
            for database in self.databases.values():
                database.forget()
            self.databases.clear()
            lib.mdb_env_close(native)
        registry.remove(self._files)

    def _end_all(self) -> None:
        """Abort every transaction, the spare ones too; the guard is held."""
        for handle in list(self._live):
            native = handle.detach()
            handle.forget_databases()
            if native is not None:
                lib.mdb_txn_abort(native)
            if handle.write and handle.parent is None:
                self._writer.release()
        self._live.clear()
        while self._spares:
            lib.mdb_txn_abort(self._spares.pop())

    def abandon(self) -> None:
        """In a child process after ``fork``: refuse everything from here on, touch nothing of the parent's."""
        self._native = None
        self._guard = threading.Condition(threading.RLock())
        self._writer = WriterSlot()
        for handle in self._live:
            handle.abandon()
        self._live.clear()
        self._spares.clear()
        for database in self.databases.values():
            database.forget()
        self.databases.clear()

    @property
    def guard(self) -> threading.Condition:
        """Held during every native call on a transaction or cursor of this environment."""
        return self._guard

    @property
    def native(self) -> Any:
        """The ``MDB_env``. Raises :class:`Error` when closed."""
        if self._native is None or self._closing:
            raise closed_error()
        return self._native

    @contextmanager
    def _in_use(self) -> Iterator[Any]:
        """The ``MDB_env`` for a call that may take long: other threads go on, closing waits."""
        with self._guard:
            native = self.native
            self._users += 1
        try:
            yield native
        finally:
            with self._guard:
                self._users -= 1
                self._guard.notify_all()

    # Transactions

    def begin(
        self,
        db: Optional[_Database] = None,
        parent: Optional[Transaction] = None,
        write: bool = False,
        buffers: bool = False,
    ) -> Transaction:
        """A new :class:`Transaction`."""
        return Transaction(self, db, parent, write, buffers)

    def start(self, parent: Optional[TransactionHandle], write: bool) -> TransactionHandle:
        """Begin a native transaction; what :class:`Transaction` is made of."""
        self._discard_garbage()
        if parent is None and write:
            return self._start_writer()
        with self._guard:
            native = self._native_txn(self.native, parent, write)
            handle = TransactionHandle(self, native, parent, write)
            if parent is None:
                self._live.add(handle)
            return handle

    def _start_writer(self) -> TransactionHandle:
        self._writer.claim(self)
        try:
            # Outside the guard: another process may hold the lock for long.
            with self._in_use() as env:
                native = self._native_txn(env, None, True)
                with self._guard:
                    handle = TransactionHandle(self, native, None, True)
                    self._live.add(handle)
                    self._writer.hold(handle)
                    return handle
        except BaseException:
            self._writer.release()
            raise

    def _native_txn(self, env: Any, parent: Optional[TransactionHandle], write: bool) -> Any:
        if not write and parent is None and self._spares:
            native = self._spares.pop()
            code = lib.mdb_txn_renew(native)
            if code:
                lib.mdb_txn_abort(native)
                raise error_for("mdb_txn_renew", code)
            return native
        box = ffi.new("MDB_txn **")
        flags = 0 if write else lib.MDB_RDONLY
        above = parent.native if parent else ffi.NULL
        code = lib.mdb_txn_begin(env, above, flags, box)
        for _ in range(_COLLECTIONS):
            if code != lib.MDB_READERS_FULL:
                break
            gc.collect()
            self._discard_garbage()
            code = lib.mdb_txn_begin(env, above, flags, box)
        check("mdb_txn_begin", code)
        return box[0]

    def end(self, handle: TransactionHandle, *, commit: bool) -> None:
        """Commit or abort *handle*; nothing happens when it ended before.

        Raises the :class:`Error` of a failed commit, and :class:`Error` in a thread that must not end it.
        """
        with self._guard:
            if handle.native is None:
                return
            top_writer = handle.write and handle.parent is None
            if top_writer and not self._writer.may_end():
                raise foreign_thread_error()
            native = handle.detach()
            self._live.discard(handle)
            code = 0
            try:
                if commit:
                    code = lib.mdb_txn_commit(native)
                elif self._keeps_spare(handle):
                    lib.mdb_txn_reset(native)
                    self._spares.append(native)
                else:
                    lib.mdb_txn_abort(native)
            finally:
                if top_writer:
                    self._writer.release()
            if handle.parent is not None:
                handle.mutated()
            if commit and not code and handle.parent is not None:
                handle.parent.opened.extend(handle.opened)
            elif code or not commit:
                handle.forget_databases()
            if code:
                raise error_for("mdb_txn_commit", code)

    def discard(self, handle: TransactionHandle) -> None:
        """End a transaction that was garbage-collected, in whatever thread that happens."""
        # A garbage collector runs anywhere, also while this thread holds other locks: never wait here.
        if not self._guard.acquire(blocking=False):
            self._garbage.append(handle)
            return
        try:
            if handle.native is None:
                return
            if handle.write and handle.parent is None and not self._writer.may_end():
                self._writer.drop(handle)
                return
            self.end(handle, commit=False)
        finally:
            self._guard.release()

    def _discard_garbage(self) -> None:
        while self._garbage:
            self.discard(self._garbage.popleft())

    def _keeps_spare(self, handle: TransactionHandle) -> bool:
        return not handle.write and handle.parent is None and not handle.opened and len(self._spares) < self._max_spares

    # Databases

    def open_db(
        self,
        key: Optional[bytes] = None,
        txn: Optional[Transaction] = None,
        reverse_key: bool = False,
        dupsort: bool = False,
        create: bool = True,
        integerkey: bool = False,
        integerdup: bool = False,
        dupfixed: bool = False,
    ) -> _Database:
        """The database called *key*, the main one for ``None``; it is made when *create* allows.

        Without *txn* a transaction of its own is used, a writing one unless the environment is read-only. A database
        opened in a transaction exists only if that transaction commits.
        """
        if isinstance(key, str):
            raise TypeError("key must be bytes")
        flags = lib.MDB_CREATE if create else 0
        flags |= lib.MDB_REVERSEKEY if reverse_key else 0
        flags |= lib.MDB_INTEGERKEY if integerkey else 0
        flags |= lib.MDB_DUPSORT if dupsort or dupfixed or integerdup else 0
        flags |= lib.MDB_DUPFIXED if dupfixed or integerdup else 0
        flags |= lib.MDB_INTEGERDUP if integerdup else 0
        if key is None and flags & ~lib.MDB_CREATE:
            raise ValueError("the main database takes no flags")
        name = None if key is None else bytes(key)
        with self._guard:
            _ = self.native
            known = self.databases.get(name)
            if known is not None:
                return known
        if txn is not None:
            return self._open_in(txn, name, flags)
        with Transaction(self, write=not self.readonly) as own:
            return self._open_in(own, name, flags)

    def _open_in(self, txn: Transaction, name: Optional[bytes], flags: int) -> _Database:
        with self._guard:
            database = open_database(txn.handle, name, flags)
            txn.handle.opened.append(database)
            self.databases[name] = database
            return database

    def dbs(self, txn: Optional[Transaction] = None) -> List[Any]:
        """The names of the databases in the main one, as far as ``max_dbs`` allows to open them."""
        if txn is not None:
            return [name for name in names_in(txn) if self._is_database(name, txn)]
        with Transaction(self) as own:
            return [name for name in names_in(own) if self._is_database(name, own)]

    def _is_database(self, name: bytes, txn: Transaction) -> bool:
        try:
            self.open_db(name, txn=txn, create=False)
        except Error:
            return False
        return True

    def set_mapsize(self, map_size: int) -> None:
        """Change the largest size; 0 adopts what another process made it.

        Ends all transactions of this environment. Raises :class:`Error` while one is writing.
        """
        with self._guard:
            while self._users and not self._writer.taken:
                self._guard.wait()
            native = self.native
            if self._writer.taken:
                raise Error("the map cannot be resized while a writing transaction is active")
            self._end_all()
            check("mdb_env_set_mapsize", lib.mdb_env_set_mapsize(native, map_size))
