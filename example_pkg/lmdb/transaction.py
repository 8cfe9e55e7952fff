"""Transactions: consistent views, and changes that happen together or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, final

from .cursor import Cursor
from .database import _Database, stat_facts
from .errors import check, closed_error, error_for
from .handles import TransactionHandle
from .native import NO_BYTES, copied, ffi, lend, lib

if TYPE_CHECKING:
    from .environment import Environment

NO_DATABASE = _Database(None, 0, 0)
NO_DATABASE.forget()


@final
class Transaction:
    """A transaction of *env*; parameters and methods are py-lmdb's.

    :param db: the database used where a method names none; the main one by default.
    :param parent: a writing transaction of the same environment this one is nested in.
    :param write: whether it may change anything.
    :param buffers: hand out ``memoryview`` objects into the map instead of copies. A view is valid until the next
        change in the transaction or its end; then it is released, and accessing it raises ``ValueError``. What other
        objects made of a view (slices, arrays) cannot be taken back: using those afterwards is undefined.

    As a context manager it commits at the end and aborts on an exception. It may be used by several threads, one at a
    time; a writing one can only be ended by the thread that began it.
    """

    def __init__(
        self,
        env: Environment,
        db: Optional[_Database] = None,
        parent: Optional[Transaction] = None,
        write: bool = False,
        buffers: bool = False,
    ) -> None:
        self.env = env
        self.buffers = bool(buffers)
        self._parent = parent
        if parent is not None:
            _check_parent(env, parent, write)
        if write and env.readonly:
            raise error_for("a read-only environment has no writing transactions", lib.EACCES)
        self._found = ffi.new("MDB_val *")
        self.handle: TransactionHandle = env.start(parent.handle if parent is not None else None, bool(write))
        self._db = db if db is not None else env.databases[None]

    def __enter__(self) -> Transaction:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.abort()
        else:
            self.env.end(self.handle, commit=True)

    def __del__(self) -> None:
        handle = getattr(self, "handle", None)
        if handle is not None and handle.native is not None:
            self.env.discard(handle)

    def commit(self) -> None:
        """Make the changes last. Raises :class:`Error` when it ended before or LMDB cannot write."""
        with self.env.guard:
            self.handle.live()
            self.env.end(self.handle, commit=True)

    def abort(self) -> None:
        """Forget the changes; harmless after the end."""
        self.env.end(self.handle, commit=False)

    def id(self) -> int:
        """LMDB's number of the state this transaction sees or makes."""
        with self.env.guard:
            return int(lib.mdb_txn_id(self.handle.live()))

    def stat(self, db: Optional[_Database] = None) -> Dict[str, int]:
        """Like :meth:`Environment.stat`, for one database."""
        stat = ffi.new("MDB_stat *")
        with self.env.guard:
            check("mdb_stat", lib.mdb_stat(self.handle.live(), self._choose(db).dbi, stat))
        return stat_facts(stat)

    def drop(self, db: _Database, delete: bool = True) -> None:
        """Remove all pairs of *db*; with *delete* the database too, its handle and cursors are unusable then."""
        with self.env.guard:
            native, dbi = self.handle.live(), db.dbi
            if delete:
                for cursor in list(self.handle.cursors):
                    if cursor.database is db:
                        cursor.close()
            self.handle.mutated()
            check("mdb_drop", lib.mdb_drop(native, dbi, bool(delete)))
            # The main database is only ever emptied.
            if delete and db.name is not None:
                self.env.databases.pop(db.name, None)
                db.forget()

    def get(self, key: Any, default: Any = None, db: Optional[_Database] = None) -> Any:
        """The first value of *key*, else *default*."""
        data, size = lend(key)
        with self.env.guard:
            handle = self.handle
            code = lib.get_value(handle.live(), self._choose(db).dbi, data, size, self._found)
            if code:
                if code == lib.MDB_NOTFOUND:
                    return default
                raise error_for("mdb_get", code)
            return handle.view(self._found) if self.buffers else copied(self._found)

    def put(
        self,
        key: Any,
        value: Any,
        dupdata: bool = True,
        overwrite: bool = True,
        append: bool = False,
        db: Optional[_Database] = None,
    ) -> bool:
        """Store the pair; ``False`` when a flag forbade it.

        :param dupdata: with ``False``, do not store a pair a *dupsort* database has already.
        :param overwrite: with ``False``, leave a key alone that exists.
        :param append: the pair comes last; faster, and refused when it does not.
        """
        database = self._choose(db)
        flags = put_flags(database, dupdata, overwrite, append)
        key_data, key_size = lend(key)
        data, size = lend(value)
        with self.env.guard:
            native = self.handle.live()
            self.handle.mutated()
            code = lib.put_value(native, database.dbi, key_data, key_size, data, size, flags)
        if code == lib.MDB_KEYEXIST:
            return False
        check("mdb_put", code)
        return True

    def delete(self, key: Any, value: Any = NO_BYTES, db: Optional[_Database] = None) -> bool:
        """Remove *key*, in a *dupsort* database only the pair with *value* if one is given; whether there was one."""
        key_data, key_size = lend(key)
        data, size = lend(NO_BYTES if value is None else value)
        with self.env.guard:
            native = self.handle.live()
            self.handle.mutated()
            code = lib.delete_value(native, self._choose(db).dbi, key_data, key_size, data, size)
        if code == lib.MDB_NOTFOUND:
            return False
        check("mdb_del", code)
        return True

    def replace(self, key: Any, value: Any, db: Optional[_Database] = None) -> Optional[bytes]:
        """Store the pair and return the value that was there, see :meth:`Cursor.replace`."""
        with Cursor(self._choose(db), self) as cursor:
            return cursor.replace(key, value)

    def pop(self, key: Any, db: Optional[_Database] = None) -> Optional[bytes]:
        """Remove *key* and return its value, see :meth:`Cursor.pop`."""
        with Cursor(self._choose(db), self) as cursor:
            return cursor.pop(key)

    def cursor(self, db: Optional[_Database] = None) -> Cursor:
        """A new :class:`Cursor`."""
        return Cursor(self._choose(db), self)

    def _choose(self, db: Optional[_Database]) -> _Database:
        return self._db if db is None else db


def put_flags(database: _Database, dupdata: bool, overwrite: bool, append: bool) -> int:
    """LMDB's flags for the options of ``put``; appending means the last value where keys have several."""
    flags = 0 if dupdata else lib.MDB_NODUPDATA
    flags |= 0 if overwrite else lib.MDB_NOOVERWRITE
    if append:
        flags |= lib.MDB_APPENDDUP if database.dupsort else lib.MDB_APPEND
    return int(flags)


def names_in(txn: Transaction) -> List[Any]:
    """The non-empty keys of the main database."""
    with Cursor(txn.env.databases[None], txn) as cursor:
        return [key for key in cursor.iternext(values=False) if len(key)]


def _check_parent(env: Environment, parent: Transaction, write: bool) -> None:
    if not parent.handle.write:
        raise error_for("a reading transaction has no children", lib.EINVAL)
    if parent.handle.native is None:
        raise closed_error()
    if parent.env is not env:
        raise error_for("the parent transaction belongs to another environment", lib.EINVAL)
    if not write:
        raise error_for("a child transaction must be a writing one", lib.EINVAL)
