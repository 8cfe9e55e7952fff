"""Line numbers of keys in a TOML file.

The TOML readers of the standard library give values without places. This finds the lines of table headers and of keys
by the grammar's line structure (TOML 1.0, sections Keys, Table, Array of Tables); it is only asked about files that
parsed, and a key inside an inline table is placed at the line of the key that holds the table.
"""

from __future__ import annotations

import re
from typing import Dict, List, Tuple, Union

Path = Tuple[Union[str, int], ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_QUOTES = ('"""', "'''")


def _parts(text: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(text))


class Places:
    """Where the keys of one TOML text stand."""

    def __init__(self, text: str) -> None:
        self._lines: Dict[Path, int] = {}
        table: Path = ()
        counts: Dict[Path, int] = {}
        open_quote = ""
        for number, line in enumerate(text.splitlines(), 1):
            if open_quote:
                if line.count(open_quote) % 2:
                    open_quote = ""
                continue
            header = _HEADER.match(line)
            key = None if header else _KEY.match(line)
            if header:
                table = self._enter(header.group(1), _parts(header.group(2)), counts)
                self._lines.setdefault(table, number)
                self._lines.setdefault(tuple(_parts(header.group(2))), number)
            elif key:
                self._add(table, _parts(key.group(1)), number)
            for quote in _QUOTES:
                if line.count(quote) % 2:
                    open_quote = quote

    @staticmethod
    def _enter(bracket: str, parts: Path, counts: Dict[Path, int]) -> Path:
        """The full path of a header, with the index of each array of tables on the way."""
        path: List[Union[str, int]] = []
        for position, part in enumerate(parts):
            path.append(part)
            here = tuple(path)
            last = position == len(parts) - 1
            if last and bracket == "[[":
                counts[here] = counts.get(here, -1) + 1
            if here in counts:
                path.append(counts[here])
        return tuple(path)

    def _add(self, table: Path, parts: Path, number: int) -> None:
        for length in range(1, len(parts) + 1):
            self._lines.setdefault(table + parts[:length], number)

    def line(self, path: Path) -> int:
        """The line of *path*, or of the nearest key that holds it; 1 where none does."""
        for length in range(len(path), 0, -1):
            found = self._lines.get(path[:length])
            if found:
                return found
        return 1
