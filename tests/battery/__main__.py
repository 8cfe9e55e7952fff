"""``python -m tests.battery [WORD…] [--data FILE.json]``: build the cases (those with every WORD), print a table.

Each case is built twice, by its project's own backend and by baseline-build around it. ``docs/generate.py`` makes a
page of the data.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, Iterable, List, Sequence

from .case import Case
from .cases import CASES
from .driving import Built, build, missing_tools

_HEAD = ("case", "its own backend", "baseline-build", "removed, or refused with")


def _plain(built: Built) -> str:
    if built.wheel is None:
        return "does not build"
    return f"{len(built.foreign)} foreign" + (", marked" if built.marked else "")


def _told(case: Case, built: Built) -> str:
    if built.wheel is None:
        lines = built.output.strip().splitlines()
        wanted = case.refused or "BB"
        # the compiler's command line names the source too, and folders of this machine
        told = [line for line in lines if wanted in line and " -" not in line]
        return re.sub(r"(?<![\w.])/\S*/", "", told[0].strip() if told else lines[-1])[:110]
    found = re.search(r"compile log: .*?(removed [^;]*|nothing removed)", built.output)
    return found.group(1)[:110] if found else ""


def verdict(case: Case, plain: Built, enforced: Built) -> str:
    """``ok`` where the enforced build is clean or refused as it must be, ``OPEN`` where it cannot be proven yet."""
    if case.refused:
        return "ok" if enforced.wheel is None and case.refused in enforced.output else "NOT REFUSED"
    if enforced.wheel is None and case.unproven and "unproven: " in enforced.output:
        return "OPEN"
    if enforced.wheel is None:
        return "FAILED"
    if enforced.foreign or enforced.marked:
        return "GOT THROUGH"
    if plain.wheel is not None and not plain.foreign and not plain.marked and not case.harmless:
        return "ok (nothing to remove here)"
    return "ok"


def _row(case: Case) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory(prefix="battery-") as folder:
        plain = build(case, _sub(folder, "plain"), enforced=False)
        enforced = build(case, _sub(folder, "enforced"), enforced=True)
        outcome = "refused" if enforced.wheel is None else f"{len(enforced.foreign)} foreign"
        return case.name, _plain(plain), f"{outcome}: {verdict(case, plain, enforced)}", _told(case, enforced)


def _sub(folder: str, name: str) -> Path:
    path = Path(folder, name)
    path.mkdir()
    return path


def table(rows: Iterable[Sequence[str]]) -> str:
    """The rows as Markdown."""
    cells = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (_HEAD, *rows)]
    cells.insert(1, "|" + "---|" * len(_HEAD))
    return "\n".join(cells) + "\n"


def wrong(row: Sequence[str]) -> bool:
    """Whether the case came out as it must not."""
    return not is_open(row) and ": ok" not in row[2]


def is_open(row: Sequence[str]) -> bool:
    """Whether the case's wheel is refused because it cannot be proven yet."""
    return ": OPEN" in row[2]


def main() -> int:
    """Print the table; 1 when a case is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.battery", description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--data", type=Path, help="write the rows as JSON; rows of cases not built now are kept")
    parser.add_argument(
        "--missing", action="store_true", help="build only cases that are not in the data yet, or wrong there"
    )
    chosen = parser.parse_args()
    rows: Dict[str, List[str]] = {}
    if chosen.data and chosen.data.is_file():
        rows = {row[0]: row for row in json.loads(chosen.data.read_text(encoding="utf-8"))}
    lacking = []
    for case in CASES:
        if not all(word in case.name for word in chosen.words):
            continue
        if chosen.missing and case.name in rows and not wrong(rows[case.name]):
            continue
        missing = missing_tools(case)
        if missing:
            lacking.append(f"{case.name}: not built, lacks {', '.join(missing)}")
            continue
        begin = time.monotonic()
        rows[case.name] = list(_row(case))
        print(f"{time.monotonic() - begin:5.1f} s  " + "  |  ".join(rows[case.name]), flush=True)
        if chosen.data:
            ordered = [rows[one.name] for one in CASES if one.name in rows]
            chosen.data.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    bad = [row[0] for row in rows.values() if wrong(row)]
    unproven = sum(map(is_open, rows.values()))
    print(f"{len(rows)} cases built twice, {len(bad)} wrong, {unproven} open, {len(lacking)} not built.")
    print("\n".join([*bad, *lacking]))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
