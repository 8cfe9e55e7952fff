"""What enforcement costs: the same wheel built with and without it, in turns, in one run.

``python benchmarks/build.py [PROJECT] [--rounds N] [--limit 1.15]``

Each build runs in a process of its own with an empty cache, and is verified like any other. "Without" means: the
compilers are called as the project calls them, and everything else stays. CPU time (of all processes of a build) is
what is compared: on a busy machine wall time says more about the neighbours. Ends with 1 when the limit is exceeded.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Tuple

ROOT = Path(__file__).resolve().parents[1]
_BUILD = """
import contextlib, sys
sys.path.insert(0, sys.argv[1])
from baseline_build.artifacts import building
from baseline_build.toolchain import CompileLog, Mode

class Nothing:
    environ = {}
    def applied(self):
        return contextlib.nullcontext()
    def log(self):
        return CompileLog(Mode.REPORT, (), (), ())
    def refusals(self):
        return ()

@contextlib.contextmanager
def without(enforcement, work_dir):
    yield Nothing()

if sys.argv[2] == "without":
    building.enforce = without
import baseline_build
baseline_build.build_wheel(sys.argv[3])
"""


def build(project: Path, kind: str) -> Tuple[float, float]:
    """CPU and wall seconds of one build."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as output:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        result = subprocess.run(
            [sys.executable, "-c", _BUILD, str(ROOT), kind, output],
            cwd=project,
            env={**os.environ, "BASELINE_BUILD_CACHE": "off"},
            capture_output=True,
            text=True,
            check=False,
        )
        wall = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode:
        sys.exit(f"the build {kind} enforcement failed:\n{result.stdout}\n{result.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    """Build in turns and print the table."""
    parser = argparse.ArgumentParser(description="What enforcement costs.")
    parser.add_argument("project", nargs="?", default=str(ROOT), type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--limit", type=float, default=1.15)
    options = parser.parse_args()
    times: dict[str, List[Tuple[float, float]]] = {"without": [], "with": []}
    for _ in range(options.rounds):
        for kind, measured in times.items():
            measured.append(build(options.project, kind))
            print(f"{kind:8} {measured[-1][0]:8.1f} s CPU {measured[-1][1]:8.1f} s wall", flush=True)
    cpu = {kind: statistics.median(pair[0] for pair in measured) for kind, measured in times.items()}
    ratio = cpu["with"] / cpu["without"]
    print(f"ratio    {ratio:8.3f}       (limit {options.limit})")
    sys.exit(ratio > options.limit)


if __name__ == "__main__":
    main()
