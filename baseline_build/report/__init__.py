"""Renderers of one :class:`~baseline_build.scan.model.Report`: what people, machines and other programs read.

``render(report, format)`` gives text in one of :data:`FORMATS`; nothing here prints. ``exit_code`` turns a report into
the exit status of the command line.
"""

from __future__ import annotations

import importlib
from typing import Dict

from ..errors import EXIT_BROKEN_INPUT, EXIT_CLEAN, EXIT_UNPROVEN, EXIT_VIOLATION, ConfigError
from ..scan.model import Report, Verdict

__all__ = ["FORMATS", "exit_code", "render"]

_MODULES: Dict[str, str] = {
    "text": "text",
    "json": "document",
    "sarif": "sarif",
    "github": "github",
    "markdown": "markdown",
    "html": "html",
}

FORMATS = tuple(_MODULES)
"""The formats :func:`render` knows, in the order the help shows them."""

_EXITS = {
    Verdict.NOT_APPLICABLE: EXIT_CLEAN,
    Verdict.CLEAN: EXIT_CLEAN,
    Verdict.GUARDED: EXIT_CLEAN,
    Verdict.UNDECIDED: EXIT_UNPROVEN,
    Verdict.UNPROVEN: EXIT_UNPROVEN,
    Verdict.VIOLATION: EXIT_VIOLATION,
}


def exit_code(report: Report, *, strict: bool = False) -> int:
    """The exit status for *report*: 0 clean or guarded, 1 violation, 3 unproven or undecided, 4 a file is broken.

    :param strict: code above the promised level fails even where every way to it is guarded (exit status 1).
    """
    if strict and report.verdict is Verdict.GUARDED:
        return EXIT_VIOLATION
    status = _EXITS[report.verdict]
    return EXIT_BROKEN_INPUT if status == EXIT_UNPROVEN and _broken(report) else status


def _broken(report: Report) -> bool:
    """Whether a file could not be read at all: its note then begins with a code of the range BB4."""
    notes = [note for entry in report.inputs for note in entry.notes]
    notes += [note for entry in report.inputs for file in entry.files for note in file.notes]
    return any(note.startswith("BB4") for note in notes)


def render(
    report: Report,
    format: str,  # noqa: A002 - the name the command line and design use
    *,
    colour: bool = False,
    width: int = 80,
    verbose: bool = False,
    whole_words: bool = False,
) -> str:
    """*report* in *format*, one of :data:`FORMATS`, ending in a newline.

    :param colour: ANSI colours; only ``text`` uses them.
    :param width: columns ``text`` is wrapped to; at least 40 are used.
    :param verbose: ``text`` lists every finding and whole symbol names instead of the first few.
    :param whole_words: ``text`` parts no name, so that a path longer than *width* can be searched for and copied.
    :raises ConfigError: BB251, *format* is unknown.
    """
    if format not in _MODULES:
        raise ConfigError(
            "BB251",
            f"the report format {format!r} is unknown",
            fix=f"choose one of {', '.join(FORMATS)}",
        )
    module = importlib.import_module(f".{_MODULES[format]}", __package__)
    if format == "text":
        text: str = module.render(report, colour=colour, width=max(width, 40), verbose=verbose, whole_words=whole_words)
    else:
        text = module.render(report)
    return text if text.endswith("\n") else text + "\n"
