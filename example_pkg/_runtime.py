"""Lets code that ``flatc --python`` generated use the runtime of this package.

Generated modules say ``import flatbuffers``, and parts of the runtime do so too. The runtime here is called
``example_pkg.flatbuffers``, so that it never gets in the way of a ``flatbuffers`` somebody installed. Whoever wants
generated code on the bundled runtime imports it within :func:`bundled_flatbuffers`::

    with example_pkg.bundled_flatbuffers():
        import MyGame.Monster
"""

from __future__ import annotations

import importlib
import sys
import threading
from contextlib import contextmanager
from types import ModuleType
from typing import Dict, Iterator

_BUNDLED = "example_pkg.flatbuffers"
_PUBLIC = "flatbuffers"
_PARTS = ("builder", "compat", "encode", "flexbuffers", "number_types", "packer", "table", "util")
_lock = threading.RLock()


@contextmanager
def bundled_flatbuffers() -> Iterator[ModuleType]:
    """Within the block ``import flatbuffers`` means the bundled runtime; yields it.

    Modules imported in the block keep it for good. Afterwards ``flatbuffers`` is again what it was before: an installed
    distribution or nothing. Other threads wait to enter, but one that imports ``flatbuffers`` outside of such a block
    at the same moment gets the bundled one: import early, in one thread.
    """
    with _lock:
        runtime = importlib.import_module(_BUNDLED)
        before = _public_modules()
        for name in before:
            del sys.modules[name]
        sys.modules[_PUBLIC] = runtime
        try:
            for part in _PARTS:
                sys.modules[f"{_PUBLIC}.{part}"] = importlib.import_module(f"{_BUNDLED}.{part}")
            yield runtime
        finally:
            for name in _public_modules():
                del sys.modules[name]
            sys.modules.update(before)


def _public_modules() -> Dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name == _PUBLIC or name.startswith(f"{_PUBLIC}.")}
