"""What a shim hands over when patterns are not enough.

Called as ``python -IS slow.py STATE NAME MACHINE REAL LAUNCHER ARGUMENT…``. Runs as a script, without site-packages and
without importing the package's front door (which brings setuptools).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence, Tuple

if __name__ == "__main__":
    _FOLDER = Path(__file__).resolve().parent
    for _name, _path in (("baseline_build", _FOLDER.parent), ("baseline_build.toolchain", _FOLDER)):
        _package = types.ModuleType(_name)
        _package.__path__ = [str(_path)]
        sys.modules[_name] = _package
    __package__ = "baseline_build.toolchain"

from ..errors import BaselineBuildError, EnforcementError, ToolError
from .additions import additions, quiet
from .clang import with_configuration
from .filtering import filter_arguments
from .lines import Outcome
from .model import Kernel, Mode
from .plan import Plan, load_plan
from .records import output_of, sources_among, write_record, write_status
from .responses import expand_responses, join_response
from .tables import default_level

if TYPE_CHECKING:
    from .discovery import Program

# What only the parts of gcc read: their shims in COMPILER_PATH have to see it.
_FOR_PARTS = re.compile(r"--?specs|-B|-wrapper|--prefix|-W[apl],(.*,)?@")
_LINE_LIMIT = 100_000  # bytes; Linux takes 128 KiB in one argument and more in all, a response file takes any


def machine_meant(arguments: Sequence[str], dialect: str, machine: str) -> str:
    """The machine meant by options among *arguments* (``--target=``, ``-m32``), else *machine*."""
    from .discovery import machine_of

    found = machine
    for place, argument in enumerate(arguments):
        following = arguments[place + 1] if place + 1 < len(arguments) else ""
        if argument.startswith("--target=") and dialect != "as":
            found = machine_of(argument.partition("=")[2])
        elif argument in ("-target", "--target") and following and following != "native":
            found = machine_of(following)
        elif argument == "-m32" and found == "x86-64":
            found = "i386"
        elif argument == "-m64" and found == "i386":
            found = "x86-64"
    return found


def _kernel(plan: Plan, arguments: Sequence[str], dialect: str) -> Optional[Kernel]:
    if dialect == "as":
        for argument in arguments:
            note = Path(plan.state, "kernels", os.path.basename(argument))
            if argument.endswith(".s") and note.is_file():
                number = int(note.read_text(encoding="ascii"))
                return plan.kernels[number]
        return None
    exempted = [plan.kernel(source, os.getcwd()) for source in sources_among(arguments)]
    if exempted and all(exempted):
        return exempted[0]
    if any(exempted):
        raise EnforcementError(
            "BB604",
            "one compiler call names sources with and without an exemption",
            where=" ".join(sources_among(arguments)),
            why="A call has one instruction set for all its sources.",
            fix="Compile the exempted sources on their own, or widen the exemption's globs.",
        )
    return None


def _refuse(outcome: Outcome, name: str) -> None:
    if outcome.foreign:
        raise EnforcementError(
            "BB603",
            f"{name} was called with {', '.join(outcome.foreign)}",
            where=os.getcwd(),
            why='enforce = "refuse" stops at the first option that asks for instructions above the promised level.',
            fix='Remove the option where it comes from, or build with enforce = "filter".',
        )


def _note_kernel(plan: Plan, kernel: Kernel, arguments: Sequence[str]) -> None:
    """Tell the assembler's shim that the file written here comes from an exempted source."""
    for place, argument in enumerate(arguments[:-1]):
        if argument == "-o" and arguments[place + 1].endswith(".s"):
            note = Path(plan.state, "kernels", os.path.basename(arguments[place + 1]))
            note.write_text(str(plan.kernels.index(kernel)), encoding="ascii")


def _level(plan: Plan, machine: str, kernel: Optional[Kernel]) -> Optional[str]:
    if kernel is not None and default_level(machine) is not None:
        return kernel.level
    return plan.level(machine)


