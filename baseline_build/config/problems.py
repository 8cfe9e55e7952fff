"""What is wrong with the settings: collected, then raised together."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Iterable, List, Optional

from ..errors import ConfigError


@dataclass(frozen=True)
class Problem:
    """One mistake: its code, where it stands, what is wrong and what to do."""

    code: str
    where: str
    what: str
    fix: str


class Problems:
    """All mistakes of one reading, so that a person mends them in one go."""

    def __init__(self) -> None:
        self._found: List[Problem] = []

    def add(self, code: str, where: str, what: str, fix: str) -> None:
        """Keep one mistake."""
        self._found.append(Problem(code, where, what, fix))

    def add_unknown(self, where: str, name: str, known: Iterable[str], *, what: str = "setting") -> None:
        """Keep the mistake of a name that does not exist, with the nearest one that does."""
        self.add("BB201", where, f"there is no {what} {name!r}", suggestion(name, known))

    def extend(self, other: Problems) -> None:
        """Keep what *other* kept, too."""
        self._found.extend(other._found)

    def raise_all(self) -> None:
        """Raise what was kept, if anything.

        :raises ConfigError: with the problem's own code for one, with BB200 for several.
        """
        if not self._found:
            return
        if len(self._found) == 1:
            only = self._found[0]
            raise ConfigError(only.code, only.what, where=only.where, fix=only.fix)
        lines = [f"{p.code}: {p.where}: {p.what}\n      fix: {p.fix}" for p in self._found]
        raise ConfigError(
            "BB200",
            f"{len(self._found)} settings are wrong",
            why="each by its place:" + "".join(f"\n    {line}" for line in lines),
            fix="mend all of them; each is found by its place above",
        )


def nearest(name: str, known: Iterable[str]) -> Optional[str]:
    """The name of *known* that *name* was probably meant to be, or ``None``."""
    plain = {choice.lower().replace("_", "-"): choice for choice in known}
    matches = difflib.get_close_matches(name.lower().replace("_", "-"), sorted(plain), n=1, cutoff=0.6)
    return plain[matches[0]] if matches else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """The advice for a wrong *name*: the nearest known one, or all of them."""
    choices = sorted(known)
    match = nearest(name, choices)
    return f"did you mean {match!r}?" if match else f"known are: {', '.join(choices)}"
