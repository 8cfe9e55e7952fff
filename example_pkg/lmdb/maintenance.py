"""What an environment tells about itself, and its upkeep: statistics, readers, flushing and copies."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ContextManager, Dict, Optional, Union

from .database import stat_facts
from .errors import check
from .native import ffi, lib

if TYPE_CHECKING:
    from .transaction import Transaction

PathLike = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


class Maintenance(ABC):
    """The part of :class:`Environment` that needs no transaction of its own."""

    _guard: threading.Condition

    @property
    @abstractmethod
    def native(self) -> Any:
        """The ``MDB_env``. Raises :class:`Error` when closed."""

    @abstractmethod
    def _in_use(self) -> ContextManager[Any]:
        """The ``MDB_env`` for a call that may take long."""

    def path(self) -> str:
        """The path it was opened with."""
        box = ffi.new("char **")
        with self._guard:
            check("mdb_env_get_path", lib.mdb_env_get_path(self.native, box))
            return os.fsdecode(ffi.string(box[0]))

    def stat(self) -> Dict[str, int]:
        """Page size, depth, page counts and entries of the main database."""
        stat = ffi.new("MDB_stat *")
        with self._guard:
            check("mdb_env_stat", lib.mdb_env_stat(self.native, stat))
        return stat_facts(stat)

    def info(self) -> Dict[str, int]:
        """Size and address of the map, last page and transaction, readers."""
        info = ffi.new("MDB_envinfo *")
        with self._guard:
            check("mdb_env_info", lib.mdb_env_info(self.native, info))
        return {
            "map_addr": int(ffi.cast("uintptr_t", info.me_mapaddr)),
            "map_size": info.me_mapsize,
            "last_pgno": info.me_last_pgno,
            "last_txnid": info.me_last_txnid,
            "max_readers": info.me_maxreaders,
            "num_readers": info.me_numreaders,
        }

    def flags(self) -> Dict[str, bool]:
        """The flags it was opened with, under the names of the parameters."""
        flags = self._number(lib.mdb_env_get_flags, "mdb_env_get_flags")
        return {
            "subdir": not flags & lib.MDB_NOSUBDIR,
            "readonly": bool(flags & lib.MDB_RDONLY),
            "metasync": not flags & lib.MDB_NOMETASYNC,
            "sync": not flags & lib.MDB_NOSYNC,
            "map_async": bool(flags & lib.MDB_MAPASYNC),
            "readahead": not flags & lib.MDB_NORDAHEAD,
            "writemap": bool(flags & lib.MDB_WRITEMAP),
            "meminit": not flags & lib.MDB_NOMEMINIT,
            "lock": not flags & lib.MDB_NOLOCK,
        }

    def max_key_size(self) -> int:
        """The longest key, in bytes."""
        with self._guard:
            return int(lib.mdb_env_get_maxkeysize(self.native))

    def max_readers(self) -> int:
        """How many readers there can be."""
        return self._number(lib.mdb_env_get_maxreaders, "mdb_env_get_maxreaders")

    def _number(self, call: Any, name: str) -> int:
        box = ffi.new("unsigned int *")
        with self._guard:
            check(name, call(self.native, box))
        return int(box[0])

    def readers(self) -> str:
        """The table of readers, for people."""
        box = ffi.new("char **")
        with self._guard:
            code = lib.list_readers(self.native, box)
        try:
            check("mdb_reader_list", code)
            return "" if box[0] == ffi.NULL else ffi.string(box[0]).decode("utf-8", "replace")
        finally:
            lib.free(box[0])

    def reader_check(self) -> int:
        """Clear the readers that died; how many there were."""
        box = ffi.new("int *")
        with self._guard:
            check("mdb_reader_check", lib.mdb_reader_check(self.native, box))
        return int(box[0])

    def sync(self, force: bool = False) -> None:
        """Write everything to disk; *force* also where ``sync=False`` would leave it to the system."""
        with self._in_use() as native:
            check("mdb_env_sync", lib.mdb_env_sync(native, bool(force)))

    def copy(self, path: PathLike, compact: bool = False, txn: Optional[Transaction] = None) -> None:
        """Copy a consistent state into the existing empty folder *path*.

        :param compact: leave out free pages.
        :param txn: the transaction whose view is copied; only together with *compact*.
        """
        self._copy(lib.mdb_env_copy3, "mdb_env_copy3", os.fsencode(path), compact, txn)

    def copyfd(self, fd: int, compact: bool = False, txn: Optional[Transaction] = None) -> None:
        """Like :meth:`copy`, into the file descriptor *fd*."""
        self._copy(lib.mdb_env_copyfd3, "mdb_env_copyfd3", fd, compact, txn)

    def _copy(self, call: Any, name: str, target: Any, compact: bool, txn: Optional[Transaction]) -> None:
        if txn is not None and not compact:
            raise TypeError("txn is only possible together with compact=True")
        flags = lib.MDB_CP_COMPACT if compact else 0
        if txn is None:
            with self._in_use() as native:
                check(name, call(native, target, flags, ffi.NULL))
        else:
            with self._guard:
                check(name, call(self.native, target, flags, txn.handle.live()))
