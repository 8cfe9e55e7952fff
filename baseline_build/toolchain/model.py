"""What is enforced (:class:`Enforcement`) and what happened (:class:`CompileLog`)."""

from __future__ import annotations

import enum
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple

REPORT_VERSION = 1
_LISTED = 6  # options named in the one-line summary


class Mode(enum.Enum):
    """What is done about an option that names a foreign instruction set.

    ``FILTER`` drops it and adds the promised level. ``REFUSE`` does the same but fails the compiler call, and at its
    end the whole session. ``REPORT`` changes nothing but for the appended options, and keeps the log.
    """

    FILTER = "filter"
    REFUSE = "refuse"
    REPORT = "report"


@dataclass(frozen=True)
class Kernel:
    """Sources that may use a higher level, because code elsewhere asks the CPU before it calls them.

    :param sources: globs relative to the project's root; ``*`` stays within a folder, ``**`` crosses folders.
    :param level: the level they are compiled for (``x86-64-v3``).
    :param reason: why that is right, for the report.
    """

    sources: Tuple[str, ...]
    level: str
    reason: str


@dataclass(frozen=True)
class Enforcement:
    """What a build has to keep to.

    :param levels: machine (value of :class:`baseline_build.isa.model.Machine`) -> promised level; machines that are
        not named get their baseline.
    :param strict: no run-time dispatch is declared: the assembler refuses every instruction above the level, and
        ARM64 code gets no outline atomics.
    :param root: the project's folder: kernels are named relative to it.
    :param append: options for every compilation beside the level's (``-ffile-prefix-map=…``).
    """

    levels: Mapping[str, str] = field(default_factory=dict)
    mode: Mode = Mode.FILTER
    strict: bool = False
    kernels: Tuple[Kernel, ...] = ()
    root: Optional[Path] = None
    append: Tuple[str, ...] = ()


class Origin(enum.Enum):
    """Who put an option on the command line."""

    ENVIRONMENT = "environment"
    INTERPRETER = "interpreter"
    PROJECT = "project"
    SUB_BUILD = "sub-build"


@dataclass(frozen=True)
class Removal:
    """One distinct option that was taken off compiler calls.

    :param flag: as it stood on the line.
    :param via: the program that made the call (``ninja``), or the variable that holds the option (``CFLAGS``).
    :param count: calls it was taken off.
    :param foreign: it allowed (or claimed) instructions above the promised level; tuning options do not.
    :param refused: the call was refused for it instead.
    """

    flag: str
    origin: Origin
    via: str
    count: int
    foreign: bool
    refused: bool


@dataclass(frozen=True)
class Call:
    """One compiler call.

    :param program: the name it was called by (``g++``, ``cc1``, ``ccache``).
    :param directory: the working folder.
    :param caller: name of the calling program.
    :param units: the source files, or for a link the objects and archives, as they stood on the line.
    :param output: value of ``-o``, if there.
    :param arguments: as they came in, response files expanded where options had to be looked for in them.
    :param removed: options taken off.
    :param added: options put last.
    :param unknown: options that start with ``-m`` and are in no table; they were passed on.
    :param kernel: reason of the exemption that applied, if one did.
    :param failed: the compiler failed after options for more than the level were taken off: perhaps for want of them.
    """

    program: str
    directory: str
    caller: str
    units: Tuple[str, ...]
    output: Optional[str]
    arguments: Tuple[str, ...]
    removed: Tuple[str, ...]
    added: Tuple[str, ...]
    unknown: Tuple[str, ...]
    kernel: Optional[str]
    refused: bool
    failed: bool = False


@dataclass(frozen=True)
class ArchiveMember:
    """Code from outside the project that was linked in and holds instructions above the promised level.

    :param path: the archive or object file.
    :param member: its member, ``None`` for an object file.
    :param output: the file it was linked into.
    :param functions: (function, feature, count) of each.
    """

    path: str
    member: Optional[str]
    output: str
    functions: Tuple[Tuple[str, str, int], ...]

    @property
    def name(self) -> str:
        """``libfoo.a(bar.o)``."""
        return f"{self.path}({self.member})" if self.member else self.path


@dataclass(frozen=True)
class CompileLog:
    """All calls of a session, and what can be said of them together.

    :param refusals: what the assembler or the linker refused under ``strict``: ``foo.c:13: vpaddd in function f``.
    """

    mode: Mode
    calls: Tuple[Call, ...]
    removals: Tuple[Removal, ...]
    unknown: Tuple[Tuple[str, int], ...]
    notes: Tuple[str, ...] = ()
    members: Tuple[ArchiveMember, ...] = ()
    refusals: Tuple[str, ...] = ()

    @property
    def failed(self) -> Tuple[str, ...]:
        """Calls that failed after options had been taken off: ``gcc codec.c without -mssse3``."""
        tuning = frozenset(one.flag for one in self.removals if not one.foreign)
        texts = (
            " ".join([call.program, *call.units, "without", *(one for one in call.removed if one not in tuning)])
            for call in self.calls
            if call.failed
        )
        return tuple(dict.fromkeys(texts))

    @property
    def refused(self) -> Tuple[Removal, ...]:
        """Options for which a call was refused."""
        return tuple(removal for removal in self.removals if removal.refused)

    def summary(self) -> str:
        """One line: calls, what was removed and by whom, what was added."""
        parts = [f"{len(self.calls)} compiler call{'' if len(self.calls) == 1 else 's'}"]
        done = "found" if self.mode is Mode.REPORT else "removed"
        for verb, removals in (("refused", self.refused), (done, [r for r in self.removals if not r.refused])):
            listed = [f"{r.flag} ({r.count}x, {r.origin.value}: {r.via})" for r in removals[:_LISTED]]
            more = f" and {len(removals) - _LISTED} more" if len(removals) > _LISTED else ""
            if listed:
                parts.append(f"{verb} {', '.join(listed)}{more}")
        if not self.removals:
            parts.append(f"nothing {done}")
        added: Dict[str, int] = {}
        for call in self.calls:
            text = " ".join(call.added)
            if text:
                added[text] = added.get(text, 0) + 1
        if added:
            parts.append("added " + max(added, key=lambda text: added[text]))
        if self.unknown:
            parts.append("passed on unknown " + ", ".join(flag for flag, _ in self.unknown[:_LISTED]))
        return "; ".join(parts)

    def details(self) -> str:
        """Many lines: every distinct removal with its origin, unknown options, notes, and each call."""
        lines = [
            f"{'refused' if one.refused else 'removed'} {one.flag}: {one.origin.value} ({one.via}), {one.count}x"
            for one in self.removals
        ]
        lines += [f"unknown, passed on: {flag}, {count}x" for flag, count in self.unknown]
        lines += self.notes
        lines += [f"{member.name} in {member.output}: above the level" for member in self.members]
        for call in self.calls:
            units = " ".join(call.units) or "-"
            lines.append(
                f"{call.program} {units} -> {call.output or '-'}: removed {' '.join(call.removed) or 'nothing'}"
            )
        return "\n".join(lines)

    def to_json(self) -> str:
        """The compile report: a versioned JSON document, deterministic for the same calls."""
        body = {
            "version": REPORT_VERSION,
            "mode": self.mode.value,
            "removals": [{**asdict(removal), "origin": removal.origin.value} for removal in self.removals],
            "unknown": [{"flag": flag, "count": count} for flag, count in self.unknown],
            "notes": list(self.notes),
            "members": [asdict(member) for member in self.members],
            "refusals": list(self.refusals),
            "calls": [asdict(call) for call in self.calls],
        }
        return json.dumps(body, ensure_ascii=False, indent=1) + "\n"
