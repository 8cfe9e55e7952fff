"""The wrapped PEP 517 backend: found by name, called with what is its own."""

from __future__ import annotations

import importlib
import os
import traceback
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from ..errors import BaselineBuildError, ConfigError, ToolError
from .installed import ask_by_name

Passed = Tuple[Tuple[str, Union[str, bool, Tuple[str, ...]]], ...]

_SHOWN = 3
_THIS = os.path.abspath(__file__)


class Wrapped:
    """A backend named as PEP 517 names it, ``module`` or ``module:object.path``.

    :raises ConfigError: BB713 when it cannot be imported, or is this backend itself.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        module, _, path = name.partition(":")
        if module.partition(".")[0] == __name__.partition(".")[0]:
            raise ConfigError("BB713", "cannot wrap itself", where=f"backend = {name!r}", fix="name another backend")
        ask_by_name()
        try:
            found: Any = importlib.import_module(module)
            for part in filter(None, path.split(".")):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                "BB713",
                f"cannot be imported: {error}",
                where=f"backend = {name!r}",
                why="the wrapped backend must be among build-system.requires, and named as its documentation names it",
                fix="add its distribution to build-system.requires",
            ) from error
        self._backend = found

    def has(self, hook: str) -> bool:
        """Whether it has *hook*."""
        return hasattr(self._backend, hook)

    def requires(self, hook: str, passed: Passed) -> Tuple[str, ...]:
        """What it asks for through *hook*; nothing where it has none (PEP 517, "get_requires_for_build_wheel").

        :raises ToolError: BB706 as :meth:`call`.
        """
        if not self.has(hook):
            return ()
        answer: Sequence[str] = self._answer(hook, _as_given(passed))
        return tuple(answer)

    def call(self, hook: str, folder: Path, passed: Passed, *more: Optional[str]) -> str:
        """Call *hook* with its output *folder*; the name of what it put there.

        :param more: further positional arguments (``metadata_directory``); left away when it is ``None``.
        :raises ConfigError: BB714 when it has no such hook.
        :raises ToolError: BB706 when it raises an error, or ends the process instead of coming back.
        """
        if not self.has(hook):
            raise ConfigError(
                "BB714",
                f"the wrapped backend {self.name} has no {hook}",
                fix="use a frontend or a command that does without, or another backend",
            )
        arguments: List[Any] = [_as_given(passed)]
        arguments += [argument for argument in more if argument is not None]
        return str(self._answer(hook, str(folder), *arguments))

    def _answer(self, hook: str, *arguments: Any) -> Any:
        try:
            return getattr(self._backend, hook)(*arguments)
        except BaselineBuildError:
            raise
        except SystemExit as error:
            # setuptools ends the process for a failed compiler or a bad configuration; its words are above.
            raise _gave_up(self.name, f"gave up: {error.code}", "") from error
        except Exception as error:
            # a project's build file and what it calls may raise anything
            what = f"failed: {type(error).__name__}: {error}".rstrip(": ")
            raise _gave_up(self.name, what, f"raised at {_places(error)}; ") from error


def _gave_up(backend: str, what: str, where: str) -> ToolError:
    return ToolError(
        "BB706",
        f"the wrapped backend {what}",
        where=backend,
        why=f"{where}what it and its tools wrote stands above",
        fix="mend what they complain about",
    )


def _places(error: BaseException) -> str:
    """The innermost places *error* passed through: those that are not the interpreter's own library, innermost last."""
    library = os.path.dirname(os.__file__) + os.sep
    frames = traceback.extract_tb(error.__traceback__)
    packages = f"{os.sep}site-packages{os.sep}"
    own = [one for one in frames if not one.filename.startswith(library) or packages in one.filename]
    shown = [one for one in own if packages not in one.filename and os.path.abspath(one.filename) != _THIS]
    return ", ".join(f"{one.filename}:{one.lineno} in {one.name}" for one in (shown or own)[-_SHOWN:])


def _as_given(passed: Passed) -> Optional[Dict[str, Any]]:
    """Config settings in the form frontends use; ``None`` for none."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in passed} or None
