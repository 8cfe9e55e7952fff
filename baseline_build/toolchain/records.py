"""The raw log of a session: what shims write, and how it becomes a :class:`~.model.CompileLog`.

Every process appends to a file of its own, named after its process number, so that no record can be torn by another
one. A record is a run of fields, each closed by a NUL byte: ``bb1``, name, machine, working folder, calling program,
number of arguments, the arguments, removed options (newline after each), added options (newline between), reason of an
exemption, ``1`` if refused, file of the linker's map. Where options were removed and the compiler then failed, ``bbx``
and its exit status follow.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..errors import InternalError
from . import clang
from .discovery import host_machine
from .filtering import TAKES_VALUE, filter_arguments
from .links import Look, Piece, look_at, pieces_of
from .model import Call, CompileLog, Mode, Origin, Removal
from .plan import Plan
from .responses import expand_responses
from .tables import target_of

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


def sources_among(arguments: Sequence[str], *, everything: bool = False) -> Tuple[str, ...]:
    """The arguments that name source files, by their ending; with *everything* all that name a file."""
    return tuple(one for one in _inputs(arguments) if everything or os.path.splitext(one)[1] in _ENDINGS)


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
    if record.name == clang.NAME:
        options = [word for option in record.removed for word in option.split(" ")]
        bad = filter_arguments(("-cc1", *options), "clang", record.machine, plan.level(record.machine)).foreign
        return record.removed, bad, ()
    arguments: Sequence[str] = record.arguments
    if plan.mode is Mode.REPORT and program.dialect != "rustc":
        arguments = expand_responses(arguments, record.directory)
    outcome = filter_arguments(arguments, program.dialect, record.machine, plan.level(record.machine))
    removed = outcome.removed if plan.mode is Mode.REPORT else record.removed
    level = plan.level(record.machine)
    own = (*target_of(record.machine, level).options, *plan.added("as", record.machine)) if level else ()
    removed = tuple(flag for flag in removed if flag not in own)  # asking for the promised level is no news
    foreign = frozenset(outcome.foreign)
    return removed, tuple(one for one in removed if one in foreign), outcome.unknown


def output_of(arguments: Sequence[str]) -> Optional[str]:
    """The value of ``-o``."""
    for place, argument in enumerate(arguments):
        if argument == "-o" and place + 1 < len(arguments):
            return arguments[place + 1]
        if argument.startswith("-o") and argument != "-o":
            return argument[2:]
    return None


def _call(record: Record, removed: Tuple[str, ...], unknown: Tuple[str, ...], *, failed: bool) -> Call:
    arguments = record.arguments
    units = sources_among(arguments) or tuple(
        one for one in _inputs(arguments) if one.endswith(_OBJECTS) or ".so." in one
    )
    return Call(
        record.name.split(" ")[-1],
        record.directory,
        record.caller,
        units,
        output_of(arguments),
        arguments,
        removed,
        record.added,
        unknown,
        record.kernel or None,
        record.refused,
        failed,
    )


def own_objects(records: Sequence[Record]) -> FrozenSet[str]:
    """Outputs of the compiler calls *records*, as real paths."""
    outputs = ((record.directory, output_of(record.arguments)) for record in records)
    return frozenset(os.path.realpath(os.path.join(folder, name)) for folder, name in outputs if name)


def _linked(plan: Plan, records: Sequence[Record]) -> Look:
    """What the links of *records* took in from elsewhere above the level, each archive decoded once."""
    own = own_objects(records)
    outputs: Dict[Piece, str] = {}
    for record in records:
        if record.map_file and os.path.isfile(record.map_file):
            text = Path(record.map_file).read_text(encoding="utf-8", errors="surrogateescape")
            for piece in pieces_of(text, record.directory):
                outputs.setdefault(piece, output_of(record.arguments) or "a.out")
    by_output: Dict[str, List[Piece]] = {}
    for piece, output in outputs.items():
        by_output.setdefault(output, []).append(piece)
    looks = [look_at(plan, pieces, output, own) for output, pieces in by_output.items()]
    return Look(
        tuple(member for look in looks for member in look.members),
        tuple(dict.fromkeys(note for look in looks for note in look.notes)),
    )


def _told_by_clang(plan: Plan) -> Tuple[List[Record], List[str]]:
    """Calls of clangs that were called by their path, and sentences on what could not be done about them."""
    calls, unread = clang.printed_calls(plan)
    level = [*plan.added("clang", host_machine(), modern=False)]
    records: List[Record] = []
    notes = [f"{clang.CALLER} told of {unread} calls that cannot be read"] if unread else []
    for call in calls:
        refused = plan.mode is Mode.REFUSE and bool(call.removed or call.left)
        removed = (*call.removed, *(call.left if plan.mode is not Mode.FILTER else ()))
        record = Record(
            clang.NAME,
            call.machine,
            call.directory,
            clang.CALLER,
            call.arguments,
            removed,
            tuple(level),
            "",
            refused,
            "",
        )
        records.append(record)
        if call.left and plan.mode is Mode.FILTER:
            source = " ".join(sources_among(call.arguments))
            notes.append(
                f"{clang.CALLER} kept {', '.join(call.left)} for {source}: from a configuration file of its own"
            )
    return records, notes


_EXPANDED = 8


def _folded(record: Record, removed: Tuple[str, ...]) -> Tuple[str, ...]:
    """*removed* with what a gcc called by its path has made of ``-march=native`` said in one word."""
    choice = [flag for flag in removed if flag.startswith("-march=")]
    if not record.name.startswith("inner ") or not choice or len(removed) <= _EXPANDED:
        return removed
    return (f"{choice[-1]} and its {len(removed) - len(choice)} extensions",)


def compile_log(plan: Plan, known: Known, notes: Sequence[str] = (), refusals: Sequence[str] = ()) -> CompileLog:
    """The log of the session of *plan* so far."""
    calls: List[Call] = []
    counts: Counter[Tuple[str, Origin, str]] = Counter()
    foreign: Dict[Tuple[str, Origin, str], bool] = {}
    refused: FrozenSet[Tuple[str, Origin, str]] = frozenset()
    unknown: Counter[str] = Counter()
    records = read_records(Path(plan.state))
    told, unseen = _told_by_clang(plan)
    for record in (*records, *told):
        removed, bad, strange = _seen(record, plan)
        calls.append(_call(record, removed, strange, failed=bool(record.status and bad)))
        unknown.update(set(strange))
        folded = _folded(record, removed)
        bad = bad if folded == removed else folded
        for flag in dict.fromkeys(folded):
            key = (flag, *_origin(flag, record.caller, known))
            counts[key] += 1
            foreign[key] = foreign.get(key, False) or flag in bad
            if record.refused and flag in bad:
                refused |= {key}
    removals = tuple(
        Removal(flag, origin, via, count, foreign[flag, origin, via], (flag, origin, via) in refused)
        for (flag, origin, via), count in sorted(counts.items(), key=lambda item: (-item[1], item[0][0], item[0][2]))
    )
    linked = _linked(plan, records)
    return CompileLog(
        plan.mode,
        tuple(calls),
        removals,
        tuple(sorted(unknown.items())),
        (*notes, *unseen, *linked.notes),
        linked.members,
        tuple(refusals),
    )
