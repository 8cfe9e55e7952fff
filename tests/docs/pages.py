"""Reads what a documentation page asks to be tried.

An HTML comment in front of a fenced block says what the block is:

* ``<!-- file: NAME -->``: the block is the content of that file;
* ``<!-- edit: NAME OLD -> NEW -->``: OLD is replaced by NEW in that file, where ``\\n``
  stands for the end of a line (the block shows the outcome);
* ``<!-- run -->``: the block's ``$`` lines are run, each must end with 0 and print what stands below it;
* ``<!-- fail -->``: the same, but the last command must fail;
* ``<!-- elsewhere: TEST -->``: that test runs the commands; where the block shows output, it reads the page.

``<!-- given: NAME -->`` stands alone: the reader has the file NAME, see :mod:`.given`. In expected output ``…`` stands
for any text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

# The comment right before a block says what it is: an edit may stand before that one.
_STEP = re.compile(r"<!-- (file|run|fail)(?:: (\S+))? -->\n+```\w+\n(.*?)```", re.DOTALL)
_GIVEN = re.compile(r"<!-- given: (\S+) -->")
_BLOCK = re.compile(r"(?:<!-- (\w+)(?:: ([^\n]*?))? -->\n+)?^[ ]*```console\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)
_CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
_EDIT = re.compile(r"<!-- edit: (\S+) (.*?) -> (.*?) -->")


@dataclass(frozen=True)
class Step:
    """One thing a page tells its reader to do."""

    kind: str
    argument: str
    text: str


def steps(page: Path) -> List[Step]:
    """The steps of *page*, in order."""
    text = page.read_text(encoding="utf-8")
    found: List[Tuple[int, Step]] = [
        (match.start(), Step(match.group(1), match.group(2) or "", match.group(3))) for match in _STEP.finditer(text)
    ]
    found += [
        (match.start(), Step("edit", match.group(1), f"{match.group(2)}\0{match.group(3)}".replace("\\n", "\n")))
        for match in _EDIT.finditer(text)
    ]
    found += [(match.start(), Step("given", match.group(1), "")) for match in _GIVEN.finditer(text)]
    return [step for _, step in sorted(found, key=lambda item: item[0])]


def consoles(page: Path) -> List[Tuple[str, str, str]]:
    """What the console blocks of *page* are marked as, the mark's argument, and the text of the block.

    The mark of an unmarked block is empty.
    """
    text = page.read_text(encoding="utf-8")
    return [(match.group(1) or "", match.group(2) or "", match.group(3)) for match in _BLOCK.finditer(text)]


def shown(name: str) -> Dict[str, str]:
    """The commands in the console blocks of the page called *name*, each with the output below it."""
    (page,) = _DOCS.rglob(name)
    blocks = _CONSOLE.findall(page.read_text(encoding="utf-8"))
    return {command: output.strip() for block in blocks for command, output in commands(block)}


def commands(block: str) -> List[Tuple[str, str]]:
    """The ``$`` lines of a console block, each with the output that is expected below it."""
    pairs: List[Tuple[str, List[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            pairs.append((line[2:], []))
        elif pairs:
            pairs[-1][1].append(line)
    return [(command, "\n".join(lines)) for command, lines in pairs]


def matches(expected: str, actual: str) -> bool:
    """Whether *actual* is *expected*, where ``…`` stands for any text."""
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, actual.strip(), re.DOTALL) is not None
