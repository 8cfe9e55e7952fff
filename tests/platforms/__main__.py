"""``python -m tests.platforms``: the table of platforms; ``run`` fills it.

``python -m tests.platforms``                      prints what was tried, and what came of it
``python -m tests.platforms run [WORD...]``        tries the cells that all the words fit (``zig``, ``cp311``)
``python -m tests.platforms render``               writes the table again from the kept results

A run builds, repairs and scans the example project's wheel and runs its check; it takes seconds a cell once the
program is in the cache, minutes before that. Results are kept in results.json beside this file.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List

from tests.foreign_python import unpacked_python
from tests.musl_python import musl_python

from .building import ROOT, Interpreter, RefusedError, build, repair, verdict
from .cells import Cell, chosen
from .results import RESULTS, TABLE, Result, read, render, write
from .roots import of_cell
from .running import Foreign, runs_of


def attempt(cell: Cell, python: Interpreter, scratch: Path) -> Result:
    """Build, repair, scan and run *cell*; a step that refuses ends it, and that is its result."""
    facts = Result(str(cell), made=_provenance())
    built = repaired = None
    try:
        built = build(cell, python, scratch / "built")
        repaired = repair(built.wheel, scratch / "repaired")
        found = verdict(repaired)
        runs = runs_of(cell, repaired, python, scratch, Foreign(_arm_root, _musl_root))
        trouble = ""
    except RefusedError as error:
        found, runs, trouble = "", (), str(error)
    return Result(
        facts.cell,
        wheel=built.wheel.name if built else "",
        repaired=repaired.name if repaired else "",
        verdict=found,
        seconds=round(built.seconds, 1) if built else 0.0,
        compiled=built.compiled if built else False,
        runs=runs,
        trouble=trouble,
        made=facts.made,
    )


def _cache() -> Path:
    return Path(os.environ.get("BASELINE_BUILD_TEST_CACHE") or Path.home() / ".cache" / "baseline-build-tests")


def _arm_root() -> Path:
    return unpacked_python(_cache() / "arm64-python")


def _musl_root(machine: str) -> Path:
    return musl_python(_cache() / "musl-python", machine)


def _provenance() -> str:
    """The day and the commit, with a plus sign when what is built from differs from it."""
    built_from = ("baseline_build", "example_pkg", "pyproject.toml", "lmdb-src", "flatbuffers-src")
    commit = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", *built_from)
    return f"{dt.datetime.now(dt.timezone.utc).date().isoformat()}, {commit}{'+' if changed else ''}"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def run(words: List[str]) -> int:
    """Try the cells that *words* choose, keep their results; 1 when one of them went wrong."""
    failed = False
    for cell in chosen(tuple(words)):
        obstacle = cell.obstacle or ("" if words else cell.patience)
        python = None if obstacle else of_cell(cell, _cache())
        if python is None:
            print(f"{cell}: not tried: {obstacle or 'no such interpreter'}")
            continue
        with tempfile.TemporaryDirectory(prefix="baseline-build-cell-") as folder:
            result = attempt(cell, python, Path(folder))
        results = {**read(), str(cell): result}  # another run may have added to them meanwhile
        write(results)
        failed = failed or bool(result.trouble) or not all(one.passed for one in result.runs)
        print(f"{cell}: {result.trouble or f'{result.repaired}, {result.verdict}, {result.runs}'}", flush=True)
    TABLE.write_text(render(read()), encoding="utf-8")
    return int(failed)


def main(arguments: List[str]) -> int:
    """The command; its exit status."""
    if arguments[:1] == ["run"]:
        return run(arguments[1:])
    text = render(read(RESULTS))
    if arguments == ["render"]:
        TABLE.write_text(text, encoding="utf-8")
        return 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
