"""Proof that the compiler, the runtime and the reflection data of this package belong together."""

from __future__ import annotations

import importlib
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ._flatc import flatc_path

# The path given to the compiler goes into its output: this is the one the shipped file was made with.
_SCHEMA_PLACE = Path("deps", "flatbuffers", "reflection", "reflection.fbs")
_SCHEMA_OPTIONS = ("--binary", "--schema", "--bfbs-comments", "--bfbs-builtins")
_SECONDS = 60


class VersionMismatchError(Exception):
    """Compiler, runtime and reflection data are not of one version."""


@dataclass(frozen=True)
class Versions:
    """What belongs together.

    :param flatc: what the compiler says of itself.
    :param runtime: ``__version__`` of the runtime.
    :param reflection: the compiler version that reproduces ``reflection.bfbs`` byte for byte.
    :param lmdb: the version of the LMDB compiled in.
    """

    flatc: str
    runtime: str
    reflection: str
    lmdb: str


def versions() -> Versions:
    """The versions, each taken from the thing itself at the time of the call.

    ``reflection.bfbs`` names no version; the proof is that the compiler makes the very same bytes out of the schema
    beside it. Raises :class:`VersionMismatchError` when anything disagrees or the compiler cannot be asked.
    """
    from . import lmdb

    compiler = _ask_compiler()
    runtime = str(importlib.import_module("example_pkg.flatbuffers").__version__)
    if compiler != runtime:
        raise VersionMismatchError(f"flatc is {compiler}, the runtime is {runtime}")
    shipped = _shipped("reflection.bfbs").read_bytes()
    made = _compile_reflection()
    if made != shipped:
        raise VersionMismatchError(f"reflection.bfbs ({len(shipped)} bytes) is not what flatc {compiler} makes")
    return Versions(compiler, runtime, compiler, ".".join(map(str, lmdb.version())))


def _shipped(name: str) -> Path:
    return Path(__file__).with_name(name)


def _ask_compiler() -> str:
    words = _run("--version").split()
    if words[:2] != ["flatc", "version"] or len(words) != 3:
        raise VersionMismatchError(f"flatc says {' '.join(words)!r} when asked for its version")
    return words[2]


def _compile_reflection() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        schema = Path(folder) / _SCHEMA_PLACE
        schema.parent.mkdir(parents=True)
        schema.write_bytes(_shipped("reflection.fbs").read_bytes())
        _run(*_SCHEMA_OPTIONS, "-o", "made", _SCHEMA_PLACE.as_posix(), folder=folder)
        return (Path(folder) / "made" / "reflection.bfbs").read_bytes()


def _run(*arguments: str, folder: Optional[str] = None) -> str:
    command = [str(flatc_path()), *arguments]
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VersionMismatchError(f"flatc cannot be run: {error}") from error
    if result.returncode:
        raise VersionMismatchError(f"flatc failed with status {result.returncode}: {result.stderr.strip()}")
    return result.stdout
