"""Tables of the options for the documentation, generated from the model (reStructuredText list tables)."""

from __future__ import annotations

import dataclasses
from typing import Any, List, Tuple

from .model import ENVIRONMENT_PREFIX, Data, Executable, Kernel, Levels, Selector, Settings, Waiver
from .values import describe, hints, keys

SECTIONS: Tuple[Tuple[str, type], ...] = (
    ("[tool.baseline-build]", Settings),
    ("level", Levels),
    ("[[tool.baseline-build.executables]]", Executable),
    ("[[tool.baseline-build.data]]", Data),
    ("[[tool.baseline-build.kernels]]", Kernel),
    ("[[tool.baseline-build.waivers]]", Waiver),
    ("if of [[tool.baseline-build.overrides]]", Selector),
)


def generate() -> str:
    """All option tables as one reStructuredText text."""
    return "\n".join(_table(title, model) for title, model in SECTIONS)


def _table(title: str, model: type) -> str:
    heads = ["Key", "Type", "Default", "Meaning"]
    rows: List[List[str]] = [heads]
    for key, field in keys(model).items():
        rows.append([f"``{key}``", describe(hints(model)[field.name]), _default(field), _meaning(key, field, model)])
    lines = [f".. list-table:: ``{title}``", "   :header-rows: 1", "   :widths: 16 14 16 54", ""]
    for row in rows:
        lines += [f"   {'* -' if position == 0 else '  -'} {cell}" for position, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "required"
    if isinstance(field.default, bool):
        return f"``{str(field.default).lower()}``"
    if isinstance(field.default, str):
        return f'``"{field.default}"``'
    if isinstance(field.default, tuple):
        items = ", ".join(f'"{item}"' for item in field.default)
        return f"``[{items}]``"
    return f"``{field.default}``" if isinstance(field.default, int) else "each machine's baseline"


def _meaning(key: str, field: dataclasses.Field[Any], model: type) -> str:
    text = str(field.metadata["doc"])
    if field.metadata["choices"]:
        text += " One of: " + ", ".join(f"``{choice}``" for choice in field.metadata["choices"]) + "."
    if model is Settings:
        text += f" Variable: ``{ENVIRONMENT_PREFIX}{key.upper().replace('-', '_')}``."
    return text


if __name__ == "__main__":
    import sys

    sys.stdout.write(generate())
