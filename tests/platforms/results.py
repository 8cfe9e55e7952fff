"""What came of the cells: kept as JSON beside this file, rendered as one table."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

from .cells import PYTHONS, ROWS, Cell, cells

RESULTS = Path(__file__).with_name("results.json")
TABLE = Path(__file__).with_name("table.md")


@dataclass(frozen=True)
class Run:
    """One run of the wheel's check.

    :param where: machine, C library, interpreter, real or emulated CPU.
    :param what: what ran there.
    :param passed: whether it ended well.
    :param said: its last words where it did not.
    """

    where: str
    what: str
    passed: bool
    said: str = ""


@dataclass(frozen=True)
class Result:
    """What came of one cell.

    :param cell: its name.
    :param wheel: the file ``pip wheel`` gave, empty where it refused.
    :param repaired: the file ``baseline-build repair`` made of it.
    :param verdict: of the scan of that file.
    :param seconds: of the build, wall clock.
    :param compiled: whether the program was compiled, not taken from the cache.
    :param runs: where its check ran.
    :param trouble: why it ended early: the first line of what was said.
    :param made: date, commit and tools.
    """

    cell: str
    wheel: str = ""
    repaired: str = ""
    verdict: str = ""
    seconds: float = 0.0
    compiled: bool = False
    runs: Tuple[Run, ...] = ()
    trouble: str = ""
    made: str = ""


def read(path: Path = RESULTS) -> Dict[str, Result]:
    """The kept results by cell."""
    if not path.is_file():
        return {}
    kept = {}
    for entry in json.loads(path.read_text(encoding="utf-8")):
        entry["runs"] = tuple(Run(**run) for run in entry["runs"])
        kept[entry["cell"]] = Result(**entry)
    return kept


def write(results: Dict[str, Result], path: Path = RESULTS) -> None:
    """Keep *results*, in the table's order."""
    entries = [dataclasses.asdict(results[str(cell)]) for cell in cells() if str(cell) in results]
    path.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def render(results: Dict[str, Result]) -> str:
    """The table in Markdown, then what ran where, cell by cell; nothing is said of a cell that was not tried."""
    lines = ["| target | toolchain | " + " | ".join(PYTHONS) + " |", "|---" * (len(PYTHONS) + 2) + "|"]
    for row in ROWS:
        texts = [_short(Cell(python, row), results) for python in PYTHONS]
        lines.append(f"| {row.machine} {row.libc} | {row.toolchain} | " + " | ".join(texts) + " |")
    lines.append("")
    for cell in cells():
        lines += _long(cell, results)
    return "\n".join(lines) + "\n"


def _short(cell: Cell, results: Dict[str, Result]) -> str:
    result = results.get(str(cell))
    if result is None:
        return "not here, see below" if cell.obstacle or cell.patience else "not tried"
    if result.trouble:
        return "refused" if not result.wheel else "failed"
    passed = sum(run.passed for run in result.runs)
    part = "the extension alone, " if cell.row.partial else ""
    return f"{_platform(result.repaired)}, {part}{result.verdict}, {passed} of {len(result.runs)} runs"


def _long(cell: Cell, results: Dict[str, Result]) -> List[str]:
    result = results.get(str(cell))
    if result is None:
        reason = cell.obstacle or cell.patience or "no such interpreter was there, or nobody asked for it"
        return [f"- **{cell}**: not run: {reason}"]
    how = "compiled" if result.compiled else "from the cache"
    how = "the extension alone: musl-gcc has no C++ library" if cell.row.partial else f"program {how}"
    facts = [f"{result.wheel} in {result.seconds:.0f} s ({how})"]
    facts = facts if result.wheel else []
    if result.repaired:
        facts.append(f"repaired: {result.repaired}")
        facts.append(f"verdict: {result.verdict}")
    facts += [f"ran on {run.where}: {run.what}" for run in result.runs if run.passed]
    facts += [f"FAILED on {run.where}: {run.what}: {run.said}" for run in result.runs if not run.passed]
    facts += [f"ended early: {result.trouble}"] if result.trouble else []
    return [f"- **{cell}** ({result.made})", *(f"  - {fact}" for fact in facts)]


def _platform(wheel: str) -> str:
    python, abi, platform = wheel.rpartition(".whl")[0].split("-")[-3:]
    return f"{python}-{abi}-{platform.split('.')[0]}"
