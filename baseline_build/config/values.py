"""From TOML values and from texts to the model's values, by the model's own types."""

from __future__ import annotations

import dataclasses
import sys
import typing
from functools import cache
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple, Union

from ..isa import AARCH64, X86
from .model import Levels, key_of
from .places import Path
from .problems import Problems, nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

WRONG = object()
"""Stands for a value that was reported as a problem."""

Where = Callable[[Path], str]
"""Names the place of a key path, for messages."""

_TRUE = frozenset(("", "1", "true", "yes", "on"))
_FALSE = frozenset(("0", "false", "no", "off"))


@cache
def hints(model: type) -> Mapping[str, Any]:
    """The field types of *model* with annotations evaluated."""
    return typing.get_type_hints(model)


def keys(model: type) -> Dict[str, dataclasses.Field[Any]]:
    """TOML key -> field of *model*, in order."""
    return {key_of(field): field for field in dataclasses.fields(model)}


def is_list(kind: Any) -> bool:
    """Whether *kind* is ``Tuple[item, ...]``."""
    return typing.get_origin(kind) is tuple


def item_of(kind: Any) -> Any:
    """The item type of ``Tuple[item, ...]``."""
    return typing.get_args(kind)[0]


def describe(kind: Any) -> str:
    """*kind* in the words of TOML."""
    if is_list(kind):
        return f"a list of {describe(item_of(kind))[2:]}s"
    if dataclasses.is_dataclass(kind):
        return "a table"
    if typing.get_origin(kind) is Union:
        return "true, false or a text"
    return {bool: "a boolean", int: "a whole number", str: "a text"}[kind]


def convert(kind: Any, value: Any, path: Path, where: Where, problems: Problems) -> Any:
    """*value* as TOML gave it in the model's type *kind*; :data:`WRONG` after the problem was kept."""
    if is_list(kind):
        return _convert_list(kind, value, path, where, problems)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if isinstance(value, dict):
            return convert_table(kind, value, path, where, problems)
    elif typing.get_origin(kind) is Union:
        if isinstance(value, (bool, str)):
            return value
    elif type(value) is kind:
        return value
    problems.add(
        "BB202", where(path), f"{_dotted(path)} must be {describe(kind)}, not {_given(value)}", _example(kind, path)
    )
    return WRONG


def _convert_list(kind: Any, value: Any, path: Path, where: Where, problems: Problems) -> Any:
    if not isinstance(value, list):
        problems.add(
            "BB202", where(path), f"{_dotted(path)} must be {describe(kind)}, not {_given(value)}", _example(kind, path)
        )
        return WRONG
    items = [convert(item_of(kind), item, (*path, position), where, problems) for position, item in enumerate(value)]
    return WRONG if any(item is WRONG for item in items) else tuple(items)


def convert_table(model: type, table: Mapping[str, Any], path: Path, where: Where, problems: Problems) -> Any:
    """*table* as an instance of the dataclass *model*; :data:`WRONG` after the problems were kept."""
    known = keys(model)
    values: Dict[str, Any] = {}
    for key, value in table.items():
        here = (*path, key)
        if key not in known:
            problems.add_unknown(where(here), key, known, what=f"key in {_dotted(path)}")
            values[key] = WRONG
            continue
        field = known[key]
        converted = convert(hints(model)[field.name], value, here, where, problems)
        values[field.name] = check_choice(field, converted, here, where, problems)
    for key, field in known.items():
        if key not in table and field.default is dataclasses.MISSING:
            problems.add("BB204", where(path), f"{_dotted(path)} lacks the key {key!r}", f"add {key} = …: {doc(field)}")
            values[field.name] = WRONG
    return WRONG if any(value is WRONG for value in values.values()) else model(**values)


