"""``python -m tests.battery [WORD…] [-o FILE]``: build the cases (those with every WORD), print a table."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

from .cases import CASES, Case
from .driving import Built, build, missing_tools

_HEAD = ("case", "its own backend", "baseline-build", "removed, or refused with")


def _plain(built: Built) -> str:
    if built.wheel is None:
        return "does not build"
    return f"{len(built.foreign)} foreign" + (", marked" if built.marked else "")


def _told(case: Case, built: Built) -> str:
    if built.wheel is None:
        pattern = re.escape(case.refused) if case.refused else r"BB\d\d\d:.*"
        found = re.search(rf".*{pattern}.*", built.output)
        return found.group().strip()[:110] if found else built.output.strip().splitlines()[-1][:110]
    found = re.search(r"compile log: .*?(removed [^;]*|nothing removed)", built.output)
    return found.group(1)[:110] if found else ""


def verdict(case: Case, plain: Built, enforced: Built) -> str:
    """``ok`` where the enforced build is clean or refused as it must be, else what is wrong."""
    if case.refused:
        return "ok" if enforced.wheel is None and case.refused in enforced.output else "NOT REFUSED"
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


def main() -> int:
    """Print the table; 1 when a case is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.battery", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("-o", "--output", type=Path, help="write the table as Markdown")
    chosen = parser.parse_args()
    rows, wrong, lacking = [], 0, []
    for case in CASES:
        if not all(word in case.name for word in chosen.words):
            continue
        missing = missing_tools(case)
        if missing:
            lacking.append(f"{case.name}: not built, lacks {', '.join(missing)}")
            continue
        begin = time.monotonic()
        row = _row(case)
        wrong += ": ok" not in row[2]
        rows.append(row)
        print(f"{time.monotonic() - begin:5.1f} s  " + "  |  ".join(row), flush=True)
    cells = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (_HEAD, *rows)]
    cells.insert(1, "|" + "---|" * len(_HEAD))
    summary = f"{len(rows)} cases built twice, {wrong} not as they must be, {len(lacking)} not built."
    if chosen.output:
        chosen.output.write_text("\n".join([*cells, "", summary, *lacking, ""]), encoding="utf-8")
    print("\n".join([summary, *lacking]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
