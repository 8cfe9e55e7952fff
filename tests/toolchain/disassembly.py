"""objdump's opinion on a file, independent of the project's own decoder."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.tools import require_tool

# VEX and EVEX instructions have names that begin with v (verr, verw, vm* apart); the rest is what v2 and v3 add beside.
_X86 = re.compile(
    r"\t(v(?!err|erw|m)[a-z0-9]+|popcnt|lzcnt|andn|bextr|bls[a-z]+|pdep|pext|[sr][ha][lrx]+x|mulx|movbe|pshufb|phadd\w+|"
    r"pabs\w|movddup|movs[hl]dup|haddp\w|crc32\w*|pcmpistri|pmulld|pm(ax|in)[su]d|round\w\w|blend\w+|ptest|dpp\w|"
    r"cmpxchg16b|aes\w+|pclmul\w+|xgetbv)\s"
)
_AARCH64 = re.compile(
    r"\t(ld(add|clr|eor|set|smax|umax)\w*|cas\w*|swp\w*|sqrdml\w+|[us]dot|whilelo|ptrue|crc32\w+)\s|\tz\d+\."
)
_FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")


def foreign_lines(path: Path, machine: str = "x86-64", functions: str = "") -> list[str]:
    """Lines of the disassembly of *path* that the baseline of *machine* does not have.

    :param functions: look only into those with this in their name.
    """
    tool = require_tool("objdump" if machine == "x86-64" else f"{machine}-linux-gnu-objdump")
    text = subprocess.run([tool, "-d", "--no-show-raw-insn", str(path)], check=True, capture_output=True, text=True)
    pattern = _X86 if machine == "x86-64" else _AARCH64
    found, name = [], ""
    for line in text.stdout.splitlines():
        head = _FUNCTION.match(line)
        name = head.group(1) if head else name
        if functions in name and pattern.search(line):
            found.append(line)
    return found
