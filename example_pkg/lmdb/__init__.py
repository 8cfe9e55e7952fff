"""LMDB for Python, with py-lmdb's names and semantics, over the LMDB this wheel carries.

::

    with lmdb.open("/tmp/shop", max_dbs=1) as env:
        prices = env.open_db(b"prices")
        with env.begin(write=True, db=prices) as txn:
            txn.put(b"apple", b"3")

Where it is stricter than py-lmdb: views handed out with ``buffers=True`` are released when they stop being valid, a
writing transaction can only be ended by its own thread, and an environment is unusable in the child after ``fork``.
"""

from __future__ import annotations

from typing import Tuple

from .cursor import Cursor
from .database import _Database
from .environment import Environment
from .errors import (
    BadDbiError,
    BadRslotError,
    BadTxnError,
    BadValsizeError,
    CorruptedError,
    CursorFullError,
    DbsFullError,
    DiskError,
    Error,
    IncompatibleError,
    InvalidError,
    InvalidParameterError,
    KeyExistsError,
    LockError,
    MapFullError,
    MapResizedError,
    MemoryError,  # noqa: A004 - the name is py-lmdb's
    NotFoundError,
    PageFullError,
    PageNotFoundError,
    PanicError,
    ReadersFullError,
    ReadonlyError,
    TlsFullError,
    TxnFullError,
    VersionMismatchError,
)
from .native import ffi, lib
from .transaction import Transaction

open = Environment  # noqa: A001 - the name is py-lmdb's


def version(subpatch: bool = False) -> Tuple[int, ...]:
    """The version of LMDB: major, minor, patch; with *subpatch* also 1, for "with py-lmdb's patches"."""
    numbers = ffi.new("int[3]")
    lib.mdb_version(numbers, numbers + 1, numbers + 2)
    return (*numbers, 1) if subpatch else tuple(numbers)


__all__ = [
    "BadDbiError",
    "BadRslotError",
    "BadTxnError",
    "BadValsizeError",
    "CorruptedError",
    "Cursor",
    "CursorFullError",
    "DbsFullError",
    "DiskError",
    "Environment",
    "Error",
    "IncompatibleError",
    "InvalidError",
    "InvalidParameterError",
    "KeyExistsError",
    "LockError",
    "MapFullError",
    "MapResizedError",
    "MemoryError",
    "NotFoundError",
    "PageFullError",
    "PageNotFoundError",
    "PanicError",
    "ReadersFullError",
    "ReadonlyError",
    "TlsFullError",
    "Transaction",
    "TxnFullError",
    "VersionMismatchError",
    "_Database",
    "open",
    "version",
]
