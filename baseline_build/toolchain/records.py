"""The raw log of a session: what shims write, and how it becomes a :class:`~.model.CompileLog`.

Every process appends to a file of its own, named after its process number, so that no record can be torn by another
one. A record is a run of fields, each closed by a NUL byte: ``bb1``, name, machine, working folder, calling program,
number of arguments, the arguments, removed options (newline after each), added options (newline between), reason of an
exemption, ``1`` if refused.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, Mapping, Sequence, Tuple

from ..errors import InternalError
from .filtering import TAKES_VALUE, filter_arguments
from .model import Call, CompileLog, Mode, Origin, Removal
from .plan import Plan
from .responses import expand_responses

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
_OBJECTS = (".o", ".obj", ".lo", ".a", ".so")
_ENDINGS = frozenset(_SOURCES)


def sources_among(arguments: Sequence[str]) -> Tuple[str, ...]:
    """The arguments that name source files, by their ending."""
    return tuple(one for one in _inputs(arguments) if os.path.splitext(one)[1] in _ENDINGS)


def _inputs(arguments: Sequence[str]) -> Iterator[str]:
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
) -> None:
    """Append one record to this process's file in the session *state*."""
    fields = ["bb1", name, machine, os.getcwd(), caller, str(len(arguments)), *arguments]
    fields += ["".join(f"{one}\n" for one in removed), "\n".join(added), kernel, "1" if refused else ""]
    with Path(state, "log", str(os.getpid())).open("ab") as stream:
        stream.write(b"".join(os.fsencode(field) + b"\0" for field in fields))


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


def _lines(text: str) -> Tuple[str, ...]:
    return tuple(line for line in text.split("\n") if line)


def parse_records(data: bytes, where: str) -> Iterator[Record]:
    """The records in *data*. Raises InternalError BB690 when it is torn: a log that cannot be read proves nothing."""
    fields = [os.fsdecode(field) for field in data.split(b"\0")]
    place = 0
    while place < len(fields) - 1:
        try:
            mark, name, machine, directory, caller, count = fields[place : place + 6]
            end = place + 6 + int(count)
            removed, added, kernel, refused = fields[end : end + 4]
        except ValueError as error:
            raise InternalError("BB690", "the log of compiler calls is torn", where=where) from error
        if mark != "bb1":
            raise InternalError("BB690", "the log of compiler calls is torn", where=where)
        arguments = tuple(fields[place + 6 : end])
        yield Record(
            name, machine, directory, caller, arguments, _lines(removed), _lines(added), kernel, refused == "1"
        )
        place = end + 4


def read_records(state: Path) -> List[Record]:
    """All records of the session in *state*, in the order their processes began to write."""
    files = sorted((state / "log").iterdir(), key=lambda path: (path.stat().st_mtime_ns, path.name))
    return [record for path in files for record in parse_records(path.read_bytes(), path.name)]


@dataclass(frozen=True)
class Known:
    """Words of the variables and settings that were there before the build: word -> where it stands."""

    environment: Mapping[str, str]
    interpreter: Mapping[str, str]


def _origin(flag: str, caller: str, known: Known) -> Tuple[Origin, str]:
    for origin, words in ((Origin.ENVIRONMENT, known.environment), (Origin.INTERPRETER, known.interpreter)):
        # a pair such as "-C target-cpu=native" is known by its last word, a part of a list by the list
        for word in (flag, flag.rsplit(" ", 1)[-1]):
            if word in words:
                return origin, words[word]
    if caller.startswith(("python", "pypy", "pip")):
        return Origin.PROJECT, caller
    return Origin.SUB_BUILD, caller or "?"


def _seen(record: Record, plan: Plan) -> Tuple[Tuple[str, ...], Tuple[str, ...], Tuple[str, ...]]:
    """Removed options, those of them that are foreign, unknown options."""
    program = plan.programs[record.name]
    if program.dialect == "go":
        return record.removed, record.removed, ()
    arguments: Sequence[str] = record.arguments
    if plan.mode is Mode.REPORT and program.dialect != "rustc":
        arguments = expand_responses(arguments, record.directory)
    outcome = filter_arguments(arguments, program.dialect, record.machine, plan.level(record.machine))
    removed = outcome.removed if plan.mode is Mode.REPORT else record.removed
    own = plan.added(program.dialect, record.machine)  # what a shim further out has added is no news
    removed = tuple(flag for flag in removed if flag not in own)
    foreign = frozenset(outcome.foreign)
    return removed, tuple(one for one in removed if one in foreign), outcome.unknown


def _call(record: Record, removed: Tuple[str, ...], unknown: Tuple[str, ...]) -> Call:
    arguments = record.arguments
    output = next((arguments[i + 1] for i, one in enumerate(arguments[:-1]) if one == "-o"), None)
    units = sources_among(arguments) or tuple(
        one for one in _inputs(arguments) if one.endswith(_OBJECTS) or ".so." in one
    )
    return Call(
        record.name.split(" ")[-1],
        record.directory,
        record.caller,
        units,
        output,
        arguments,
        removed,
        record.added,
        unknown,
        record.kernel or None,
        record.refused,
    )


def compile_log(plan: Plan, known: Known, notes: Sequence[str] = ()) -> CompileLog:
    """The log of the session of *plan* so far."""
    calls: List[Call] = []
    counts: Counter[Tuple[str, Origin, str]] = Counter()
    foreign: Dict[Tuple[str, Origin, str], bool] = {}
    refused: FrozenSet[Tuple[str, Origin, str]] = frozenset()
    unknown: Counter[str] = Counter()
    for record in read_records(Path(plan.state)):
        removed, bad, strange = _seen(record, plan)
        calls.append(_call(record, removed, strange))
        unknown.update(set(strange))
        for flag in dict.fromkeys(removed):
            key = (flag, *_origin(flag, record.caller, known))
            counts[key] += 1
            foreign[key] = foreign.get(key, False) or flag in bad
            if record.refused:
                refused |= {key}
    removals = tuple(
        Removal(flag, origin, via, count, foreign[flag, origin, via], (flag, origin, via) in refused)
        for (flag, origin, via), count in sorted(counts.items(), key=lambda item: (-item[1], item[0][0], item[0][2]))
    )
    return CompileLog(plan.mode, tuple(calls), removals, tuple(sorted(unknown.items())), tuple(notes))
