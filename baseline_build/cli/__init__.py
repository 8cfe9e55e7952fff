"""The command ``baseline-build``: arguments in, text and exit status out.

Each command is a module with a ``parser()``, a typed ``Arguments`` namespace and ``run(arguments, console) -> int``;
:mod:`~baseline_build.cli.program` finds it by name and turns every error into one message on stderr.
"""

from __future__ import annotations

from .program import main

__all__ = ["main"]
