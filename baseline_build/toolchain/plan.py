"""The state of a session that its shims need, as frozen facts; written to ``session.json`` for the slow path."""

from __future__ import annotations

import fnmatch
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

from .additions import additions, quiet
from .discovery import Program
from .model import Enforcement, Kernel, Mode
from .tables import default_level


@dataclass(frozen=True)
class Plan:
    """What a session enforces, and on which programs.

    :param state: the session's folder.
    :param search: PATH, and ``original`` the variables that were set before the session and are given back to
        compilers once their shim has done its work (``None``: not set).
    """

    state: str
    mode: Mode
    strict: bool
    levels: Mapping[str, str]
    kernels: Tuple[Kernel, ...]
    root: Optional[str]
    programs: Mapping[str, Program]
    original: Mapping[str, Optional[str]]
    crt: Mapping[str, str]
    append: Tuple[str, ...] = ()

    def level(self, machine: str) -> Optional[str]:
        """The promised level of *machine*, ``None`` where it has none."""
        return self.levels.get(machine) or default_level(machine)

    def added(self, dialect: str, machine: str, *, modern: bool = True, atomics: bool = True) -> Tuple[str, ...]:
        """What is put last on a call."""
        if self.mode is Mode.REPORT:
            return self.appended(dialect, modern=modern)
        level = additions(dialect, machine, self.level(machine), strict=self.strict, modern=modern, atomics=atomics)
        return level + self.appended(dialect, modern=modern)

    def appended(self, dialect: str, *, modern: bool = True) -> Tuple[str, ...]:
        """The caller's own options for every compilation."""
        if dialect not in ("gcc", "clang", "cc1") or not self.append:
            return ()
        return quiet(self.append, modern) if dialect == "clang" else self.append

    def search_path(self) -> Optional[str]:
        """COMPILER_PATH for a compiler whose options are filtered: the user's own, behind the gate's assembler."""
        before = self.original.get("COMPILER_PATH")
        if not self.strict or self.mode is Mode.REPORT:
            return before
        return os.pathsep.join([str(Path(self.state, "gate")), *([before] if before else [])])

    def kernel(self, path: str, directory: str) -> Optional[Kernel]:
        """The exemption that holds for the source *path*, as named in *directory*."""
        if not self.kernels or self.root is None:
            return None
        inside = os.path.relpath(os.path.realpath(os.path.join(directory, path)), os.path.realpath(self.root))
        for kernel in self.kernels:
            if any(matches(inside, pattern) for pattern in kernel.sources):
                return kernel
        return None


def matches(path: str, pattern: str) -> bool:
    """Whether the relative *path* is meant: ``*`` and ``?`` stay within a folder, ``**`` crosses folders."""
    return _expression(pattern).match(path.replace(os.sep, "/")) is not None


def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]*\])", pattern)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    text = ""
    for part in parts:
        if part.startswith("[") and part.endswith("]"):
            text += fnmatch.translate(part)[len("(?s:") : -len(")\\Z")]
        else:
            text += meaning.get(part) or re.escape(part)
    return re.compile(text + r"\Z", re.DOTALL)


def save_plan(plan: Plan) -> None:
    """Write ``session.json``."""
    body = asdict(plan)
    body["mode"] = plan.mode.value
    text = json.dumps(body, ensure_ascii=True)
    Path(plan.state, "session.json").write_text(text, encoding="ascii")


def load_plan(state: str) -> Plan:
    """Read ``session.json`` of the session in *state*."""
    body: Dict[str, Any] = json.loads(Path(state, "session.json").read_text(encoding="ascii"))
    body["mode"] = Mode(body["mode"])
    body["kernels"] = tuple(
        Kernel(tuple(kernel["sources"]), kernel["level"], kernel["reason"]) for kernel in body["kernels"]
    )
    body["programs"] = {name: Program(**program) for name, program in body["programs"].items()}
    body["append"] = tuple(body["append"])
    return Plan(**body)


def plan_for(
    enforcement: Enforcement, state: Path, programs: Tuple[Program, ...], original: Mapping[str, Optional[str]]
) -> Plan:
    """The plan of a session that enforces *enforcement*. Raises ConfigError BB600 for an unknown level."""
    plan = Plan(
        str(state),
        enforcement.mode,
        enforcement.strict,
        dict(enforcement.levels),
        enforcement.kernels,
        str(enforcement.root) if enforcement.root else None,
        {program.name: program for program in programs},
        dict(original),
        {},
        enforcement.append,
    )
    for machine in {program.machine for program in programs}:
        plan.added("gcc", machine)
    return plan
