"""One build under enforcement: shims written, variables made, log read, everything removed again."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterator, Mapping, Optional, Tuple, Union

from ..errors import EnforcementError
from . import clang, shims
from .compile_log import Known, compile_log
from .discovery import Discovery, Program, host_machine
from .environment import GIVEN_BACK, Commands, forced_settings, known_words, variables
from .inner import inner_program, parts, write_inner
from .model import CompileLog, Enforcement, Mode
from .places import session_folder
from .plan import Plan, plan_for, save_plan
from .start_files import cleared_start_files

_FOLDERS = ("bin", "inner", "log", "maps", "kernels", "responses", "crt", "gate", "errors", "refused")


class Session:
    """A running session; made by :func:`enforce`.

    ``environ``: the variables to set for the build, nothing else. ``log()``: what happened so far.
    """

    def __init__(self, plan: Plan, environ: Mapping[str, str], known: Known, notes: Tuple[str, ...]) -> None:
        self.plan = plan
        self.environ: Dict[str, str] = dict(environ)
        self._known = known
        self._notes = notes

    def log(self) -> CompileLog:
        """All compiler calls so far. Raises InternalError BB690 when the log is damaged."""
        return compile_log(self.plan, self._known, self._notes, self.refusals())

    def refusals(self) -> Tuple[str, ...]:
        """What the assembler gate refused so far: ``foo.c:13: vpaddd in function f`` (BB606)."""
        files = sorted(Path(self.plan.state, "refused").iterdir())
        lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
        return tuple(dict.fromkeys(lines))

    def has_compiler(self) -> bool:
        """Whether any C compiler was found on PATH."""
        return any(program.path and program.dialect in ("gcc", "clang") for program in self.plan.programs.values())

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Set :attr:`environ` in this process, and put back afterwards what was there before."""
        before = {name: os.environ.get(name) for name in self.environ}
        os.environ.update(self.environ)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def check(self) -> None:
        """Raise EnforcementError BB605 where ``enforce = "refuse"`` had to stop a call."""
        if self.plan.mode is not Mode.REFUSE:
            return
        refused = self.log().refused
        if refused:
            listed = ", ".join(f"{one.flag} (from {one.origin.value}: {one.via}, {one.count}x)" for one in refused)
            raise EnforcementError(
                "BB605",
                f"compilers were asked for instructions above the promised level: {listed}",
                where='enforce = "refuse"',
                why="An option like these makes code that not every promised CPU can run.",
                fix='Remove it at its origin, or build with enforce = "filter", which drops it.',
            )


def _with_rust(programs: Tuple[Program, ...]) -> Tuple[Program, ...]:
    """*programs* and the wrapper cargo is told to use, which also sees a rustc called by its path."""
    rustc = next((program for program in programs if program.dialect == "rustc"), None)
    return (*programs, replace(rustc, name="rustc-wrapper")) if rustc else programs


def _write_bin(plan: Plan, environ: Mapping[str, str]) -> None:
    folder = Path(plan.state, "bin")
    for program in plan.programs.values():
        if not program.path:
            continue  # a part of gcc, see inner.py
        if program.dialect == "launcher":
            text = shims.launcher_text(plan, program)
        elif program.dialect == "go":
            text = shims.go_text(plan, program)
        elif program.name == "rustc-wrapper":
            text = shims.shim_text(plan, program, shims.rust_choice(plan, environ.get("RUSTC_WRAPPER")))
        else:
            text = shims.shim_text(plan, program, f"real={shims.quote(program.path)}")
        shims.write_executable(folder / program.name, text)


def _prepare(enforcement: Enforcement, state: Path, environ: Mapping[str, str]) -> Session:
    for name in _FOLDERS:
        (state / name).mkdir()
    discovery = Discovery(environ)
    original: Dict[str, Optional[str]] = {name: environ.get(name) for name in GIVEN_BACK}
    plan = plan_for(enforcement, state, _with_rust(discovery.programs()), original)
    commands = Commands(plan, discovery)
    changed = variables(plan, environ, commands)
    if original["CCC_OVERRIDE_OPTIONS"] is not None and "CCC_OVERRIDE_OPTIONS" in changed:
        # the user's own edits of clang's line come behind the shim: clang is left those that take options off again
        plan = replace(plan, original={**original, "CCC_OVERRIDE_OPTIONS": changed["CCC_OVERRIDE_OPTIONS"]})
    plan = replace(plan, programs={**plan.programs, **{program.name: program for program in commands.extra}})
    found = parts(plan, environ)
    own = {program.name: program for program in (inner_program(name, found[name]) for name in found)}
    own[clang.NAME] = Program(clang.NAME, "", "clang", host_machine())
    levels = {machine: level for machine in ("x86-64",) for level in [plan.level(machine)] if level}
    crt = {} if plan.mode is Mode.REPORT else cleared_start_files(state, plan.programs.values(), levels, environ)
    plan = replace(plan, programs={**plan.programs, **own}, crt=crt)
    save_plan(plan)
    _write_bin(plan, environ)
    write_inner(plan, found)
    return Session(plan, changed, known_words(environ), forced_settings(environ, changed))


@contextlib.contextmanager
def enforce(
    enforcement: Enforcement, work_dir: Union[str, Path], environ: Optional[Mapping[str, str]] = None
) -> Iterator[Session]:
    """Keep every compiler of a build to *enforcement*.

    :param work_dir: an existing folder; the session makes one of its own in it or among temporary files (see
        :mod:`.places`) and removes it at the end.
    :param environ: the variables the build would have; this process's own by default.

    Raises ConfigError BB600 for an unknown level, ToolError BB601 for a compiler on PATH that does not answer; at the
    end, where ``refuse`` stopped a call, EnforcementError BB605 (also in place of the error the build made of it).
    """
    with session_folder(Path(work_dir), enforcement.root) as state:
        session = _prepare(enforcement, state, dict(os.environ if environ is None else environ))
        try:
            yield session
        except BaseException as error:
            try:
                session.check()
            except EnforcementError as refusal:
                raise refusal from error
            raise
        session.check()
