"""The raw log of a session: what shims write, and what is read back.

Every process appends to a file of its own, named after its process number, so that no record can be torn by another
one. A record is a run of fields, each closed by a NUL byte: ``bb1``, name, machine, working folder, calling program,
number of arguments, the arguments, removed options (newline after each), added options (newline between), reason of an
exemption, ``1`` if refused, file of the linker's map. Where options were removed and the compiler then failed, ``bbx``
and its exit status follow.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import FrozenSet, Iterator, List, Optional, Sequence, Tuple

from ..errors import InternalError
from .filtering import TAKES_VALUE

_SOURCES = [
    ".c",
    ".i",
    ".ii",
    ".cc",
    ".cp",
    ".cxx",
    ".cpp",
    ".CPP",
    ".c++",
    ".C",
    ".m",
    ".mi",
    ".M",
    ".mm",
    ".mii",
    ".f",
    ".for",
    ".ftn",
    ".F",
    ".FOR",
    ".fpp",
    ".FPP",
    ".FTN",
    ".f90",
    ".f95",
    ".f03",
    ".f08",
    ".F90",
    ".F95",
    ".F03",
    ".F08",
    ".s",
    ".S",
    ".sx",
    ".rs",
    ".go",
    ".zig",
    ".cu",
    ".d",
    ".ll",
    ".bc",
]
_ENDINGS = frozenset(_SOURCES)


def sources_among(arguments: Sequence[str], *, everything: bool = False) -> Tuple[str, ...]:
    """The arguments that name source files, by their ending; with *everything* all that name a file."""
    return tuple(one for one in inputs_among(arguments) if everything or os.path.splitext(one)[1] in _ENDINGS)


def inputs_among(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments that name files: neither options nor their values."""
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in TAKES_VALUE:
            skip = True
        elif not argument.startswith("-"):
            yield argument


def write_record(
    state: str,
    name: str,
    machine: str,
    caller: str,
    arguments: Sequence[str],
    removed: Sequence[str],
    added: Sequence[str],
    kernel: str,
    *,
    refused: bool,
    map_file: str = "",
) -> None:
    """Append one record to this process's file in the session *state*."""
    fields = ["bb1", name, machine, os.getcwd(), caller, str(len(arguments)), *arguments]
    fields += ["".join(f"{one}\n" for one in removed), "\n".join(added), kernel, "1" if refused else "", map_file]
    with Path(state, "log", str(os.getpid())).open("ab") as stream:
        stream.write(b"".join(os.fsencode(field) + b"\0" for field in fields))


def write_status(state: str, code: int) -> None:
    """Note that the compiler of this process's last record has failed."""
    with Path(state, "log", str(os.getpid())).open("ab") as stream:
        stream.write(b"bbx\0%d\0" % code)


@dataclass(frozen=True)
class Record:
    """One call, as written by a shim."""

    name: str
    machine: str
    directory: str
    caller: str
    arguments: Tuple[str, ...]
    removed: Tuple[str, ...]
    added: Tuple[str, ...]
    kernel: str
    refused: bool
    map_file: str
    status: int = 0


def _lines(text: str) -> Tuple[str, ...]:
    return tuple(line for line in text.split("\n") if line)


def parse_records(data: bytes, where: str) -> List[Record]:
    """The records in *data*. Raises InternalError BB690 when it is torn: a log that cannot be read proves nothing."""
    fields = [os.fsdecode(field) for field in data.split(b"\0")]
    found: List[Record] = []
    place = 0
    while place < len(fields) - 1:
        try:
            if fields[place] == "bbx":
                found.append(replace(found.pop(), status=int(fields[place + 1])))
                place += 2
                continue
            mark, name, machine, directory, caller, count = fields[place : place + 6]
            end = place + 6 + int(count)
            removed, added, kernel, refused, map_file = fields[end : end + 5]
        except (ValueError, IndexError) as error:
            raise InternalError("BB690", "the log of compiler calls is torn", where=where) from error
        if mark != "bb1":
            raise InternalError("BB690", "the log of compiler calls is torn", where=where)
        arguments = tuple(fields[place + 6 : end])
        found.append(
            Record(
                name,
                machine,
                directory,
                caller,
                arguments,
                _lines(removed),
                _lines(added),
                kernel,
                refused == "1",
                map_file,
            )
        )
        place = end + 5
    return found


def read_records(state: Path) -> List[Record]:
    """All records of the session in *state*, in the order their processes began to write."""
    files = sorted((state / "log").iterdir(), key=lambda path: (path.stat().st_mtime_ns, path.name))
    return [record for path in files for record in parse_records(path.read_bytes(), path.name)]


def output_of(arguments: Sequence[str]) -> Optional[str]:
    """The value of ``-o``."""
    for place, argument in enumerate(arguments):
        if argument == "-o" and place + 1 < len(arguments):
            return arguments[place + 1]
        if argument.startswith("-o") and argument != "-o":
            return argument[2:]
    return None


def own_objects(records: Sequence[Record]) -> FrozenSet[str]:
    """Outputs of the compiler calls *records*, as real paths."""
    outputs = ((record.directory, output_of(record.arguments)) for record in records)
    return frozenset(os.path.realpath(os.path.join(folder, name)) for folder, name in outputs if name)
