"""LLVM's own disassembler behind its C interface, as an oracle: one word in, text or nothing out.

Debian's ``llvm-22`` brings ``libLLVM.so.22.1``; ``BASELINE_BUILD_LIBLLVM`` names another library. Going through the C
interface is some twenty times faster than feeding ``llvm-mc`` text and gives the same answers, with one difference:
encodings that LLVM calls *potentially undefined* (``ldp x0, x0, [x1]``) come back as "nothing".
"""

from __future__ import annotations

import ctypes
import os
from typing import Optional

_CANDIDATES = ("libLLVM.so.22.1", "libLLVM-22.so.1", "libLLVM-22.so")


def library() -> Optional[ctypes.CDLL]:
    """The LLVM library, or ``None`` where this machine has none."""
    named = os.environ.get("BASELINE_BUILD_LIBLLVM")
    for name in (named,) if named else _CANDIDATES:
        found = _loaded(name)
        if found is not None:
            return found
    return None


def _loaded(name: str) -> Optional[ctypes.CDLL]:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


class Disassembler:
    """One LLVM disassembler context for AArch64 with a fixed set of features.

    :param features: LLVM's feature string, ``+all`` for everything.
    """

    def __init__(self, lib: ctypes.CDLL, features: str = "+all") -> None:
        for part in ("TargetInfo", "TargetMC", "Disassembler"):
            getattr(lib, f"LLVMInitializeAArch64{part}")()
        create = lib.LLVMCreateDisasmCPUFeatures
        create.restype = ctypes.c_void_p
        create.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        self._context = create(b"aarch64-linux-gnu", b"generic", features.encode(), None, 0, None, None)
        if not self._context:
            raise RuntimeError("LLVM gave no disassembler for aarch64")
        self._decode = lib.LLVMDisasmInstruction
        self._decode.restype = ctypes.c_size_t
        self._decode.argtypes = [
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_uint64,
            ctypes.c_uint64,
            ctypes.c_void_p,
            ctypes.c_size_t,
        ]
        self._word = ctypes.c_uint32()
        self._text = ctypes.create_string_buffer(256)

    def text(self, word: int) -> Optional[str]:
        """The assembler text of *word*, or ``None`` where LLVM does not decode it."""
        self._word.value = word
        length = self._decode(self._context, ctypes.byref(self._word), 4, 0, self._text, 256)
        return self._text.value.decode().strip() if length else None

    def decodes(self, word: int) -> bool:
        """Whether LLVM decodes *word*."""
        self._word.value = word
        return bool(self._decode(self._context, ctypes.byref(self._word), 4, 0, self._text, 256))
