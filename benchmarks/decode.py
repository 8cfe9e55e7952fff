"""How fast the x86 decoders are, side by side in one run: ``python benchmarks/decode.py [FILE] [--megabytes N]``.

Ours (portable and compiled), iced-x86, Capstone, objdump and llvm-objdump decode the same bytes; CPU seconds of this
process and its children, the best of three. What is missing is named.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
from pathlib import Path
from typing import Callable, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from baseline_build.decode.engine import library
from baseline_build.decode.x86 import compiled, engine
from tests.decode.differential import code_of
from tests.decode.oracles import Listing, oracle


def cpu_seconds() -> float:
    """CPU time of this process and of the children it has waited for."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))


def best(work: Callable[[], object], times: int = 3) -> float:
    """The shortest CPU time of *times* runs."""
    found = []
    for _ in range(times):
        started = cpu_seconds()
        work()
        found.append(cpu_seconds() - started)
    return min(found)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=Path(sys.executable).resolve())
    parser.add_argument("--megabytes", type=float, default=4)
    options = parser.parse_args()
    code = max(code_of(options.file), key=lambda found: len(found.data))
    data = code.data[: int(options.megabytes * 1e6)]
    built = library()
    started = cpu_seconds()
    swept = engine.sweep(code.bits, data, code.address)
    marks = len(swept.mark_addresses)
    print(f"{options.file}: {len(data) / 1e6:.1f} MB, {swept.instructions:,} instructions, {marks:,} marked")
    print(f"first pass of the portable engine, tables and growth included: {cpu_seconds() - started:.2f} s")
    runs: List[Tuple[str, Callable[[], object]]] = []
    runs.append(("ours, portable", lambda: engine.sweep(code.bits, data, code.address)))
    if built is None:
        print("ours, compiled: not built (python -m baseline_build.decode._engine_build)")
    else:
        runs.append(("ours, compiled", lambda: compiled.sweep(built, code.bits, data, code.address)))
    for name in ("iced", "capstone"):
        theirs = oracle(name)
        runs.append((f"{name}, from Python", lambda theirs=theirs: theirs.decode(code.bits, data, code.address)))  # type: ignore[misc]
    for name, program in (("objdump", shutil.which("objdump")), ("llvm", shutil.which("llvm-objdump-22"))):
        if program is None:
            print(f"{name}: not installed")
            continue
        lister = oracle(name, program)
        assert isinstance(lister, Listing)
        runs.append((f"{name}, its listing only", lambda lister=lister: lister.listing(code.bits, data, code.address)))  # type: ignore[misc]
    print(f"{'decoder':28} {'seconds':>8} {'MB/s':>8} {'M instructions/s':>17}")
    for name, work in runs:
        seconds = best(work)
        print(f"{name:28} {seconds:8.3f} {len(data) / seconds / 1e6:8.1f} {swept.instructions / seconds / 1e6:17.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
