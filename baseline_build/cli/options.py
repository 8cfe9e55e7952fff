"""Argument parsers that raise :class:`ConfigError` instead of exiting, and the options every command has."""

from __future__ import annotations

import argparse
import difflib
from typing import Callable, List, NoReturn, Optional, Sequence, Tuple

from ..errors import ConfigError


class Arguments(argparse.Namespace):
    """What every command's namespace has."""

    verbose: int
    quiet: int


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` whose errors are BB250 and name the nearest option."""

    def __init__(self, name: str, description: str, *, epilog: Optional[str] = None) -> None:
        super().__init__(
            prog=f"baseline-build {name}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        group = self.add_argument_group("output")
        group.add_argument("-v", "--verbose", action="count", default=0, help="say more; show everything")
        group.add_argument("-q", "--quiet", action="count", default=0, help="say nothing but results and errors")

    def error(self, message: str) -> NoReturn:
        """Raise BB250 for what :mod:`argparse` found wrong."""
        raise ConfigError("BB250", message, fix=f"see: {self.prog} --help")

    def options(self) -> List[str]:
        """Every long option this parser knows."""
        return sorted(name for action in self._actions for name in action.option_strings if name.startswith("--"))

    def split(self, arguments: Sequence[str], namespace: argparse.Namespace) -> Tuple[argparse.Namespace, List[str]]:
        """Parse *arguments*; what is unknown comes back as it stands."""
        return self.parse_known_args(list(arguments), namespace)

    def read(self, arguments: Sequence[str], namespace: argparse.Namespace) -> None:
        """Parse *arguments* into *namespace*. Raises BB250 naming the nearest option for an unknown one."""
        _, unknown = self.split(arguments, namespace)
        if unknown:
            first = unknown[0]
            if first.startswith("-"):
                near = nearest(first.split("=", 1)[0], self.options())
                raise ConfigError(
                    "BB250",
                    f"the option {first.split('=', 1)[0]} is unknown",
                    fix=f"did you mean {near}?" if near else f"see: {self.prog} --help",
                )
            raise ConfigError("BB250", f"the argument {first!r} is not expected here", fix=f"see: {self.prog} --help")


def nearest(word: str, known: Sequence[str]) -> Optional[str]:
    """The one of *known* that looks most like *word*, or ``None``."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return close[0] if close else None


def one_of(what: str, known: Sequence[str]) -> Callable[[str], str]:
    """An argparse type that accepts only *known* and otherwise raises BB251 with the nearest."""

    def check(value: str) -> str:
        if value not in known:
            near = nearest(value, known)
            raise ConfigError(
                "BB251",
                f"the {what} {value!r} is unknown",
                fix=(f"did you mean {near}? " if near else "") + f"Known: {', '.join(known)}",
            )
        return value

    check.__name__ = what
    return check
