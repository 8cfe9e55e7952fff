"""Reads the settings: pyproject.toml, ``-C key=value`` and the environment, in rising precedence.

All mistakes of all three are raised together. Every value keeps its origin.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path as FilePath
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ..errors import ConfigError
from .model import (
    ENVIRONMENT_PREFIX,
    NOT_SETTINGS,
    Levels,
    Origin,
    Platform,
    Resolved,
    Selector,
    Settings,
    key_of,
)
from .places import Path, Places
from .platforms import current, machine_name
from .problems import Problems
from .values import (
    WRONG,
    Where,
    check_choice,
    check_level,
    convert,
    convert_table,
    from_text,
    hints,
    keys,
    level_keys,
    level_machine,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ConfigSettings = Mapping[str, Union[str, Sequence[str], bool]]

SETUPTOOLS = "setuptools.build_meta"
SETUPTOOLS_SETTINGS = frozenset(("--build-option", "--global-option", "editable-mode", "editable_mode"))
"""Config settings of setuptools itself (its documentation, "Build System Support")."""

_PREFIX: Path = ("tool", "baseline-build")
_OWN_PREFIX = "baseline-build."

_Value = Tuple[Any, Origin]


def read(
    project_dir: Union[str, os.PathLike[str]],
    config_settings: Optional[ConfigSettings] = None,
    environ: Optional[Mapping[str, str]] = None,
) -> Settings:
    """The settings of the project in *project_dir*; see :func:`resolve`."""
    return resolve(project_dir, config_settings, environ).settings


def resolve(
    project_dir: Union[str, os.PathLike[str]],
    config_settings: Optional[ConfigSettings] = None,
    environ: Optional[Mapping[str, str]] = None,
    platform: Optional[Platform] = None,
) -> Resolved:
    """The settings, where each came from, and the config settings that belong to the wrapped backend.

    :param config_settings: as PEP 517 hands them over.
    :param environ: the environment, ``os.environ`` by default.
    :param platform: what the build is for; found out (from ``target`` too) by default.
    :raises ConfigError: BB205 for a pyproject.toml that cannot be read, else one of BB200-BB207 for all mistakes.
    """
    environ = os.environ if environ is None else environ
    table, where = _load(FilePath(project_dir) / "pyproject.toml")
    reading = _Reading(where)
    base = {key: value for key, value in table.items() if key != "overrides"}
    reading.add_table(base, _PREFIX)
    direct = _Reading(where)
    passed_on = direct.add_config_settings(config_settings or {}, str(base.get("backend", SETUPTOOLS)))
    direct.add_environment(environ)
    target = direct.values.get("target", reading.values.get("target", ("", None)))[0]
    platform = platform or current(target if isinstance(target, str) else "", environ)
    reading.add_overrides(table.get("overrides", []), platform)
    reading.take(direct)
    settings, origins = reading.finish()
    return Resolved(settings, origins, platform, passed_on)


def _load(path: FilePath) -> Tuple[Dict[str, Any], Where]:
    """The ``tool.baseline-build`` table of *path* and a function that names places in it; empty for no file."""
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text).get("tool", {}).get("baseline-build", {})
    except FileNotFoundError:
        return {}, lambda _path: path.name
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("BB205", f"cannot be read: {error}", where=path.name, fix="mend the file") from error
    places = Places(text)

    def where(key_path: Path) -> str:
        return f"{path.name}:{places.line(key_path)}"

    if not isinstance(table, dict):
        raise ConfigError(
            "BB202", "tool.baseline-build must be a table", where=where(_PREFIX), fix="write it as a table"
        )
    return table, where


class _Reading:
    """Values by flat key (``level.x86_64`` for the parts of ``level``) while the sources are gone through."""

    def __init__(self, where: Where) -> None:
        self.values: Dict[str, _Value] = {}
        self.problems: Problems = Problems()
        self._where = where
        self._known = keys(Settings)

    def add_table(self, table: Mapping[str, Any], path: Path) -> None:
        """Take the keys of a table of pyproject.toml that stands at *path*."""
        for key, value in table.items():
            here = (*path, key)
            if key not in self._known:
                self.problems.add_unknown(self._where(here), key, {*self._known, "overrides"})
                continue
            self._add(key, value, here, self._where, Origin(key, "pyproject.toml", self._where(here)))

    def add_overrides(self, overrides: Any, platform: Platform) -> None:
        """Take the matching ``[[overrides]]`` tables in order; those that do not match are checked all the same."""
        path = (*_PREFIX, "overrides")
        if not isinstance(overrides, list) or not all(isinstance(table, dict) for table in overrides):
            self.problems.add(
                "BB202",
                self._where(path),
                "overrides must be a list of tables",
                "write [[tool.baseline-build.overrides]]",
            )
            return
        for position, table in enumerate(overrides):
            here = (*path, position)
            applies = self._applies(table.get("if"), here, platform)
            one = _Reading(self._where)
            one.problems = self.problems
            one.add_table({key: value for key, value in table.items() if key != "if"}, here)
            if applies:
                self.values.update(one.values)

    def _applies(self, condition: Any, path: Path, platform: Platform) -> bool:
        if not isinstance(condition, dict) or not condition:
            self.problems.add(
                "BB204",
                self._where(path),
                "an override needs a condition",
                'add if = { machine = "aarch64" } (or implementation, or libc; each a text or a list)',
            )
            return False
        lists = {key: [value] if isinstance(value, str) else value for key, value in condition.items()}
        selector = convert_table(Selector, lists, (*path, "if"), self._where, self.problems)
        if selector is WRONG:
            return False
        wanted = (
            (tuple(machine_name(name) for name in selector.machine), platform.machine),
            (selector.implementation, platform.implementation),
            (selector.libc, platform.libc),
        )
        return all(not names or actual in names for names, actual in wanted)

    def add_config_settings(
        self, config_settings: ConfigSettings, backend: str
    ) -> Tuple[Tuple[str, Union[str, bool, Tuple[str, ...]]], ...]:
        """Take what is ours of ``-C``; give back the rest for the wrapped backend.

        A name without the prefix ``baseline-build.`` that we do not know is an error when setuptools is the backend,
        for its own names are known; another backend gets it untouched.
        """
        rest: List[Tuple[str, Union[str, bool, Tuple[str, ...]]]] = []
        for name, value in config_settings.items():
            own = name.startswith(_OWN_PREFIX)
            key = name[len(_OWN_PREFIX) :] if own else name
            if self._is_setting(key):
                self._add_text(key, value, f"-C {name}", "-C")
            elif own or (backend == SETUPTOOLS and name not in SETUPTOOLS_SETTINGS):
                known = {*self._flat_keys(), *(SETUPTOOLS_SETTINGS if not own else ())}
                self.problems.add_unknown(f"-C {name}", key, known)
            else:
                rest.append((name, value if isinstance(value, (str, bool)) else tuple(value)))
        return tuple(rest)

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """Take every ``BASELINE_BUILD_KEY``; an empty one counts as not set."""
        by_variable = {self._variable(key): key for key in ("level", *self._flat_keys())}
        for name, value in sorted(environ.items()):
            if not name.startswith(ENVIRONMENT_PREFIX) or name.startswith(NOT_SETTINGS) or not value:
                continue
            if name in by_variable:
                self._add_text(by_variable[name], value, name, "environment")
            else:
                self.problems.add_unknown(name, name, by_variable, what="environment variable")

    def take(self, other: _Reading) -> None:
        """Let the values of *other* win over these, and its problems stand with these."""
        self.values.update(other.values)
        self.problems.extend(other.problems)

    def finish(self) -> Tuple[Settings, Tuple[Origin, ...]]:
        """The settings and their origins; raises all problems."""
        self.problems.raise_all()
        given = {key: value for key, (value, _) in self.values.items()}
        levels = {key: given[f"level.{key}"] for key in level_keys() if f"level.{key}" in given}
        values = {field.name: given[key] for key, field in self._known.items() if key in given}
        settings = Settings(**{**values, "level": Levels(**levels)})
        _check_together(settings, self.values, self.problems)
        self.problems.raise_all()
        origins = [
            self.values[key][1] if key in self.values else Origin(key, "default", "") for key in self._flat_keys()
        ]
        return settings, tuple(origins)

    def _flat_keys(self) -> Tuple[str, ...]:
        flat = []
        for key in self._known:
            flat += [f"level.{machine}" for machine in level_keys()] if key == "level" else [key]
        return tuple(flat)

    def _is_setting(self, key: str) -> bool:
        return key == "level" or key in self._flat_keys()

    @staticmethod
    def _variable(key: str) -> str:
        return ENVIRONMENT_PREFIX + key.upper().replace("-", "_").replace(".", "_")

    def _add_text(self, key: str, text: Union[str, Sequence[str], bool], place: str, source: str) -> None:
        head, _, machine = key.partition(".")
        field = self._known[head]
        kind = str if head == "level" else hints(Settings)[field.name]
        try:
            value = from_text(kind, text)
        except ValueError as error:
            self.problems.add("BB202", place, str(error), f"{key}: {field.metadata['doc']}")
            return
        if machine:
            value = {machine: value}
        self._add(head, value, (head,), lambda _path: place, Origin(head, source, place))

    def _add(self, key: str, value: Any, path: Path, where: Where, origin: Origin) -> None:
        if key == "level":
            self._add_level(value, path, where, origin)
            return
        field = self._known[key]
        if key == "repair" and value is True:
            value = "auto"
        converted = convert(hints(Settings)[field.name], value, path, where, self.problems)
        converted = check_choice(field, converted, path, where, self.problems)
        if converted is not WRONG:
            self.values[key] = (converted, origin)

    def _add_level(self, value: Any, path: Path, where: Where, origin: Origin) -> None:
        if isinstance(value, str):
            value = {level_machine(value) or "x86_64": value}
        levels = convert(Levels, value, path, where, self.problems)
        if levels is WRONG:
            return
        for machine, level in value.items():
            here = (*path, machine)
            if check_level(machine, level, here, where, self.problems) is not WRONG:
                place = where(here) if origin.source == "pyproject.toml" else origin.place
                self.values[f"level.{machine}"] = (level, Origin(f"level.{machine}", origin.source, place))


def _check_together(settings: Settings, values: Mapping[str, _Value], problems: Problems) -> None:
    """Keep the mistakes that lie in two settings together, or in a value's meaning."""

    def place(key: str) -> str:
        return values[key][1].place if key in values else "pyproject.toml"

    if settings.backend != SETUPTOOLS:
        for key in ("cffi-modules", "executables", "data"):
            if getattr(settings, key.replace("-", "_")):
                problems.add(
                    "BB207",
                    place(key),
                    f"{key} cannot be used together with backend = {settings.backend!r}",
                    "these are built through setuptools; let the wrapped backend build them, or remove backend",
                )
    if settings.strict and settings.kernels:
        fix = "with strict no run-time dispatch is declared: remove the kernels, or set strict = false"
        problems.add("BB207", place("kernels"), "kernels cannot be used together with strict", fix)
    for module in (module for module in settings.cffi_modules if ":" not in module):
        what = f"cffi-modules: {module!r} names no variable"
        problems.add("BB203", place("cffi-modules"), what, f'write "{module}:ffibuilder"')
    for kernel in settings.kernels:
        check_level(level_machine(kernel.level), kernel.level, ("kernels",), lambda _path: place("kernels"), problems)
    _check_numbers(settings, place, problems)
    names = [executable.name for executable in settings.executables]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.add("BB207", place("executables"), f"two executables are called {name!r}", "give each its own name")


def _check_numbers(settings: Settings, place: Callable[[str], str], problems: Problems) -> None:
    for key, number in (("jobs", settings.jobs), ("cache-limit", settings.cache_limit)):
        if number < 0:
            problems.add("BB203", place(key), f"{key} = {number} is below 0", f"{key}: {_doc(key)}")


def _doc(key: str) -> str:
    return str({field_key: field.metadata["doc"] for field_key, field in keys(Settings).items()}[key])


def fields_with_values(settings: Settings) -> Tuple[Tuple[str, Any], ...]:
    """Flat key and value of every setting, in the order of :attr:`Resolved.origins`."""
    flat = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Levels):
            flat += [(f"level.{name}", getattr(value, one.name)) for name, one in keys(Levels).items()]
        else:
            flat.append((key_of(field), value))
    return tuple(flat)
