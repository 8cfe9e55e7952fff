"""The CFFI module's definition."""

from __future__ import annotations

from cffi import FFI

ffibuilder = FFI()
ffibuilder.cdef("int answer(void);")
ffibuilder.set_source("cffi_pkg._answer", "static int answer(void) { return 42; }")