def check_choice(field: dataclasses.Field[Any], value: Any, path: Path, where: Where, problems: Problems) -> Any:
    """*value* where the field allows it; :data:`WRONG` after the problem was kept."""
    choices: Sequence[str] = field.metadata["choices"] or ()
    if value is WRONG or not choices or value in choices:
        return value
    match = nearest(str(value), choices)
    hint = f"did you mean {match!r}?" if match else f"one of: {', '.join(choices)}"
    problems.add("BB203", where(path), f"{_dotted(path)} = {value!r} is not a known value", hint)
    return WRONG


def doc(field: dataclasses.Field[Any]) -> str:
    """The meaning of a field, without its final full stop."""
    return str(field.metadata["doc"]).rstrip(".")


def from_text(kind: Any, text: Union[str, Sequence[str], bool]) -> Any:
    """What a TOML file would have said for *text* of ``-C`` or of the environment.

    :raises ValueError: with a sentence, where the text cannot be read as *kind*.
    """
    if isinstance(text, bool):
        return text
    if is_list(kind):
        texts = [text] if isinstance(text, str) else list(text)
        if dataclasses.is_dataclass(item_of(kind)):
            return [item for one in texts for item in _from_toml(one)]
        return [part.strip() for one in texts for part in one.split(",") if part.strip()]
    if not isinstance(text, str):
        raise ValueError("it is given more than once")  # noqa: TRY004 - a wrong text, not a wrong type of ours
    word = text.strip()
    if kind is bool or typing.get_origin(kind) is Union:
        if word.lower() in _TRUE | _FALSE:
            return word.lower() in _TRUE
        if kind is bool:
            raise ValueError(f"{word!r} is neither true nor false")
    if kind is int:
        return int(word) if word.lstrip("-").isdigit() else _raise(f"{word!r} is not a whole number")
    return word


def _raise(sentence: str) -> Any:
    raise ValueError(sentence)


def _from_toml(text: str) -> List[Any]:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"it is not a TOML value ({error}); write it as [{{key = 'value'}}]") from error
    return value if isinstance(value, list) else [value]


def level_machine(level: str) -> str:
    """The key of :class:`Levels` that *level* belongs to; empty for a level that does not exist."""
    if level == "i686":
        return "i686"
    for machine, isa in (("x86_64", X86), ("aarch64", AARCH64)):
        if any(known.name == level for known in isa.levels):
            return machine
    return ""


def check_level(machine: str, level: str, path: Path, where: Where, problems: Problems) -> Any:
    """*level* where it exists and fits *machine*; :data:`WRONG` after the problem was kept."""
    known = [one.name for isa in (X86, AARCH64) for one in isa.levels]
    owner = level_machine(level)
    if not owner:
        problems.add_unknown(where(path), level, known, what="level")
        return WRONG
    # A 32-bit x86 wheel may promise any x86 level; everything else keeps to its own family.
    if owner != machine and not (machine == "i686" and owner == "x86_64"):
        problems.add(
            "BB206", where(path), f"the level {level} is one of {owner}, not of {machine}", _levels_of(machine)
        )
        return WRONG
    return level


def _levels_of(machine: str) -> str:
    isa = AARCH64 if machine == "aarch64" else X86
    return f"levels of {machine}: {', '.join(level.name for level in isa.levels if level.name != 'i686')}"


def level_keys() -> Tuple[str, ...]:
    """The machines a level can be kept for."""
    return tuple(keys(Levels))


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text.replace("tool.baseline-build.", "", 1)


def _given(value: Any) -> str:
    kinds = {bool: "boolean", int: "whole number", float: "number", str: "text", list: "list", dict: "table"}
    return f"the {kinds.get(type(value), 'date or time')} {value!r}"


def _example(kind: Any, path: Path) -> str:
    name = next((part for part in reversed(path) if isinstance(part, str)), "key")
    if is_list(kind):
        if dataclasses.is_dataclass(item_of(kind)):
            return f"write one [[tool.baseline-build.{name}]] table for each"
        return f'write {name} = ["…"]'
    if dataclasses.is_dataclass(kind):
        return f"write {name} = {{ … }}"
    example = {bool: "true", int: "1", str: '"…"'}.get(kind, "false")
    return f"write {name} = {example}"
