"""What enforcement costs: the same build with and without it, side by side in one run.

``python benchmarks/enforcement.py [--files 300] [--rounds 3] [--strict]``

Two builds by make, two compilers at once: FILES C++ files of the size projects have (about half a second each), and as
many small C files that compile in some 50 ms. Plain and enforced builds take turns, so that what else the machine does
hits both. Processor time (user and system, of all processes below) is the measure, wall time stands beside it: on a
busy machine only the first one tells. The session's own start is counted in, as builds pay it too.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import List

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from baseline_build.toolchain import Enforcement, enforce  # noqa: E402

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
    names = []
    for n in range(files):
        text = _BIG.format(n=n)
        if small:
            text = _SMALL.format(n=n) + "".join(_SMALL_FUNCTION.format(n=n, m=m) for m in range(12))
        name = f"f{n}.{'c' if small else 'cc'}"
        (folder / name).write_text(text, encoding="utf-8")
        names.append(name)
    rules = "all: " + " ".join(f"{Path(name).stem}.o" for name in names) + "\n"
    rules += "%.o: %.c\n\tgcc -O2 -mavx2 -c -o $@ $<\n%.o: %.cc\n\tg++ -O2 -mavx2 -c -o $@ $<\n"
    (folder / "Makefile").write_text(rules, encoding="utf-8")


def build(folder: Path, enforcement: Enforcement | None) -> Cost:
    """One build from nothing."""
    for path in folder.glob("*.o"):
        path.unlink()
    before = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    begin = time.monotonic()
    with enforce(enforcement, folder) if enforcement else nullcontext() as session:
        environ = {**os.environ, **(session.environ if session else {})}
        subprocess.run(["make", "-s", "-j2"], cwd=folder, env=environ, check=True)
    wall = time.monotonic() - begin
    after = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    processor = sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after))
    return Cost(wall, processor)


def measure(title: str, files: int, rounds: int, limit: float, *, small: bool, strict: bool) -> bool:
    """Build in turns and print a line; whether the limit is kept."""
    with tempfile.TemporaryDirectory(prefix="enforcement-") as scratch:
        folder = Path(scratch)
        write_project(folder, files, small=small)
        plain: List[Cost] = []
        enforced: List[Cost] = []
        for _ in range(rounds):
            plain.append(build(folder, None))
            enforced.append(build(folder, Enforcement(strict=strict)))
    least = [min(cost.processor for cost in costs) for costs in (plain, enforced)]
    wall = [min(cost.wall for cost in costs) for costs in (plain, enforced)]
    ratio = least[1] / least[0] - 1
    print(
        f"{title}: {files} files, {1000 * least[0] / files:.0f} ms each; processor time plain {least[0]:.2f} s, "
        f"enforced {least[1]:.2f} s: {ratio:+.1%} (limit {limit:.0%}); wall {wall[0]:.1f} s and {wall[1]:.1f} s"
    )
    return ratio <= limit


def main() -> int:
    """Measure both builds; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--strict", action="store_true", help="with the assembler gate")
    chosen = parser.parse_args()
    big = measure("build of usual files", chosen.files, chosen.rounds, 0.03, small=False, strict=chosen.strict)
    small = measure("build of small files", chosen.files, chosen.rounds, 0.15, small=True, strict=chosen.strict)
    return 0 if big and small else 1


if __name__ == "__main__":
    sys.exit(main())
