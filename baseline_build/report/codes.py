"""The long explanations of codes: ``codes/BBnnn.txt``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

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
