"""Cursors: walking through the pairs of a database in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, List, Optional, Tuple, Union, final

from .database import _Database
from .errors import check, error_for
from .handles import CursorHandle
from .native import NO_BYTES, copied, ffi, lend, lib

if TYPE_CHECKING:
    from .transaction import Transaction


@final
class Cursor:
    """A position in *db* within *txn*; methods are py-lmdb's.

    Methods that move return whether they found something. Where they did not, the cursor has no position: key and value
    are empty. A cursor is closed when its transaction ends or its database is deleted; using it then raises
    :class:`Error`.
    """

    def __init__(self, db: _Database, txn: Transaction) -> None:
        self.db = db
        self.txn = txn
        self._key = ffi.new("MDB_val *")
        self._value = ffi.new("MDB_val *")
        self._placed = False
        box = ffi.new("MDB_cursor **")
        with txn.env.guard:
            transaction = txn.handle
            check("mdb_cursor_open", lib.mdb_cursor_open(transaction.live(), db.dbi, box))
            self._handle = CursorHandle(box[0], transaction, db)
            transaction.cursors.add(self._handle)
            self._seen = transaction.mutations

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        # Never wait for a lock in a garbage collector: the end of the transaction closes what is left.
        if handle is not None and handle.native is not None and self.txn.env.guard.acquire(blocking=False):
            try:
                handle.close()
            finally:
                self.txn.env.guard.release()

    def close(self) -> None:
        """Free it; closing twice is harmless."""
        with self.txn.env.guard:
            self._handle.close()

    # What is here

    def key(self) -> Any:
        """The key at the position, empty without one."""
        with self.txn.env.guard:
            self._refresh()
            return self._out(self._key)

    def value(self) -> Any:
        """The value at the position, empty without one."""
        with self.txn.env.guard:
            self._refresh()
            return self._out(self._value)

    def item(self) -> Tuple[Any, Any]:
        """Key and value at the position."""
        with self.txn.env.guard:
            self._refresh()
            return self._out(self._key), self._out(self._value)

    def count(self) -> int:
        """How many values the key at the position has; for *dupsort* databases."""
        box = ffi.new("size_t *")
        with self.txn.env.guard:
            check("mdb_cursor_count", lib.mdb_cursor_count(self._handle.live(), box))
        return int(box[0])

    def _out(self, value: Any) -> Any:
        return self._handle.transaction.view(value) if self.txn.buffers else copied(value)

    def _refresh(self) -> None:
        """Fetch key and value again when the transaction changed anything since: LMDB may have moved them."""
        self._handle.live()
        if self._seen != self._handle.transaction.mutations:
            self._move(lib.MDB_GET_CURRENT)

    def _move(self, operation: int) -> bool:
        with self.txn.env.guard:
            code = lib.mdb_cursor_get(self._handle.live(), self._key, self._value, operation)
            self._seen = self._handle.transaction.mutations
            return self._arrive(code, operation)

    def _seek(self, operation: int, key: Any, value: Any = NO_BYTES) -> bool:
        key_data, key_size = lend(key)
        data, size = lend(value)
        with self.txn.env.guard:
            code = lib.seek_cursor(
                self._handle.live(), key_data, key_size, data, size, self._key, self._value, operation
            )
            self._seen = self._handle.transaction.mutations
            return self._arrive(code, operation)

    def _arrive(self, code: int, operation: int) -> bool:
        self._placed = not code
        if code:
            self._key.mv_size = 0
            self._value.mv_size = 0
            # Asking for the current pair without a position is how the end of the data shows after a deletion.
            no_position = code == lib.EINVAL and operation == lib.MDB_GET_CURRENT
            if code != lib.MDB_NOTFOUND and not no_position:
                raise error_for("mdb_cursor_get", code)
        return self._placed

    # Moving

    def first(self) -> bool:
        """To the first pair."""
        return self._move(lib.MDB_FIRST)

    def first_dup(self) -> bool:
        """To the first value of the current key."""
        return self._move(lib.MDB_FIRST_DUP)

    def last(self) -> bool:
        """To the last pair."""
        return self._move(lib.MDB_LAST)

    def last_dup(self) -> bool:
        """To the last value of the current key."""
        return self._move(lib.MDB_LAST_DUP)

    def next(self) -> bool:
        """To the next pair."""
        return self._move(lib.MDB_NEXT)

    def next_dup(self) -> bool:
        """To the next value of the current key."""
        return self._move(lib.MDB_NEXT_DUP)

    def next_nodup(self) -> bool:
        """To the first value of the next key."""
        return self._move(lib.MDB_NEXT_NODUP)

    def prev(self) -> bool:
        """To the previous pair."""
        return self._move(lib.MDB_PREV)

    def prev_dup(self) -> bool:
        """To the previous value of the current key."""
        return self._move(lib.MDB_PREV_DUP)

    def prev_nodup(self) -> bool:
        """To the last value of the previous key."""
        return self._move(lib.MDB_PREV_NODUP)

    def set_key(self, key: Any) -> bool:
        """To the first value of exactly *key*."""
        return self._seek(lib.MDB_SET_KEY, key)

    def set_key_dup(self, key: Any, value: Any) -> bool:
        """To exactly this pair."""
        return self._seek(lib.MDB_GET_BOTH, key, value)

    def set_range(self, key: Any) -> bool:
        """To the first key that is *key* or greater; an empty *key* means the first."""
        return self._seek(lib.MDB_SET_RANGE, key) if len(key) else self.first()

    def set_range_dup(self, key: Any, value: Any) -> bool:
        """To the first value of exactly *key* that is *value* or greater."""
        return self._seek(lib.MDB_GET_BOTH_RANGE, key, value)

    def get(self, key: Any, default: Any = None) -> Any:
        """Like :meth:`set_key`, and return the value, else *default*."""
        with self.txn.env.guard:
            return self.value() if self.set_key(key) else default

    # Iterating

    def __iter__(self) -> Iterator[Any]:
        return self.iternext()

    def iternext(self, keys: bool = True, values: bool = True) -> Iterator[Any]:
        """The pairs from the position (or the first) on; only keys or only values where one of both is off."""
        if not self._placed:
            self.first()
        return self._walk(lib.MDB_NEXT, keys, values)

    def iternext_dup(self, keys: bool = False, values: bool = True) -> Iterator[Any]:
        """The values of the current key from the position on."""
        return self._walk(lib.MDB_NEXT_DUP, keys, values)

    def iternext_nodup(self, keys: bool = True, values: bool = False) -> Iterator[Any]:
        """The keys from the position (or the first) on, each once."""
        if not self._placed:
            self.first()
        return self._walk(lib.MDB_NEXT_NODUP, keys, values)

    def iterprev(self, keys: bool = True, values: bool = True) -> Iterator[Any]:
        """The pairs from the position (or the last) backwards."""
        if not self._placed:
            self.last()
        return self._walk(lib.MDB_PREV, keys, values)

    def iterprev_dup(self, keys: bool = False, values: bool = True) -> Iterator[Any]:
        """The values of the current key from the position backwards."""
        return self._walk(lib.MDB_PREV_DUP, keys, values)

    def iterprev_nodup(self, keys: bool = True, values: bool = False) -> Iterator[Any]:
        """The keys from the position (or the last) backwards, each once."""
        if not self._placed:
            self.last()
        return self._walk(lib.MDB_PREV_NODUP, keys, values)

    def _walk(self, operation: int, keys: bool, values: bool) -> Iterator[Any]:
        self._handle.live()
        return self._steps(self.key if not values else self.value if not keys else self.item, operation)

    def _steps(self, here: Callable[[], Any], operation: int) -> Iterator[Any]:
        while self._placed:
            yield here()
            self._move(operation)

    # Changing

    def put(self, key: Any, value: Any, dupdata: bool = True, overwrite: bool = True, append: bool = False) -> bool:
        """Store the pair and go there; options and result as in :meth:`Transaction.put`."""
        with self.txn.env.guard:
            stored = self._store(key, value, self._flags(dupdata, overwrite, append))
            if stored:
                self._move(lib.MDB_GET_CURRENT)
            return stored

    def putmulti(
        self, items: Iterable[Tuple[Any, Any]], dupdata: bool = True, overwrite: bool = True, append: bool = False
    ) -> Tuple[int, int]:
        """Store many pairs; how many were read and how many of these were stored."""
        self._handle.live()
        flags = self._flags(dupdata, overwrite, append)
        consumed = added = 0
        for item in items:
            if type(item) is not tuple or len(item) != 2:
                raise TypeError("putmulti() takes tuples of two")
            added += self._store(item[0], item[1], flags)
            consumed += 1
        self._move(lib.MDB_GET_CURRENT)
        return consumed, added

    def _flags(self, dupdata: bool, overwrite: bool, append: bool) -> int:
        from .transaction import put_flags

        return put_flags(self.db, dupdata, overwrite, append)

    def _store(self, key: Any, value: Any, flags: int) -> bool:
        key_data, key_size = lend(key)
        data, size = lend(value)
        with self.txn.env.guard:
            native = self._handle.live()
            self._handle.transaction.mutated()
            code = lib.put_cursor(native, key_data, key_size, data, size, flags)
        if code == lib.MDB_KEYEXIST:
            return False
        check("mdb_cursor_put", code)
        return True

    def delete(self, dupdata: bool = False) -> bool:
        """Remove the current pair, with *dupdata* all values of the key, and go to the next one.

        ``False`` when there is no position.
        """
        with self.txn.env.guard:
            native = self._handle.live()
            if not self._placed:
                return False
            self._handle.transaction.mutated()
            check("mdb_cursor_del", lib.mdb_cursor_del(native, lib.MDB_NODUPDATA if dupdata else 0))
            self._move(lib.MDB_GET_CURRENT)
            return True

    def pop(self, key: Any) -> Optional[bytes]:
        """Remove the first value of *key* and return it, a copy in any case; ``None`` when there is none."""
        with self.txn.env.guard:
            if not self.set_key(key):
                return None
            old = copied(self._value)
            self.delete()
            return old

    def replace(self, key: Any, value: Any) -> Optional[bytes]:
        """Store the pair in place of all values of *key* and return the first of them, a copy; ``None`` for none."""
        with self.txn.env.guard:
            old = None
            if self.db.dupsort:
                if self.set_key(key):
                    old = copied(self._value)
                    self.delete(dupdata=True)
            elif self._store(key, value, lib.MDB_NOOVERWRITE):
                return None
            else:
                self._move(lib.MDB_GET_CURRENT)
                old = copied(self._value)
            self.put(key, value)
            return old

    # Reading many

    def getmulti(
        self,
        keys: Iterable[Any],
        dupdata: bool = False,
        dupfixed_bytes: Optional[int] = None,
        keyfixed: bool = False,
        values: bool = True,
    ) -> Union[List[Any], memoryview]:
        """The pairs of all *keys* that exist, as a list of tuples.

        :param dupdata: all values of each key, not just the first.
        :param dupfixed_bytes: size of each value of a *dupfixed* database: they are read a page at a time.
        :param keyfixed: with *dupfixed_bytes*, one memoryview of keys and values in turn; all keys have one size.
        :param values: with ``False``, a list of the keys that exist.
        """
        self._handle.live()
        _check_multi(dupdata, dupfixed_bytes, keyfixed, values)
        pairs: List[Any] = []
        packed = bytearray()
        key_size = None
        for key in keys:
            with self.txn.env.guard:
                if not self.set_key(key):
                    continue
                if not values:
                    pairs.append(self._out(self._key))
                    continue
                if keyfixed and key_size is None:
                    key_size = self._key.mv_size
                if keyfixed and self._key.mv_size != key_size:
                    raise ValueError("keyfixed=True needs keys of one size")
                for pair in self._values_of_key(dupdata, dupfixed_bytes):
                    if keyfixed:
                        packed += bytes(pair[0]) + bytes(pair[1])
                    else:
                        pairs.append(pair)
        return memoryview(packed) if keyfixed else pairs

    def _values_of_key(self, dupdata: bool, dupfixed_bytes: Optional[int]) -> Iterator[Tuple[Any, Any]]:
        """The pairs of the current key, page by page where the size of the values is known."""
        fetch, advance = lib.MDB_GET_CURRENT, lib.MDB_NEXT_DUP
        if dupfixed_bytes:
            fetch, advance = lib.MDB_GET_MULTIPLE, lib.MDB_NEXT_MULTIPLE
        while self._placed:
            self._move(fetch)
            key, value = self._out(self._key), self._out(self._value)
            if dupfixed_bytes:
                for start in range(0, len(value), dupfixed_bytes):
                    yield key, value[start : start + dupfixed_bytes]
            else:
                yield key, value
            if not dupdata:
                return
            self._move(advance)


def _check_multi(dupdata: bool, dupfixed_bytes: Optional[int], keyfixed: bool, values: bool) -> None:
    if dupfixed_bytes and dupfixed_bytes < 0:
        raise OverflowError("dupfixed_bytes must not be negative")
    if (dupfixed_bytes or keyfixed) and not dupdata:
        raise TypeError("dupfixed_bytes and keyfixed need dupdata=True")
    if keyfixed and not dupfixed_bytes:
        raise TypeError("keyfixed needs dupfixed_bytes")
    if not values and dupdata:
        raise TypeError("values=False and dupdata=True exclude each other")
