"""``baseline-build repair``: scan, auditwheel repair, scan again, then put the wheel into a folder."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import List, Optional, Sequence

from ..errors import BaselineBuildError, ConfigError
from . import inputs
from .console import Console
from .levels import level
from .options import Arguments as Shared
from .options import Parser
from .refusals import refusal

_EPILOG = """\
Options not listed here are handed to "auditwheel repair" as they are; write
their values with an equals sign: --lib-sdir=.libs

A wheel reaches DIR only when it passed: before the repair, and after it with the
libraries that were copied in. Every file that declares more than its code was
proven to need is set right on the way (see --no-fix-marker).
"""


class Arguments(Shared):
    """Options of ``repair``."""

    wheels: List[str]
    wheel_dir: str
    plat: str
    only_plat: bool
    exclude: List[str]
    strip: bool
    fix_marker: bool
    level: Optional[str]
    strict: bool
    project: Optional[str]
    prove: Optional[str]


def parser() -> Parser:
    """The parser of ``repair``."""
    made = Parser("repair", "Scan, hand to auditwheel repair, scan again, put the wheel into DIR.", epilog=_EPILOG)
    made.add_argument("wheels", metavar="WHEEL", nargs="+", help="wheels, or patterns in quotes")
    made.add_argument("-w", "--wheel-dir", metavar="DIR", default="wheelhouse", help="default: wheelhouse")
    made.add_argument("--plat", metavar="TAG", default="auto", help="the platform tag; default: auditwheel chooses")
    made.add_argument("--only-plat", action="store_true", help="keep to that tag even where a higher one would do")
    made.add_argument("--exclude", metavar="LIBRARY", action="append", default=[], help="do not copy it; repeatable")
    made.add_argument("--strip", action="store_true", help="let auditwheel strip symbols")
    fix = made.add_mutually_exclusive_group()
    fix.add_argument("--fix-marker", dest="fix_marker", action="store_true", default=True, help="the default")
    fix.add_argument("--no-fix-marker", dest="fix_marker", action="store_false", help="leave declared levels alone")
    made.add_argument("--project", metavar="DIR", help="take levels, waivers and strict from that pyproject.toml")
    made.add_argument("--level", type=level, metavar="LEVEL", help="the level that is promised; default: the lowest")
    made.add_argument("--strict", action="store_true", help="guarded code fails too")
    made.add_argument("--prove", metavar="COMMAND", help="run it with the repaired wheel on the emulated CPU as well")
    return made


def main(argv: Sequence[str], console: Console) -> int:
    """Run ``repair`` with *argv*; the exit status of the gravest failure, 0 when every wheel passed."""
    arguments = Arguments()
    _, unknown = parser().split(argv, arguments)
    console.verbosity = arguments.verbose - arguments.quiet
    wheels = inputs.expand(arguments.wheels)
    from ..repair import RepairOptions, repair_wheel
    from .scan import project_options

    scanning = project_options(arguments.project, arguments.level, strict=arguments.strict)
    prove = tuple(shlex.split(arguments.prove)) if arguments.prove is not None else None
    if prove == ():
        raise ConfigError("BB250", "--prove needs a command", fix="for instance: --prove \"python -c 'import x'\"")
    failures: List[BaselineBuildError] = []
    for wheel in wheels:
        with console.progress(f"repairing {wheel.name}") as progress:
            options = RepairOptions(
                plat=arguments.plat,
                only_plat=arguments.only_plat,
                exclude=tuple(arguments.exclude),
                strip=arguments.strip,
                fix_marker=arguments.fix_marker,
                arguments=tuple(unknown),
                scan=replace(scanning, progress=progress),
                prove=prove,
            )
            try:
                result = repair_wheel(wheel, Path(arguments.wheel_dir), options, reporter=console)
            except (BaselineBuildError, OSError) as caught:
                error = refusal(caught, str(wheel)) if isinstance(caught, OSError) else caught
                progress.clear()
                console.problem(str(error))
                failures.append(error)
                continue
        for fix in result.markers:
            console.status(f"{fix.file}: declared {fix.declared}, but its code keeps to {fix.proven}: marker set right")
        for file in (file for entry in result.after.inputs for file in entry.files if file.origin):
            console.status(f"{file.path}: {file.verdict.value}, copied from {file.origin}")
        if prove is not None:
            console.status(f"proven: {arguments.prove}")
        for note in result.notes:
            console.status(f"note: {note}")
        console.result(f"{result.wheel}\n")
    return max((failure.exit_code for failure in failures), default=0) if failures else 0
