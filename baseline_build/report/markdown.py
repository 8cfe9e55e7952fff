"""The report as Markdown, for step summaries, pull requests and issues."""

from __future__ import annotations

from typing import List

from ..scan.model import FileReport, Finding, InputReport, Report, Verdict
from .answer import answer, declaration, plural
from .grouping import gravest_first

_MARKS = {
    Verdict.NOT_APPLICABLE: "➖",
    Verdict.CLEAN: "✅",
    Verdict.GUARDED: "✅",
    Verdict.UNDECIDED: "❔",
    Verdict.UNPROVEN: "⚠️",
    Verdict.VIOLATION: "❌",
}
_SHOWN = 50  # findings of one file
_LIMIT = 900_000  # bytes of the whole: GitHub takes no step summary above 1 MiB, and a step may write several


def render(report: Report) -> str:
    """*report* as GitHub-flavoured Markdown."""
    lines: List[str] = []
    for entry in report.inputs:
        lines += [*_input(entry), ""]
    return _cut("\n".join(lines)) if lines else "Nothing to scan.\n"


def _cut(text: str) -> str:
    """*text*, or as many whole lines of it as fit, and a sentence that says so."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= _LIMIT:
        return text
    kept = data[:_LIMIT].rpartition(b"\n")[0].decode("utf-8")
    return f"{kept}\n\n… The rest does not fit into a page like this one; `--format json` gives everything.\n"


def _input(entry: InputReport) -> List[str]:
    result = answer(entry)
    lines = [f"## {_MARKS[entry.verdict]} {_code(entry.path.rsplit('/', 1)[-1])}", ""]
    lines.append(
        f"**{result.heading}: {_text(result.need)}**" + (f" because {_text(result.reason)}" if result.reason else "")
    )
    lines.append("")
    lines += [f"- {_text(note)}" for note in entry.notes]
    files = gravest_first(entry.files)
    if files:
        lines += ["", "| file | verdict | promised | declared | emitted |", "|---|---|---|---|---|"]
        for file in files:
            cells = (file.promised, file.declared, file.emitted)
            levels = " | ".join(_code(cell) if cell else "–" for cell in cells)
            lines.append(f"| {_code(file.path)} | {_MARKS[file.verdict]} {file.verdict.value} | {levels} |")
    for file in files:
        if file.findings or file.notes or file.origin:
            lines += ["", *_file(file)]
    return lines


def _file(file: FileReport) -> List[str]:
    lines = [f"### {_code(file.path)}", ""]
    if file.origin:
        lines += [f"came from {_text(file.origin)}", ""]
    lines += [f"- {_text(note)}" for note in file.notes]
    if file.findings:
        lines += [
            "",
            "| | function | address | instruction | needs | source | why and what to do |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [_row(finding) for finding in file.findings[:_SHOWN]]
        hidden = len(file.findings) - _SHOWN
        if hidden > 0:
            lines += ["", f"… and {plural(hidden, 'finding')} more."]
    return lines


def _row(finding: Finding) -> str:
    source = f"{finding.source.file}:{finding.source.line}" if finding.source else ""
    needs = finding.feature + (f" ({finding.level})" if finding.level else "")
    words = [finding.ground, finding.guard and f"guard: {finding.guard}", finding.hint]
    if finding.waived_by:
        words = [f"waived: {finding.waived_by}"]
    if len(finding.path) > 1:
        words.insert(0, "way: " + " → ".join(finding.path) + ".")
    cells = (
        f"{_MARKS[finding.verdict]} {finding.code}",
        _code(finding.function),
        "–" if declaration(finding) else _code(f"{finding.address:#x}"),
        "–" if declaration(finding) else f"{_code(finding.instruction)} ×{finding.count}",
        _text(needs),
        _code(source) if source else "–",
        _text(" ".join(word for word in words if word)),
    )
    return "| " + " | ".join(cells) + " |"


def _text(text: str) -> str:
    """*text* with everything escaped that Markdown or HTML would take for markup."""
    for mark in "\\`*_{}[]<>|#~":
        text = text.replace(mark, f"\\{mark}" if mark not in "<>" else {"<": "&lt;", ">": "&gt;"}[mark])
    return " ".join(text.split())


def _code(text: str) -> str:
    """*text* as a code span; a longer fence where it holds backticks itself, ``|`` escaped for tables."""
    fence = "`"
    while fence in text:
        fence += "`"
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{' '.join(text.split())}{pad}{fence}".replace("|", "\\|")
