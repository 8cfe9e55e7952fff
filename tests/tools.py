"""What many tests need of the machine: found, or a failure under CI and a visible skip elsewhere."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import NoReturn, Optional, Tuple

import pytest


def missing(reason: str) -> NoReturn:
    """End the running test for want of something: a failure where ``CI`` is set, a skip with *reason* elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"under CI everything a test needs must be there: {reason}", pytrace=False)
    pytest.skip(reason)


def require_tool(name: str, *others: str) -> str:
    """The path of the first of the programs *name*, *others* on PATH; else the test ends, see :func:`missing`."""
    for candidate in (name, *others):
        path = shutil.which(candidate)
        if path:
            return path
    missing(f"the program {' or '.join((name, *others))} is not installed")


_ASK = (
    "import sys; print({'cpython': 'cp', 'pypy': 'pp'}[sys.implementation.name] + '%d%d' % sys.version_info[:2]);"
    "import pip, venv, ensurepip"
)


def find_python(tag: str) -> Optional[str]:
    """The path of the interpreter *tag* (``cp39``), with pip; ``None`` where there is none.

    It is one of ``BASELINE_BUILD_TEST_PYTHONS`` (paths with colons between), or on PATH.
    """
    named = os.environ.get("BASELINE_BUILD_TEST_PYTHONS", "").split(os.pathsep)
    usual = "pypy3" if tag.startswith("pp") else f"python{tag[2]}.{tag[3:]}"
    for candidate in (*filter(None, named), usual, "python3"):
        path = shutil.which(candidate)
        if path is None:
            continue
        done = subprocess.run([path, "-c", _ASK], capture_output=True, text=True, check=False)
        if (done.returncode, done.stdout.strip()) == (0, tag):
            return path
    return None


def without_network() -> Tuple[str, ...]:
    """The words that start a command in a network namespace of its own, with nothing in it but a loopback that is down.

    An ordinary user needs a user namespace for it (``-r``); root in a container or a changed root may not have one,
    but then may do without.
    """
    unshare = require_tool("unshare")
    for options in ("-rn", "-n"):
        if not subprocess.run([unshare, options, "true"], check=False, capture_output=True).returncode:
            return (unshare, options)
    missing("this machine does not let us make a network namespace")


def untar(archive: Path, folder: Path) -> None:
    """Unpack *archive* into *folder*, with the safe filter where this Python has one (PEP 706)."""
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(folder)


def bare_needs(folder: Path) -> Path:
    """A folder with what the backend itself imports and nothing else that is installed, for an interpreter's path."""
    folder.mkdir()
    for name in ("elftools", "packaging", "tomli"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            (folder / name).symlink_to(next(iter(spec.submodule_search_locations)))
    return folder
