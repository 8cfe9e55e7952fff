"""LMDB and the FlatBuffers compiler in one wheel.

* :mod:`example_pkg.lmdb`: the LMDB binding, with py-lmdb's names.
* ``flatc``: the FlatBuffers compiler, a console script of this package (:mod:`example_pkg._flatc`).
* :mod:`example_pkg.flatbuffers`: the FlatBuffers runtime; :func:`bundled_flatbuffers` lets generated code use it.
* :func:`versions`: proof that compiler, runtime and reflection data are of one version.
"""

from __future__ import annotations

from ._runtime import bundled_flatbuffers
from ._versions import VersionMismatchError, Versions, versions

__all__ = ["VersionMismatchError", "Versions", "bundled_flatbuffers", "versions"]
