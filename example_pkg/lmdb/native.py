"""The compiled module: ``ffi`` and ``lib``, and the passage of bytes between Python and LMDB."""

from __future__ import annotations

import importlib
from typing import Any, Tuple

_module: Any = importlib.import_module("example_pkg._lmdb_cffi")

ffi: Any = _module.ffi
lib: Any = _module.lib

NO_BYTES = b""


def lend(data: Any) -> Tuple[Any, int]:
    """What to pass for a bytes-like object, and its size in bytes; nothing is copied.

    Raises ``TypeError`` for text and other objects without a buffer, ``BufferError`` for one with holes.
    """
    if type(data) is bytes:
        return data, len(data)
    # Not every implementation of from_buffer() notices holes.
    if not memoryview(data).c_contiguous:
        raise BufferError("keys and values need one contiguous piece of memory")
    view = ffi.from_buffer("char[]", data)
    return view, len(view)


def copied(value: Any) -> bytes:
    """The bytes an ``MDB_val`` points to, as a new object."""
    size = value.mv_size
    return bytes(ffi.buffer(value.mv_data, size)) if size else NO_BYTES
