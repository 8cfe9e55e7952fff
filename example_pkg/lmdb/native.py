"""The compiled module: ``ffi`` and ``lib``, and the passage of bytes between Python and LMDB."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Tuple

_NAME = "example_pkg._lmdb_cffi"


def _compiled() -> Any:
    """The extension module; sources by themselves have none."""
    try:
        return importlib.import_module(_NAME)
    except ModuleNotFoundError as error:
        if error.name != _NAME:
            raise
        raise ModuleNotFoundError(
            f"{_NAME} is not compiled in {Path(__file__).parents[1]}: these are the sources. "
            "Install the wheel, and start Python from another folder or with -I",
            name=_NAME,
        ) from None


_module: Any = _compiled()

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