def rewritten(
    plan: Plan, program: Program, machine: str, arguments: Sequence[str]
) -> Tuple[Outcome, Tuple[str, ...], Optional[Kernel]]:
    """What stays of *arguments* (response files expanded), what is added, and the exemption that holds."""
    kernel = _kernel(plan, arguments, program.dialect)
    level = _level(plan, machine, kernel)
    outcome = filter_arguments(arguments, program.dialect, machine, level)
    if program.dialect == "zig" and not (arguments and arguments[0] in _ZIG_COMPILES):
        return Outcome(tuple(arguments), (), (), ()), (), kernel
    added = additions(
        program.dialect, machine, level, strict=plan.strict, modern=program.modern, atomics=program.atomics
    )
    added += plan.appended(program.dialect, modern=program.modern)
    return outcome, added, kernel


_ZIG_COMPILES = ("cc", "c++", "build-exe", "build-lib", "build-obj", "test", "run", "translate-c")


def _environment(plan: Plan, dialect: str, keep: bool) -> Dict[str, str]:
    environ = dict(os.environ)
    if dialect == "rustc":
        return environ
    given_back = {name: value for name, value in plan.original.items() if name != "COMPILER_PATH"}
    if not keep:
        given_back["COMPILER_PATH"] = plan.search_path()
    for name, value in given_back.items():
        environ.pop(name, None)
        if value is not None:
            environ[name] = value
    shims = str(Path(plan.state, "bin"))
    folders = [folder for folder in environ.get("PATH", os.defpath).split(os.pathsep) if folder != shims]
    environ["PATH"] = os.pathsep.join(folders)
    return environ


def _short_enough(plan: Plan, arguments: List[str], dialect: str) -> List[str]:
    """*arguments*, in a response file where they are many (they came out of one)."""
    if dialect == "zig" or sum(len(os.fsencode(argument)) + 1 for argument in arguments) < _LINE_LIMIT:
        return arguments
    path = Path(plan.state, "responses", str(os.getpid()))
    path.write_bytes(os.fsencode("\n".join(arguments) + "\n" if dialect == "rustc" else join_response(arguments)))
    return [f"@{path}"]


