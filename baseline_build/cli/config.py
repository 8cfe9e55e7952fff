"""``baseline-build config``: every setting with its value and where it came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, List, Sequence, Union

from ..errors import ConfigError
from .console import Console
from .options import Arguments as Shared
from .options import Parser, one_of


class Arguments(Shared):
    """Options of ``config``."""

    project: str
    settings: List[str]
    format: str


def parser() -> Parser:
    """The parser of ``config``."""
    made = Parser("config", "Show every setting of a project, its value and where the value came from.")
    made.add_argument("--project", metavar="DIR", default=".", help="default: the current folder")
    made.add_argument(
        "-C", dest="settings", metavar="KEY=VALUE", action="append", default=[], help="as given to pip or build"
    )
    made.add_argument("--format", type=one_of("format", ("text", "json")), default="text", help="text or json")
    return made


def main(argv: Sequence[str], console: Console) -> int:
    """Run ``config`` with *argv*."""
    from ..config import fields_with_values, resolve

    arguments = Arguments()
    parser().read(argv, arguments)
    console.verbosity = arguments.verbose - arguments.quiet
    resolved = resolve(project_folder(arguments.project), _settings(arguments.settings))
    rows = [
        (key, value, origin.place or origin.source)
        for (key, value), origin in zip(fields_with_values(resolved.settings), resolved.origins)
    ]
    if arguments.format == "json":
        listed = {key: {"value": value, "origin": origin} for key, value, origin in rows}
        console.result(json.dumps(listed, indent=2, default=_plain) + "\n")
        return 0
    width = max(len(key) for key, _, _ in rows)
    for key, value, origin in rows:
        console.result(f"{key:<{width}}  {_text(value)}  ({origin})\n")
    return 0


def project_folder(name: str) -> Path:
    """The project's folder *name*. Raises ConfigError BB252 where no pyproject.toml is in it."""
    folder = Path(name)
    if not (folder / "pyproject.toml").is_file():
        raise ConfigError(
            "BB252", "there is no pyproject.toml in this folder", where=name, fix="name the project's folder"
        )
    return folder


def _settings(given: Sequence[str]) -> Dict[str, Union[str, List[str]]]:
    """``-C`` options as frontends hand them over: a key given twice has a list of values."""
    settings: Dict[str, Union[str, List[str]]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ConfigError("BB250", f"-C {text} has no value", fix="write -C key=value")
        before = settings.get(key)
        if before is None:
            settings[key] = value
        else:
            settings[key] = [*([before] if isinstance(before, str) else before), value]
    return settings


def _plain(value: object) -> object:
    """A setting's value as JSON can hold it: tuples of dataclasses become objects."""
    import dataclasses

    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


def _text(value: object) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)
