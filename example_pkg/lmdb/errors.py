"""The exception classes, named like py-lmdb's, one for each error code a program can handle."""

from __future__ import annotations

from typing import ClassVar, Dict, Optional, Type

from .native import ffi, lib


class Error(Exception):
    """Any failure LMDB reports, and the base of the more specific ones.

    :ivar what: the call or the thing that failed.
    :ivar code: LMDB's or the system's error number, 0 when the binding itself refused.
    :ivar reason: LMDB's sentence for the code.
    """

    MDB_NAME: ClassVar[Optional[str]] = None
    MDB_HINT: ClassVar[Optional[str]] = None

    def __init__(self, what: str, code: int = 0) -> None:
        self.what = what
        self.code = code
        self.reason = ffi.string(lib.mdb_strerror(code)).decode("utf-8", "replace")
        text = f"{what}: {self.reason}" if code else str(what)
        if code and self.MDB_HINT:
            text += f" ({self.MDB_HINT})"
        super().__init__(text)


class KeyExistsError(Error):
    """The pair exists already."""

    MDB_NAME = "MDB_KEYEXIST"


class NotFoundError(Error):
    """There is no such pair or database."""

    MDB_NAME = "MDB_NOTFOUND"


class PageNotFoundError(Error):
    """A page is referred to and does not exist; the file is damaged."""

    MDB_NAME = "MDB_PAGE_NOTFOUND"


class CorruptedError(Error):
    """The file holds what LMDB would never write."""

    MDB_NAME = "MDB_CORRUPTED"


class PanicError(Error):
    """Writing the meta page failed; the environment must be opened anew."""

    MDB_NAME = "MDB_PANIC"


class VersionMismatchError(Error):
    """The file was written in another format version."""

    MDB_NAME = "MDB_VERSION_MISMATCH"


class InvalidError(Error):
    """The file is not an LMDB database."""

    MDB_NAME = "MDB_INVALID"


class MapFullError(Error):
    """The database reached ``map_size``."""

    MDB_NAME = "MDB_MAP_FULL"
    MDB_HINT = "open the Environment with a larger map_size, or call set_mapsize()"


class DbsFullError(Error):
    """More named databases than ``max_dbs``."""

    MDB_NAME = "MDB_DBS_FULL"
    MDB_HINT = "open the Environment with a larger max_dbs"


class ReadersFullError(Error):
    """More concurrent readers than ``max_readers``."""

    MDB_NAME = "MDB_READERS_FULL"
    MDB_HINT = "open the Environment with a larger max_readers"


class TlsFullError(Error):
    """No thread-local slot is left: too many environments."""

    MDB_NAME = "MDB_TLS_FULL"


class TxnFullError(Error):
    """The transaction changed too many pages."""

    MDB_NAME = "MDB_TXN_FULL"
    MDB_HINT = "do the work in several transactions"


class CursorFullError(Error):
    """LMDB's cursor stack is exhausted."""

    MDB_NAME = "MDB_CURSOR_FULL"


class PageFullError(Error):
    """A page has no room although it should."""

    MDB_NAME = "MDB_PAGE_FULL"


class MapResizedError(Error):
    """Another process made the map larger; ``set_mapsize(0)`` adopts its size."""

    MDB_NAME = "MDB_MAP_RESIZED"


class IncompatibleError(Error):
    """The operation does not suit the database, or its flags changed."""

    MDB_NAME = "MDB_INCOMPATIBLE"


class BadRslotError(Error):
    """A reader slot was used twice."""

    MDB_NAME = "MDB_BAD_RSLOT"


class BadDbiError(Error):
    """The database handle is no longer what it was."""

    MDB_NAME = "MDB_BAD_DBI"


class BadTxnError(Error):
    """The transaction can only be aborted, or has an active child."""

    MDB_NAME = "MDB_BAD_TXN"


class BadValsizeError(Error):
    """A key is empty or too long, or a value has a size this database cannot hold."""

    MDB_NAME = "MDB_BAD_VALSIZE"


class ReadonlyError(Error):
    """Writing in a read-only transaction or environment."""

    MDB_NAME = "EACCES"


class InvalidParameterError(Error):
    """An argument LMDB rejects."""

    MDB_NAME = "EINVAL"


class LockError(Error):
    """Another process holds the lock."""

    MDB_NAME = "EAGAIN"


class MemoryError(Error):  # noqa: A001 - the name is py-lmdb's
    """LMDB could not get memory."""

    MDB_NAME = "ENOMEM"


class DiskError(Error):
    """The disk is full."""

    MDB_NAME = "ENOSPC"


_BY_CODE: Dict[int, Type[Error]] = {
    getattr(lib, kind.MDB_NAME): kind for kind in Error.__subclasses__() if kind.MDB_NAME is not None
}


def error_for(what: str, code: int) -> Error:
    """The exception for LMDB's return value *code* of the call *what*."""
    return _BY_CODE.get(code, Error)(what, code)


def closed_error() -> Error:
    """The exception for using something that was closed, finished, dropped, or inherited through a fork."""
    return Error("this environment, transaction, cursor or database is closed")


def check(what: str, code: int) -> None:
    """Raise the exception for *code* unless it means success."""
    if code:
        raise error_for(what, code)
