"""Names the place when the assembler gate refuses: ``python -IS gate.py STATE ERRORS CODE ARGUMENT…``.

Under ``strict`` the assembler accepts only instructions of the promised level (GNU as, "x86 Options": ``-march=``).
Its message names a line of the compiler's output, a file that is gone a moment later. Where that has line information
(``.loc``) the message is completed with the source line, else with the function.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

_REFUSED = re.compile(
    r"(?P<file>.*?):(?P<line>[0-9]+): Error: .*?[`'](?P<instruction>[^' ]+)[^']*' is not supported on "
)
_FILE = re.compile(r'\s*\.file\s+(?:(?P<number>[0-9]+)\s+)?(?:"(?P<folder>[^"]*)"\s+)?"(?P<name>[^"]*)"')
_LOC = re.compile(r"\s*\.loc\s+(?P<file>[0-9]+)\s+(?P<line>[0-9]+)")
_LABEL = re.compile(r"(?P<name>[A-Za-z_$][\w$.]*):")
_SYSTEM = re.compile(r"(/usr/(local/)?include/|/lib(64|32)?/(gcc|clang|llvm)[^/]*/)")


def _place(lines: Sequence[str], number: int) -> Tuple[Optional[str], Optional[str]]:
    """(source file and line, function) of line *number* of an assembler file. System headers are passed over."""
    files: Dict[str, str] = {}
    source = line = function = None
    for text in lines[:number]:
        named = _FILE.match(text)
        located = _LOC.match(text)
        label = _LABEL.match(text)
        if named and named.group("number") is None:
            source = named.group("name")
        elif named:
            files[named.group("number")] = os.path.join(named.group("folder") or "", named.group("name"))
        elif located and not _SYSTEM.search(files.get(located.group("file"), "")):
            line = f"{files.get(located.group('file'), source)}:{located.group('line')}"
        elif label:
            function = label.group("name")
    return line or source, function


def explained(message: str) -> Optional[str]:
    """``foo.c:13: vpaddd in function f``, for one line of the assembler's; ``None`` if it is about something else."""
    match = _REFUSED.match(message)
    if match is None:
        return None
    instruction, file, number = match.group("instruction"), match.group("file"), int(match.group("line"))
    if not file.endswith(".s") or not os.path.isfile(file):
        return f"{file}:{number}: {instruction}"
    lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    place, function = _place(lines, number)
    if place is None:
        return f"{file}:{number}: {instruction}"
    return f"{place}: {instruction}" + (f" in function {function}" if function else "")


def main(words: Sequence[str]) -> int:
    """Print the assembler's messages, completed; keep what was refused for the session; pass on the exit code."""
    state, errors, code, *_ = words
    refused: List[str] = []
    for message in Path(errors).read_text(encoding="utf-8", errors="replace").splitlines():
        sys.stderr.write(message + "\n")
        place = explained(message)
        if place is not None and place not in refused:
            refused.append(place)
            sys.stderr.write(f"{place} is above the promised level (BB606, strict)\n")
    if refused:
        Path(state, "refused", f"{os.getpid()}").write_text("\n".join(refused) + "\n", encoding="utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
