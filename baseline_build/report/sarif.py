"""The report as SARIF 2.1.0 (OASIS standard), which code-scanning services read.

A finding lies in a function of a member of a wheel: the member is an artifact nested in the wheel's artifact, the
function a logical location. Where debug information tells the source line, that is the main location and the binary
one a related location. Waived findings are results with a suppression.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import quote

from .. import __version__
from ..scan.model import FileReport, Finding, InputReport, Report, Verdict
from .answer import answer, declaration
from .codes import explanation

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS = {
    Verdict.VIOLATION: "error",
    Verdict.UNPROVEN: "error",
    Verdict.UNDECIDED: "warning",
    Verdict.GUARDED: "note",
    Verdict.CLEAN: "none",
    Verdict.NOT_APPLICABLE: "none",
}


class _Log:
    """Collects artifacts, rules and results, which refer to each other by index."""

    def __init__(self) -> None:
        self.artifacts: List[Dict[str, Any]] = []
        self._places: Dict[Tuple[str, Optional[int]], int] = {}
        self.rules: Dict[str, Dict[str, Any]] = {}
        self.results: List[Dict[str, Any]] = []

    def artifact(self, path: str, *, parent: Optional[int] = None, sha256: Optional[str] = None) -> int:
        entry: Dict[str, Any] = {"location": {"uri": _uri(path)}}
        if parent is not None:
            entry["parentIndex"] = parent
        if sha256:
            entry["hashes"] = {"sha-256": sha256}
        # Static archives may hold two members of one name; SARIF wants each artifact once.
        index = self._places.setdefault((path, parent), len(self.artifacts))
        if index == len(self.artifacts):
            self.artifacts.append(entry)
        return index

    def rule(self, code: str) -> int:
        if code not in self.rules:
            told = explanation(code)
            entry: Dict[str, Any] = {"id": code}
            if told is not None:
                entry["shortDescription"] = {"text": told.title}
                entry["fullDescription"] = {"text": told.text or told.title}
            self.rules[code] = entry
        return list(self.rules).index(code)


def render(report: Report) -> str:
    """*report* as a SARIF log, JSON text."""
    log = _Log()
    for entry in report.inputs:
        top = log.artifact(entry.path, sha256=entry.sha256)
        if not entry.files and entry.verdict in (Verdict.UNDECIDED, Verdict.UNPROVEN, Verdict.VIOLATION):
            log.results.append(_blind(log, entry, top))
        for file in entry.files:
            index = top if file.path == entry.path else log.artifact(file.path, parent=top)
            for finding in file.findings:
                log.results.append(_result(log, file, finding, index))
            if not file.findings and file.verdict is Verdict.UNDECIDED:
                log.results.append(_unread(log, file, index))
    run = {
        "tool": {
            "driver": {
                "name": "baseline-build",
                "semanticVersion": __version__,
                "version": __version__,
                "rules": list(log.rules.values()),
            }
        },
        "artifacts": log.artifacts,
        "results": log.results,
        "columnKind": "utf16CodeUnits",
        "properties": {"verdict": report.verdict.value, "answers": [str(answer(entry)) for entry in report.inputs]},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _location(file: FileReport, finding: Finding, index: int) -> Dict[str, Any]:
    name = f"{file.path}+{finding.address:#x}"
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(file.path), "index": index},
            "address": {"absoluteAddress": finding.address, "kind": "instruction", "fullyQualifiedName": name},
        },
        "logicalLocations": [_function(finding.function)],
    }


def _uri(path: str) -> str:
    """*path* as a URI reference, with the very bytes of names that are not UTF-8."""
    return quote(path.encode("utf-8", "surrogateescape"))


def _function(name: str) -> Dict[str, Any]:
    return {"fullyQualifiedName": name, "kind": "function"}


def _result(log: _Log, file: FileReport, finding: Finding, index: int) -> Dict[str, Any]:
    binary = _location(file, finding, index)
    subject = "" if declaration(finding) else f"{finding.instruction} in {finding.function} of "
    text = f"{subject}{file.path} needs {finding.feature}"
    if finding.level:
        text += f" ({finding.level}), {file.promised} was promised"
    text += f". {finding.ground}" if finding.ground else "."
    if finding.hint:
        text += f" {finding.hint}"
    key = f"{file.path}\0{finding.function}\0{finding.feature}"
    result: Dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": log.rule(finding.code),
        "kind": "fail",
        "level": _LEVELS[finding.verdict],
        "message": {"text": text},
        "locations": [binary],
        "partialFingerprints": {"functionAndFeature/v1": hashlib.sha256(key.encode()).hexdigest()},
        "properties": {
            "verdict": finding.verdict.value,
            "feature": finding.feature,
            "needs": finding.level,
            "instructions": finding.count,
            "bytes": finding.data.hex(),
            "guard": finding.guard,
        },
    }
    if result["level"] == "none":
        result["kind"] = "pass"
    if finding.source is not None:
        result["locations"] = [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.source.file)},
                    "region": {"startLine": max(finding.source.line, 1)},
                },
                "logicalLocations": [_function(finding.function)],
            }
        ]
        result["relatedLocations"] = [{"id": 0, "message": {"text": "the machine code"}, **binary}]
    if len(finding.path) > 1:
        steps = [{"location": {"logicalLocations": [_function(name)]}} for name in finding.path]
        result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    if finding.waived_by:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": finding.waived_by}]
    return result


def _unread(log: _Log, file: FileReport, index: int) -> Dict[str, Any]:
    why = "; ".join(file.notes) or f"{file.undecoded_bytes} bytes of code could not be decoded"
    return {
        "ruleId": "BB130",
        "ruleIndex": log.rule("BB130"),
        "kind": "open",
        "message": {"text": f"{file.path} could not be judged: {why}"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(file.path), "index": index}}}],
    }


def _blind(log: _Log, entry: InputReport, index: int) -> Dict[str, Any]:
    return {
        "ruleId": "BB130",
        "ruleIndex": log.rule("BB130"),
        "kind": "open",
        "message": {"text": "; ".join(entry.notes) or f"{entry.path} could not be judged"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": quote(entry.path), "index": index}}}],
    }
