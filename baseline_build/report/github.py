"""The report as workflow commands of GitHub Actions: one annotation for each finding that needs somebody.

Escapes as in GitHub's "Workflow commands for GitHub Actions": ``%``, CR and LF in messages; ``:`` and ``,`` as well in
properties. GitHub shows ten annotations of a kind for each step, so findings are joined by file and feature.
"""

from __future__ import annotations

from typing import Dict, List, Tuple

from ..scan.model import FileReport, Finding, InputReport, Report, Verdict
from .answer import answer, declaration, plural

_KINDS = {
    Verdict.VIOLATION: "error",
    Verdict.UNPROVEN: "error",
    Verdict.UNDECIDED: "warning",
    Verdict.GUARDED: "notice",
}


def render(report: Report) -> str:
    """*report* as one workflow command a line; a clean input is a notice."""
    lines: List[str] = []
    for entry in report.inputs:
        kind = _KINDS.get(entry.verdict, "notice")
        lines.append(_command(kind, {"title": f"{_name(entry.path)}: {entry.verdict.value}"}, str(answer(entry))))
        for file in entry.files:
            lines += _file(entry, file)
    return "\n".join(lines) + "\n"


def _file(entry: InputReport, file: FileReport) -> List[str]:
    groups: Dict[Tuple[Verdict, str], List[Finding]] = {}
    for finding in file.findings:
        if not finding.waived_by and finding.verdict in _KINDS:
            groups.setdefault((finding.verdict, finding.feature), []).append(finding)
    lines = []
    for (verdict, feature), findings in groups.items():
        first = findings[0]
        properties = {"title": f"{first.code} {file.path}: {feature}"}
        if first.source is not None:
            properties = {"file": first.source.file, "line": str(first.source.line), **properties}
        subject = file.path if declaration(first) else f"{first.instruction} in {first.function}"
        text = f"{subject} needs {feature}"
        text += f" ({first.level})" if first.level else ""
        if len(findings) > 1:
            text += f", and {plural(len(findings) - 1, 'more function')} of {file.path} in {_name(entry.path)}"
        text += "".join(f"\n{line}" for line in (first.ground, first.hint) if line)
        lines.append(_command(_KINDS[verdict], properties, text))
    if not file.findings and file.verdict is Verdict.UNDECIDED:
        text = "; ".join(file.notes) or f"{plural(file.undecoded_bytes, 'byte')} could not be decoded"
        lines.append(_command("warning", {"title": f"{file.path}: undecided"}, text))
    return lines


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _command(kind: str, properties: Dict[str, str], message: str) -> str:
    listed = ",".join(f"{key}={_escaped(value, extra=True)}" for key, value in properties.items())
    return f"::{kind} {listed}::{_escaped(message)}"


def _escaped(text: str, *, extra: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if extra else text
