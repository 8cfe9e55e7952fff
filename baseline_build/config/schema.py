"""The JSON schema of ``[tool.baseline-build]``, generated from the model; for editors and validate-pyproject."""

from __future__ import annotations

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any, Dict

from .model import Selector, Settings
from .values import hints, is_list, item_of, keys

SHIPPED = Path(__file__).with_name("schema.json")
_DRAFT = "http://json-schema.org/draft-07/schema#"  # the draft validate-pyproject reads


def generate() -> Dict[str, Any]:
    """The schema as JSON values."""
    properties = _properties(Settings)
    override = {
        "type": "object",
        "required": ["if"],
        "additionalProperties": False,
        "properties": {"if": _selector(), **properties},
    }
    return {
        "$schema": _DRAFT,
        "$id": "https://example.invalid/baseline-build.schema.json",
        "title": "[tool.baseline-build]",
        "description": "Settings of the baseline-build backend.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **properties,
            "overrides": {
                "description": "Settings for some platforms only; later ones win.",
                "type": "array",
                "items": override,
            },
        },
    }


def text() -> str:
    """The schema as the text that is shipped."""
    return json.dumps(generate(), indent=2, ensure_ascii=False) + "\n"


def tool_schema(tool_name: str) -> Dict[str, Any]:
    """The shipped schema, as validate-pyproject's entry point ``validate_pyproject.tool_schema`` wants it.

    :param tool_name: the name after ``tool.``; given by validate-pyproject, always ours.
    """
    del tool_name
    schema: Dict[str, Any] = json.loads(SHIPPED.read_text(encoding="utf-8"))
    return schema


def _properties(model: type) -> Dict[str, Any]:
    return {key: _property(model, field) for key, field in keys(model).items()}


def _property(model: type, field: dataclasses.Field[Any]) -> Dict[str, Any]:
    schema: Dict[str, Any] = {"description": field.metadata["doc"]}
    if field.name == "level" and model is Settings:
        return {**schema, "oneOf": [{"type": "string"}, _kind(hints(model)[field.name])]}
    schema.update(_kind(hints(model)[field.name]))
    if field.metadata["choices"]:
        schema["enum"] = list(field.metadata["choices"])
    if isinstance(field.default, (bool, int, str)):
        schema["default"] = field.default
    return schema


def _kind(kind: Any) -> Dict[str, Any]:
    if is_list(kind):
        return {"type": "array", "items": _kind(item_of(kind))}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        required = [key for key, field in keys(kind).items() if field.default is dataclasses.MISSING]
        schema: Dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": _properties(kind)}
        return {**schema, "required": required} if required else schema
    if typing.get_origin(kind) is typing.Union:
        return {"type": ["boolean", "string"]}
    return {"type": {bool: "boolean", int: "integer", str: "string"}[kind]}


def _selector() -> Dict[str, Any]:
    texts = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    properties = {key: {"description": field.metadata["doc"], **texts} for key, field in keys(Selector).items()}
    return {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": properties}


if __name__ == "__main__":
    SHIPPED.write_text(text(), encoding="utf-8")
