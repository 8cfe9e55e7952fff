"""Python code that asks what the CPU can do, and so may choose among native modules.

There it stands in the files of the package itself, or in a package that its metadata requires (Core Metadata,
``Requires-Dist``). Compiled Python modules hide their names in packed tables, so that the metadata may be all there is.
"""

from __future__ import annotations

import re
from typing import Optional

# The kernel's file, the instruction, and the packages that read or run them.
_ASKS = re.compile(rb"cpuinfo|cpuid|archspec|getauxval|cpu_features")
# Distributions made for the question. Names as PEP 503 normalises them.
_ANSWERING = frozenset(["archspec", "py-cpuinfo", "cpufeature", "cpuid", "cpuid-py", "x86cpu"])
_REQUIRES = re.compile(rb"^Requires-Dist:[ \t]*([A-Za-z0-9._-]+)", re.MULTILINE | re.IGNORECASE)
LIMIT = 4 << 20  # bytes of a file that is read


def is_told(name: str) -> bool:
    """Whether the file called *name* may tell."""
    return name.endswith((".py", ".dist-info/METADATA"))


def asker(name: str, text: bytes) -> Optional[str]:
    """Who asks in the file *name* with the content *text*, as the subject of a sentence; ``None``: nobody."""
    if name.endswith(".py"):
        return name if _ASKS.search(text) else None
    head = text.partition(b"\n\n")[0]
    for found in _REQUIRES.finditer(head):
        project = re.sub(r"[-_.]+", "-", found.group(1).decode("ascii")).lower()
        if project in _ANSWERING:
            return f"the package {project}, which the metadata requires,"
    return None
