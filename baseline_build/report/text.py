"""The report for a terminal: the answer first, then each file's findings, wrapped to the width."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import List, Sequence

from ..scan.model import FileReport, Finding, InputReport, Report, Verdict
from .answer import answer, declaration, plural
from .grouping import by_function, by_reason, gravest_first

_SHOWN = 8  # functions of one file without -v; enough to see a pattern, few enough to keep the answer on the screen
_FILES = 6  # files with their functions without -v
_NAMED = 20  # files named without -v, below those
_COLOURS = {
    Verdict.NOT_APPLICABLE: "2",
    Verdict.CLEAN: "32",
    Verdict.GUARDED: "36",
    Verdict.UNDECIDED: "33",
    Verdict.UNPROVEN: "33",
    Verdict.VIOLATION: "31",
}


@dataclass(frozen=True)
class _Pen:
    """How to write: the width, whether to colour, list everything, and part names longer than a line."""

    colour: bool
    width: int
    verbose: bool
    parts_words: bool

    def paint(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour and text else text

    def wrap(self, text: str, first: str, rest: str) -> List[str]:
        if self.verbose:
            return [first + text]
        return textwrap.wrap(
            text,
            self.width,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=self.parts_words,
            break_on_hyphens=False,
        ) or [first.rstrip()]

    def name(self, text: str) -> List[str]:
        """A line that begins with a path: in one piece where nothing is to be parted."""
        return self.wrap(text, "  ", "    ") if self.parts_words else ["  " + text]

    def fit(self, text: str, room: int) -> str:
        """*text* with its middle taken out where it is longer than *room* columns."""
        if self.verbose or len(text) <= room:
            return text
        tail = (room - 1) // 2
        return f"{text[: room - 1 - tail]}…{text[-tail:]}" if tail else text[:room]


def render(report: Report, *, colour: bool, width: int, verbose: bool, whole_words: bool) -> str:
    """*report* as lines of at most *width* columns (whole symbol names, unwrapped, with *verbose*).

    With *whole_words* a path that is longer than a line stays in one piece, for programs that search in the text.
    """
    pen = _Pen(colour, width, verbose, not whole_words)
    blocks = [_input(entry, pen) for entry in report.inputs]
    if not blocks:
        blocks = [["nothing to scan"]]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _input(entry: InputReport, pen: _Pen) -> List[str]:
    result = answer(entry)
    colour = "1;" + _COLOURS[entry.verdict]
    lines = pen.wrap(f"{result.heading}: {result.need}", "", "  ")
    lines = [pen.paint(line, colour) for line in lines]
    if result.reason:
        lines += pen.wrap(f"because {result.reason}", "  ", "  ")
    code = sum(file.code_bytes for file in entry.files)
    native = sum(file.verdict is not Verdict.NOT_APPLICABLE for file in entry.files)
    lines += pen.name(f"{entry.path}: {entry.verdict.value}")
    if native:
        lines += pen.wrap(f"{plural(native, 'file')} with native code, {_size(code)} of it", "  ", "    ")
    for note in entry.notes:
        lines += pen.wrap(f"note: {note}", "  ", "    ")
    return [*lines, *_files(entry, pen)]


def _files(entry: InputReport, pen: _Pen) -> List[str]:
    """The gravest files with their functions, the next ones by name."""
    quiet = (Verdict.CLEAN, Verdict.NOT_APPLICABLE)
    told = [file for file in gravest_first(entry.files) if pen.verbose or file.verdict not in quiet or file.notes]
    whole = len(told) if pen.verbose else _FILES
    lines = [line for file in told[:whole] for line in ("", *_file(file, pen))]
    named, hidden = told[whole : whole + _NAMED], told[whole + _NAMED :]
    if named:
        lines += ["", "also, all with -v or --format json:"]
    for file in named:
        count = f", {plural(len(file.findings), 'finding')}" if file.findings else ""
        lines += pen.name(f"{file.path}: {file.verdict.value}{count}")
    if hidden:
        lines.append(f"  … and {plural(len(hidden), 'file')} more")
    return lines


def _size(count: int) -> str:
    if count < 10_000:
        return plural(count, "byte")
    return f"{count / 1000:,.0f} kB" if count < 10_000_000 else f"{count / 1_000_000:,.1f} MB"


def _file(file: FileReport, pen: _Pen) -> List[str]:
    lines = [pen.paint(line, "1") for line in pen.wrap(file.path, "", "  ")]
    levels = ", ".join(
        f"{label} {(value or 'nothing').replace('+', ' + ')}"
        for label, value in (("promised", file.promised), ("declared", file.declared), ("emitted", file.emitted))
    )
    lines += pen.wrap(f"{file.verdict.value}: {file.machine}, {levels}", "  ", "  ")
    if file.origin:
        lines += pen.wrap(f"came from {file.origin}", "  ", "    ")
    if file.undecoded_bytes:
        lines += pen.wrap(f"{plural(file.undecoded_bytes, 'byte')} of code could not be decoded", "  ", "    ")
    for note in file.notes:
        lines += pen.wrap(f"note: {note}", "  ", "    ")
    groups = by_function(file.findings)
    shown = groups if pen.verbose else groups[:_SHOWN]
    for bundle in by_reason(shown):
        for group in bundle:
            lines += _function(group, pen)
        lines += _words(bundle, pen)
    hidden = len(file.findings) - sum(len(group) for group in shown)
    if hidden:
        lines += pen.wrap(f"… and {plural(hidden, 'finding')} more: -v or --format json shows all", "  ", "    ")
    return lines


def _function(group: Sequence[Finding], pen: _Pen) -> List[str]:
    """A function, its instructions, where it comes from and the way to it."""
    finding = group[0]
    word = "waived" if finding.waived_by else finding.verdict.value
    head = f"{finding.code} {word}  "
    place = "" if declaration(finding) else f" at {finding.address:#x}"
    room = pen.width - 2 - len(head) - len(place)
    lines = ["  " + pen.paint(head, _COLOURS[finding.verdict]) + pen.fit(finding.function, max(room, 8)) + place]
    for one in group:
        if declaration(one):
            continue
        what = (
            f"{one.instruction} needs {one.feature}"
            if one is finding
            else (f"{one.instruction} at {one.address:#x} needs {one.feature}")
        )
        what += f" ({one.level})" if one.level else ""
        what += f", {plural(one.count, 'instruction')}, bytes {one.data.hex(' ')}"
        lines += pen.wrap(what, "    ", "      ")
    if finding.source:
        flags = f", compiled with {finding.source.flags}" if finding.source.flags else ""
        lines += pen.wrap(f"source: {finding.source.file}:{finding.source.line}{flags}", "    ", "      ")
    if len(finding.path) > 1:
        way = " -> ".join(pen.fit(name, pen.width - 16) for name in finding.path)
        lines += pen.wrap(f"way: {way}", "    ", "      ")
    return lines


def _words(bundle: Sequence[Sequence[Finding]], pen: _Pen) -> List[str]:
    """Why the functions of *bundle* were judged so, and what to do: said once for all of them."""
    finding = bundle[0][0]
    all_of = f", for these {len(bundle)} functions" if len(bundle) > 1 else ""
    lines: List[str] = []
    for label, text in (
        ("guard", finding.guard),
        ("why", finding.ground),
        ("waived", finding.waived_by),
        ("fix", finding.hint if not finding.waived_by else ""),
    ):
        if text:
            lines += pen.wrap(f"{label}{all_of}: {text}", "    ", "      ")
            all_of = ""
    return lines
