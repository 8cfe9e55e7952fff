"""The report as JSON, version 1 (``report.schema.json`` beside this file describes it)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

from .. import __version__
from ..scan.model import FileReport, Finding, InputReport, Report

VERSION = 1
"""Raised when a key is renamed, removed or changes its meaning; new keys may come without."""

SCHEMA = Path(__file__).with_name("report.schema.json")
"""Where the JSON schema of the document stands."""


def document(report: Report) -> Dict[str, Any]:
    """*report* as the JSON document's objects, keys in their documented order."""
    return {
        "version": VERSION,
        "tool": {"name": "baseline-build", "version": __version__},
        "verdict": report.verdict.value,
        "inputs": [_input(entry) for entry in report.inputs],
    }


def render(report: Report) -> str:
    """*report* as JSON text: two blanks of indentation, ASCII only, so that any pipe can carry it."""
    return json.dumps(document(report), indent=2) + "\n"


def _input(entry: InputReport) -> Dict[str, Any]:
    return {
        "path": entry.path,
        "sha256": entry.sha256,
        "verdict": entry.verdict.value,
        "files": [_file(file) for file in entry.files],
        "notes": list(entry.notes),
    }


def _file(file: FileReport) -> Dict[str, Any]:
    return {
        "path": file.path,
        "machine": file.machine,
        "verdict": file.verdict.value,
        "promised": file.promised,
        "declared": file.declared,
        "emitted": file.emitted,
        "code_bytes": file.code_bytes,
        "undecoded_bytes": file.undecoded_bytes,
        "features": dict(sorted(file.features.items())),
        "findings": [_finding(finding) for finding in file.findings],
        "origin": file.origin,
        "notes": list(file.notes),
    }


def _finding(finding: Finding) -> Dict[str, Any]:
    source = finding.source
    return {
        "code": finding.code,
        "verdict": finding.verdict.value,
        "feature": finding.feature,
        "level": finding.level,
        "count": finding.count,
        "function": finding.function,
        "address": f"{finding.address:#x}",
        "bytes": finding.data.hex(),
        "instruction": finding.instruction,
        "path": list(finding.path),
        "guard": finding.guard,
        "source": {"file": source.file, "line": source.line, "flags": source.flags} if source else None,
        "hint": finding.hint,
        "ground": finding.ground,
        "waived_by": finding.waived_by,
    }
