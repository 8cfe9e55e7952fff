"""The long explanations of codes: ``codes/BBnnn.txt``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

FOLDER = Path(__file__).parent.parent / "codes"


@dataclass(frozen=True)
class Explanation:
    """What a code means.

    :param code: ``BBnnn``.
    :param title: one line.
    :param text: meaning, usual cause, what to do.
    """

    code: str
    title: str
    text: str

    @property
    def blocks(self) -> Tuple[str, ...]:
        """The text in pieces: paragraphs of one line each, and indented lines as they stand."""
        found: List[str] = []
        for block in re.split(r"\n\s*?\n", self.text):
            lines = block.splitlines()
            listed = lines[0].startswith(" ")
            found.append("\n".join(lines) if listed else " ".join(line.strip() for line in lines))
        return tuple(found)


def explanation(code: str) -> Optional[Explanation]:
    """The explanation of *code*, or ``None`` when there is no such code."""
    path = FOLDER / f"{code}.txt"
    if not path.is_file():
        return None
    title, _, text = path.read_text(encoding="utf-8").partition("\n")
    return Explanation(code, title.strip(), text.strip())


def known() -> Tuple[str, ...]:
    """Every code that has an explanation, in order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("BB*.txt")))