def _caller() -> str:
    try:
        return Path(f"/proc/{os.getppid()}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""  # no /proc here; the origin is then told less exactly


def run(state: str, name: str, machine: str, real: str, launcher: str, given: Sequence[str]) -> int:
    """Filter *given* and become the real program, or give its exit code. Raises EnforcementError where refused."""
    plan = load_plan(state)
    program = plan.programs[name]
    if not real:
        real, machine = _stranger(name)
    if plan.mode is Mode.REPORT:
        added = plan.appended(program.dialect, modern=program.modern)
        write_record(state, name, machine, _caller(), given, (), added, "", refused=False)
        os.execv(real, [real, *given, *added])  # noqa: S606
    arguments = expand_responses(given, os.getcwd()) if program.dialect != "rustc" else _rust_arguments(given)
    if program.dialect == "clang" and (program.configured or any(one.startswith("--config") for one in arguments)):
        arguments = with_configuration(real, arguments, _environment(plan, program.dialect, keep=False))
    machine = machine_meant(arguments, program.dialect, machine)
    try:
        outcome, added, kernel = rewritten(plan, program, machine, arguments)
        if plan.mode is Mode.REFUSE:
            _refuse(outcome, program.title)
    except EnforcementError:
        outcome = filter_arguments(arguments, program.dialect, machine, plan.level(machine))
        write_record(state, name, machine, _caller(), arguments, outcome.removed, (), "", refused=True)
        raise
    reason = kernel.reason if kernel else ""
    linking = _link_options(plan, program, machine, outcome.arguments)
    map_file = linking[0][len(_MAP) :] if linking else ""
    write_record(
        state, name, machine, _caller(), arguments, outcome.removed, added, reason, refused=False, map_file=map_file
    )
    if kernel is not None and program.dialect == "cc1":
        _note_kernel(plan, kernel, arguments)
    keep = any(_FOR_PARTS.match(one) for one in arguments)
    more = quiet(linking, program.modern) if linking and program.dialect == "clang" else linking
    line = [real, *_short_enough(plan, [*outcome.arguments, *added, *more], program.dialect)]
    if launcher:
        line.insert(0, launcher)
    environ = _environment(plan, program.dialect, keep)
    if program.dialect == "as" and plan.strict:
        return _gated(state, line, environ)
    looked_at = bool(linking) and plan.strict
    if not (looked_at or outcome.removed):
        os.execve(line[0], line, environ)  # noqa: S606
    code = subprocess.run(line, env=environ, check=False).returncode
    if code and outcome.removed:
        write_status(state, code)
    if code == 0 and looked_at and os.path.isfile(map_file):
        look = [sys.executable, "-IS", str(Path(__file__).with_name("links.py")), state, map_file]
        code = subprocess.run([*look, output_of(arguments) or "a.out"], check=False).returncode
    return code if code >= 0 else 128 - code


def _gated(state: str, line: List[str], environ: Mapping[str, str]) -> int:
    """Run the assembler; what it refuses is explained (see :mod:`.gate`)."""
    errors = Path(state, "errors", str(os.getpid()))
    with errors.open("wb") as stream:
        code = subprocess.run(line, env=environ, stderr=stream, check=False).returncode
    if code:
        gate = [sys.executable, "-IS", str(Path(__file__).with_name("gate.py")), state, str(errors), str(code)]
        return subprocess.run(gate, check=False).returncode
    sys.stderr.buffer.write(errors.read_bytes())
    return 0


_MAP = "-Wl,-Map="
_NO_LINK = frozenset(("-c", "-S", "-E", "-M", "-MM", "-fsyntax-only", "-r", "-Wl,-r"))


def _link_options(plan: Plan, program: Program, machine: str, arguments: Sequence[str]) -> Tuple[str, ...]:
    """Options for a call that links: write the map, take start files without a marker first."""
    if program.dialect not in ("gcc", "clang") or not sources_among(arguments, everything=True):
        return ()
    if not _NO_LINK.isdisjoint(arguments) or any("-Map" in one or "-cc1" in one for one in arguments):
        return ()
    name = Path(plan.state, "maps", str(os.getpid()))
    while name.exists():
        name = name.with_name(name.name + "+")
    name.touch()
    folder = plan.crt.get(machine)
    return (f"{_MAP}{name}", *((f"-B{folder}",) if folder else ()))


def _stranger(name: str) -> Tuple[str, str]:
    """The real program and the machine behind the part *name* of a gcc that was not on PATH when the build began.

    Raises ToolError BB601 where the gcc cannot be asked, or does not know its own part.
    """
    import shutil

    from .discovery import ask, machine_of

    caller = os.environ.get("COLLECT_GCC", "gcc")
    environ = {key: value for key, value in os.environ.items() if key != "COMPILER_PATH"}
    part = name.split(" ")[-1]
    real = ask([caller, f"-print-prog-name={part}"], environ).strip()
    if not os.path.isabs(real):
        found = shutil.which(real, path=environ.get("PATH"))
        if found is None:
            raise ToolError(
                "BB601",
                f"{caller}, which called it, does not tell where its {part} is",
                where=part,
                why="A compiler that is not on PATH calls it, with the variables cleared or apart from its parts.",
                fix="Call the compiler by its name, or by its path with the variables of the build.",
            )
        real = found
    return real, machine_of(ask([caller, "-dumpmachine"], environ).strip())


def _rust_arguments(given: Sequence[str]) -> List[str]:
    """rustc's own response files: one argument a line, no quoting, not nested."""
    arguments: List[str] = []
    for argument in given:
        if argument.startswith("@") and os.path.isfile(argument[1:]):
            arguments.extend(os.fsdecode(Path(argument[1:]).read_bytes()).splitlines())
        else:
            arguments.append(argument)
    return arguments


def main(words: Sequence[str]) -> int:
    """Entry of the script: 1 when the call is refused, the compiler's exit code where it comes back."""
    state, name, machine, real, launcher, *given = words
    try:
        return run(state, name, machine, real, launcher, given)
    except BaselineBuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
