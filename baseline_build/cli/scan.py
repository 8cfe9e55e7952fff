"""``baseline-build scan``: which CPU does this need?"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from .. import report
from ..errors import EXIT_CLEAN, BaselineBuildError
from ..scan.model import InputReport, Report, Verdict, gravest
from . import inputs
from .console import Console
from .levels import level
from .options import Arguments as Shared
from .options import Parser, one_of


class Arguments(Shared):
    """Options of ``scan``."""

    paths: List[str]
    level: Optional[str]
    format: str
    output: Optional[str]
    strict: bool
    exit_zero: bool


def parser() -> Parser:
    """The parser of ``scan``."""
    made = Parser("scan", "Say which CPU a wheel, ELF file or folder needs, from its machine code.")
    made.add_argument("paths", metavar="PATH", nargs="+", help="wheel, ELF file or folder")
    made.add_argument(
        "--level",
        type=level,
        metavar="LEVEL",
        help="the level that is promised; auto, the default: the lowest of the file's machine",
    )
    made.add_argument(
        "--format",
        type=one_of("format", report.FORMATS),
        default="text",
        metavar="FORMAT",
        help=f"one of {', '.join(report.FORMATS)}",
    )
    made.add_argument("-o", "--output", metavar="FILE", help="write the report there instead of to stdout")
    made.add_argument("--strict", action="store_true", help="guarded code fails too")
    made.add_argument("--exit-zero", action="store_true", help="only report: exit 0 whatever the verdict is")
    return made


def main(argv: Sequence[str], console: Console) -> int:
    """Run ``scan`` with *argv*; the exit status."""
    arguments = Arguments()
    parser().read(argv, arguments)
    console.verbosity = arguments.verbose - arguments.quiet
    answer, errors = look(inputs.expand(arguments.paths), arguments, console)
    text = report.render(
        answer,
        arguments.format,
        colour=console.colour and not arguments.output,
        width=console.width,
        verbose=arguments.verbose > 0,
    )
    if arguments.output:
        write(Path(arguments.output), text)
    else:
        console.result(text)
    for error in errors:
        console.problem(str(error))
    if arguments.exit_zero:
        return EXIT_CLEAN
    return errors[0].exit_code if errors else report.exit_code(answer, strict=arguments.strict)


def look(paths: Sequence[Path], arguments: Arguments, console: Console) -> Tuple[Report, List[BaselineBuildError]]:
    """Scan each of *paths* by itself, so that a broken one does not hide what the others hold.

    A path that raised stands in the report as undecided, with its error as a note.
    """
    from ..scan import ScanOptions, scan_path

    entries: List[InputReport] = []
    errors: List[BaselineBuildError] = []
    for path in paths:
        with console.progress(f"scanning {path.name}") as progress:
            options = ScanOptions(level=arguments.level, strict=arguments.strict, progress=progress)
            try:
                entries.extend(scan_path(path, options).inputs)
            except BaselineBuildError as error:
                errors.append(error)
                note = error.what if error.where is None else f"{error.where}: {error.what}"
                entries.append(InputReport(str(path), None, Verdict.UNDECIDED, notes=(f"{error.code}: {note}",)))
    return Report(gravest([entry.verdict for entry in entries]), tuple(entries)), errors


def write(path: Path, text: str) -> None:
    """Write *text* to *path* in one step: a reader never sees half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
