"""The compile log of a session, :class:`~.model.CompileLog`, out of the raw records and of what was known before."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, FrozenSet, List, Mapping, Sequence, Tuple

from . import clang
from .discovery import host_machine
from .filtering import filter_arguments
from .links import Look, Piece, look_at, pieces_of
from .model import Call, CompileLog, Mode, Origin, Removal
from .plan import Plan
from .records import Record, inputs_among, output_of, own_objects, read_records, sources_among
from .responses import expand_responses
from .tables import target_of

_OBJECTS = (".o", ".obj", ".lo", ".a", ".so")


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


def _call(record: Record, removed: Tuple[str, ...], unknown: Tuple[str, ...], *, failed: bool) -> Call:
    arguments = record.arguments
    units = sources_among(arguments) or tuple(
        one for one in inputs_among(arguments) if one.endswith(_OBJECTS) or ".so." in one
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
