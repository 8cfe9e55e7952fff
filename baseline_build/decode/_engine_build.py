"""Builds the compiled engine: ``python -m baseline_build.decode._engine_build`` puts it beside this file.

For packaging, ``ffibuilder`` is what ``cffi_modules`` names. The engine is an accelerator: without it the portable one
gives the same answers.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from cffi import FFI

_HERE = Path(__file__).resolve().parent
_SOURCES = ("_engine_x86.c", "_engine_aarch64.c")
_BEGIN, _END = "/* cffi:begin */", "/* cffi:end */"


def _declarations(source: str) -> str:
    return source.partition(_BEGIN)[2].partition(_END)[0]


def _builder() -> FFI:
    texts = [(_HERE / name).read_text(encoding="utf-8") for name in _SOURCES if (_HERE / name).exists()]
    builder = FFI()
    builder.cdef("\n".join(_declarations(text) for text in texts))
    # The engine itself keeps to the machine's lowest level: no -march, whatever the environment says.
    builder.set_source("baseline_build.decode._engine", "\n".join(texts), extra_compile_args=["-O2"])
    return builder


ffibuilder = _builder()


def main() -> None:
    """Compiles the engine and puts it beside this file, under its final name only once it is whole."""
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(ffibuilder.compile(tmpdir=scratch))
        fresh = _HERE / f".{built.name}.new"
        shutil.copyfile(built, fresh)
        os.replace(fresh, _HERE / built.name)


if __name__ == "__main__":
    main()
