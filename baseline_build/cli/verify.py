"""``baseline-build verify``: build a project, scan the result; with ``--reproduce`` build twice and compare."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import List, Sequence

from .. import report
from ..errors import EXIT_VIOLATION, ConfigError
from .console import Console
from .options import Arguments as Shared
from .options import Parser

_EPILOG = """\
Unknown options are handed to pip wheel, for instance --no-build-isolation.

The exit status is 1 when the two builds differ, else that of the scan.
"""


class Arguments(Shared):
    """Options of ``verify``."""

    project: str
    reproduce: bool
    no_sdist: bool


def parser() -> Parser:
    """The parser of ``verify``."""
    made = Parser("verify", "Build a project in a copy of its folder and scan the wheel.", epilog=_EPILOG)
    made.add_argument("project", metavar="DIR", nargs="?", default=".", help="default: the current folder")
    made.add_argument(
        "--reproduce", action="store_true", help="build twice, elsewhere and later, and compare the bytes"
    )
    made.add_argument("--no-sdist", action="store_true", help="compare wheels only")
    return made


def main(argv: Sequence[str], console: Console) -> int:
    """Run ``verify`` with *argv*."""
    from .. import reproduce
    from ..scan import ScanOptions, scan_path

    arguments = Arguments()
    _, unknown = parser().split(argv, arguments)
    console.verbosity = arguments.verbose - arguments.quiet
    project = Path(arguments.project)
    if not (project / "pyproject.toml").is_file() and not (project / "setup.py").is_file():
        raise ConfigError(
            "BB252",
            "there is no project: neither pyproject.toml nor setup.py",
            where=str(project),
            fix="name its folder",
        )
    with tempfile.TemporaryDirectory(prefix="baseline-build-") as name:
        scratch = Path(name)
        if arguments.reproduce:
            made, differences = reproduce.build_twice(
                project, scratch, arguments=unknown, sdist=not arguments.no_sdist, report=console.status
            )
        else:
            made, differences = reproduce.build_once(project, scratch, arguments=unknown, report=console.status), ()
        wheels: List[Path] = [path for path in made if path.suffix == ".whl"]
        with console.progress("scanning") as progress:
            answer = scan_path(wheels, ScanOptions(progress=progress))
        answer = replace(answer, inputs=tuple(replace(one, path=Path(one.path).name) for one in answer.inputs))
        for path in made:
            console.result(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    for one in differences:
        place = f"{one.archive}!{one.member}" if one.member else one.archive
        console.problem(f"BB550: {place}: {one.why}")
    if arguments.reproduce and not differences:
        console.status("both builds gave the same bytes")
    console.result(
        report.render(answer, "text", colour=console.colour, width=console.width, whole_words=console.whole_words)
    )
    return EXIT_VIOLATION if differences else report.exit_code(answer)
