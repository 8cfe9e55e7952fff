"""How fast the ARM64 decoders are, side by side in one run: ``python benchmarks/decode_aarch64.py FILE``.

Ours (portable and compiled) sweep the same bytes, the longest run of code in FILE; Capstone and objdump list them. CPU
seconds of this process and its children, the best of three, rounds taken in turns.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import capstone

from baseline_build.decode.aarch64 import compiled, portable
from baseline_build.decode.aarch64.notes import Notes
from baseline_build.decode.engine import library
from benchmarks.decode import cpu_seconds
from tests.decode_aarch64.differential import code_of


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--megabytes", type=float, default=4)
    options = parser.parse_args()
    data = max(code_of(options.file), key=len, default=b"")[: int(options.megabytes * 1e6) // 4 * 4]
    if not data:
        parser.error(f"{options.file} holds no ARM64 code")
    view = memoryview(data)
    runs: Dict[str, Callable[[], object]] = {"ours, portable": lambda: portable.run(Notes(), view, 0x10000)}
    built = library()
    if built is None:
        print("ours, compiled: not built (python -m baseline_build.decode._engine_build)")
    else:
        runs["ours, compiled"] = lambda: compiled.run(built, Notes(), view, 0x10000)
    decoder = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    decoder.skipdata = True
    runs["capstone, from Python"] = lambda: sum(1 for _ in decoder.disasm_lite(data, 0x10000))
    program = shutil.which("aarch64-linux-gnu-objdump")
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        if program is None:
            print("objdump: not installed")
        else:
            command = [program, "-D", "-b", "binary", "-m", "aarch64", file.name]
            runs["objdump, its listing only"] = lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds: Dict[str, List[float]] = {name: [] for name in runs}
        for _ in range(3):
            for name, work in runs.items():
                started = cpu_seconds()
                work()
                seconds[name].append(cpu_seconds() - started)
    print(f"{options.file}: {len(data) / 1e6:.1f} MB")
    print(f"{'decoder':28} {'first MB/s':>10} {'best MB/s':>10}")
    for name, taken in seconds.items():
        print(f"{name:28} {len(data) / taken[0] / 1e6:10.1f} {len(data) / min(taken) / 1e6:10.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
