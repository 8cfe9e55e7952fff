"""Databases within an environment: the main one and the named ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional

from .errors import check, closed_error
from .native import ffi, lib

if TYPE_CHECKING:
    from .handles import TransactionHandle


class _Database:
    """A database, as :meth:`Environment.open_db` returns it. Unusable once dropped or when its transaction aborted."""

    __slots__ = ("_bits", "_dbi", "_name")

    def __init__(self, name: Optional[bytes], dbi: int, bits: int) -> None:
        self._name = name
        self._dbi: Optional[int] = dbi
        self._bits = bits

    def flags(self, txn: object = None) -> Dict[str, bool]:
        """The flags it was made with, under the names of :meth:`Environment.open_db`'s parameters.

        :param txn: ignored; older programs pass one.
        """
        del txn
        return {
            "reverse_key": bool(self._bits & lib.MDB_REVERSEKEY),
            "dupsort": bool(self._bits & lib.MDB_DUPSORT),
            "integerkey": bool(self._bits & lib.MDB_INTEGERKEY),
            "integerdup": bool(self._bits & lib.MDB_INTEGERDUP),
            "dupfixed": bool(self._bits & lib.MDB_DUPFIXED),
        }

    @property
    def name(self) -> Optional[bytes]:
        """Its name, ``None`` for the main database."""
        return self._name

    @property
    def dbi(self) -> int:
        """LMDB's number for it. Raises :class:`Error` when it is gone."""
        if self._dbi is None:
            raise closed_error()
        return self._dbi

    @property
    def dupsort(self) -> bool:
        """Whether a key can have several values."""
        return bool(self._bits & lib.MDB_DUPSORT)

    def forget(self) -> None:
        """It does not exist any more."""
        self._dbi = None


def open_database(transaction: TransactionHandle, name: Optional[bytes], flags: int) -> _Database:
    """Open *name* in *transaction*; the guard of the environment is held. Raises :class:`Error`."""
    box = ffi.new("MDB_dbi *")
    native = transaction.live()
    text, size = (ffi.NULL, 0) if name is None else (name, len(name))
    check("mdb_dbi_open", lib.open_dbi(native, text, size, flags, box))
    bits = ffi.new("unsigned int *")
    check("mdb_dbi_flags", lib.mdb_dbi_flags(native, box[0], bits))
    return _Database(name, int(box[0]), int(bits[0]))


def stat_facts(stat: Any) -> Dict[str, int]:
    """An ``MDB_stat`` as a dict with py-lmdb's keys."""
    return {
        "psize": stat.ms_psize,
        "depth": stat.ms_depth,
        "branch_pages": stat.ms_branch_pages,
        "leaf_pages": stat.ms_leaf_pages,
        "overflow_pages": stat.ms_overflow_pages,
        "entries": stat.ms_entries,
    }
