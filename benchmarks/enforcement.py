"""What enforcement costs: the same build with and without it, side by side in one run.

``python benchmarks/enforcement.py [--files 300] [--rounds 2] [--strict] [--only small|usual]``

Two builds by make, two compilers at once: FILES C++ files of the size projects have (about half a second each), and as
many small C files that compile in some 50 ms. Both builds advance in turns, a few files each, so that what else the
machine does hits both alike. Processor time (user and system, of all processes below) is the measure, wall time stands
beside it: on a busy machine only the first one tells. The session's own start, its log and its end are counted in.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Tuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from baseline_build.toolchain import Enforcement, Session, enforce  # noqa: E402

_TURN = 10  # files

_BIG = """#include <algorithm>
#include <map>
#include <string>
#include <vector>
std::map<std::string, std::vector<int>> table_{n};
int work_{n}(const std::vector<std::string> &words) {{
  std::vector<int> sizes;
  for (const auto &word : words) sizes.push_back(static_cast<int>(word.size()) + {n});
  std::sort(sizes.begin(), sizes.end());
  table_{n}["{n}"] = sizes;
  return sizes.empty() ? 0 : sizes.back();
}}
"""
_SMALL = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
static double rows_{n}[64];
"""
_SMALL_FUNCTION = """double work_{n}_{m}(const double *a, int count) {{
  double sum = {m};
  for (int i = 0; i < count; i++) {{
    if (a[i] > {m}) sum += a[i] * rows_{n}[i & 63]; else sum -= sqrt(fabs(a[i]));
    if (i % 7 == {m} % 7) printf("%d %f\\n", i, sum);
  }}
  return sum;
}}
"""


@dataclass(frozen=True)
class Cost:
    """One build: seconds of wall and of processor time."""

    wall: float
    processor: float


def write_project(folder: Path, files: int, *, small: bool) -> None:
    """*files* sources and a makefile."""
    for n in range(files):
        text = _BIG.format(n=n)
        if small:
            text = _SMALL.format(n=n) + "".join(_SMALL_FUNCTION.format(n=n, m=m) for m in range(12))
        (folder / f"f{n}.{'c' if small else 'cc'}").write_text(text, encoding="utf-8")
    rules = "%.o: %.c\n\tgcc -O2 -mavx2 -c -o $@ $<\n%.o: %.cc\n\tg++ -O2 -mavx2 -c -o $@ $<\n"
    (folder / "Makefile").write_text(rules, encoding="utf-8")


@contextmanager
def measured(costs: List[Cost]) -> Iterator[None]:
    """Add what the block costs, children and all, to *costs*."""
    before = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    begin = time.monotonic()
    yield
    wall = time.monotonic() - begin
    after = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    processor = sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after))
    costs.append(Cost(wall, processor))


def make(folder: Path, numbers: range, session: Session | None) -> None:
    """Compile the files *numbers*, from nothing."""
    targets = [f"f{n}.o" for n in numbers]
    for target in targets:
        (folder / target).unlink(missing_ok=True)
    environ = {**os.environ, **(session.environ if session else {})}
    subprocess.run(["make", "-s", "-j2", *targets], cwd=folder, env=environ, check=True)


def build_both(folder: Path, files: int, enforcement: Enforcement) -> Tuple[Cost, Cost]:
    """A plain and an enforced build that take turns."""
    plain: List[Cost] = []
    enforced: List[Cost] = []
    with ExitStack() as stack:
        with measured(enforced):
            session = stack.enter_context(enforce(enforcement, folder))
        for number, first in enumerate(range(0, files, _TURN)):
            turns = [(plain, None), (enforced, session)]
            for costs, used in turns if number % 2 else reversed(turns):
                with measured(costs):
                    make(folder, range(first, min(first + _TURN, files)), used)
        with measured(enforced):
            calls = len(session.log().calls)
            stack.close()
    if calls < files:
        raise RuntimeError(f"{files} files, but {calls} calls in the log: this is no enforced build")
    return _total(plain), _total(enforced)


def _total(costs: List[Cost]) -> Cost:
    return Cost(sum(cost.wall for cost in costs), sum(cost.processor for cost in costs))


def measure(title: str, files: int, rounds: int, limit: float, *, small: bool, strict: bool) -> bool:
    """Build in turns and print a line; whether the limit is kept."""
    with tempfile.TemporaryDirectory(prefix="enforcement-") as scratch:
        folder = Path(scratch)
        write_project(folder, files, small=small)
        pairs = [build_both(folder, files, Enforcement(strict=strict)) for _ in range(rounds)]
    plain, enforced = (_total([pair[place] for pair in pairs]) for place in (0, 1))
    ratio = enforced.processor / plain.processor - 1
    each = 1000 * plain.processor / files / rounds
    print(
        f"{title}: {files} files, {rounds} times, {each:.0f} ms each; processor time plain {plain.processor:.2f} s, "
        f"enforced {enforced.processor:.2f} s: {ratio:+.1%} (limit {limit:.0%}); "
        f"wall {plain.wall:.1f} s and {enforced.wall:.1f} s",
        flush=True,
    )
    return ratio <= limit


def main() -> int:
    """Measure both builds; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--strict", action="store_true", help="with the assembler gate")
    parser.add_argument("--only", choices=("small", "usual"), help="one of the two builds")
    chosen = parser.parse_args()
    kept = True
    for name, limit in (("small", 0.15), ("usual", 0.03)):
        if chosen.only in (None, name):
            title = f"build of {name} files"
            small = name == "small"
            kept &= measure(title, chosen.files, chosen.rounds, limit, small=small, strict=chosen.strict)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
