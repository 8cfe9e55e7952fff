"""``baseline-build scan``: which CPU does this need?"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

from .. import report
from ..errors import EXIT_CLEAN, BaselineBuildError, ConfigError, ViolationError
from ..scan.model import InputReport, Report, Verdict, gravest
from ..scan.options import ScanOptions
from . import inputs
from .config import project_folder
from .console import Console
from .levels import level
from .options import Arguments as Shared
from .options import Parser, one_of
from .refusals import refusal, unwritable

_EPILOG = """\
PATH is a wheel, an ELF file, a static archive, a folder (one with wheels in it
stands for these and the ELF files beside them), a pattern in quotes, - for a
file on stdin, or a requirement with a version, which is fetched from the
package index: 'numpy==2.4.6'
"""


_STRICT = ViolationError(
    "BB260",
    "strict allows no code above the promised level, not even behind CPU tests",
    fix="leave --strict out (strict = false in pyproject.toml) for packages that choose code at run time",
)


class Arguments(Shared):
    """Options of ``scan``."""

    paths: List[str]
    installed: List[str]
    platform: Optional[str]
    project: Optional[str]
    level: Optional[str]
    format: str
    output: Optional[str]
    strict: bool
    exit_zero: bool


def parser() -> Parser:
    """The parser of ``scan``."""
    made = Parser("scan", "Say which CPU a wheel, ELF file or folder needs, from its machine code.", epilog=_EPILOG)
    made.add_argument("paths", metavar="PATH", nargs="*", help="what to scan, see below")
    made.add_argument("--installed", metavar="NAME", action="append", default=[], help="an installed distribution")
    made.add_argument("--platform", metavar="TAG", help="fetch requirements for this platform, not for this machine")
    made.add_argument("--project", metavar="DIR", help="take levels, waivers and strict from that pyproject.toml")
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
    if not arguments.paths and not arguments.installed:
        raise ConfigError("BB250", "there is nothing to scan", fix="name a wheel, an ELF file or a folder: scan PATH")
    options = project_options(arguments.project, arguments.level, strict=arguments.strict)
    _check_target(arguments.output)
    with inputs.gathered(arguments.paths, arguments.platform) as named:
        answer, errors = _look(named, arguments.installed, options, console)
    shown = answer
    if errors and arguments.format == "text":
        # Errors are told once, on stderr; the other formats are read by machines and must not lose an input.
        shown = replace(answer, inputs=tuple(entry for entry in answer.inputs if not _failed(entry)))
    text = report.render(
        shown,
        arguments.format,
        colour=console.colour and not arguments.output,
        width=console.width,
        verbose=arguments.verbose > 0,
        whole_words=console.whole_words or bool(arguments.output),
    )
    if arguments.output:
        write(Path(arguments.output), text)
    elif shown.inputs:
        console.result(text)
    if arguments.format == "github":
        _summarise(answer)
    for error in errors:
        console.problem(str(error))
    if options.strict and answer.verdict is Verdict.GUARDED:
        console.problem(str(_STRICT))
    if arguments.exit_zero:
        return EXIT_CLEAN
    # What is proven wrong weighs more than what could not be looked at.
    status = report.exit_code(answer, strict=options.strict)
    return errors[0].exit_code if errors and answer.verdict is not Verdict.VIOLATION else status


def _check_target(output: Optional[str]) -> None:
    """Say what is wrong with ``-o`` before the work begins. Raises ConfigError BB250, BB259."""
    if output is None:
        return
    if not output:
        raise ConfigError(
            "BB250", "-o has no file name behind it", fix="write: -o FILE, or check the variable it is in"
        )
    if Path(output).is_dir():
        raise ConfigError("BB259", "this is a folder, not a file", where=output, fix=f"write: -o {output}/report.html")
    if not Path(output).absolute().parent.is_dir():
        raise ConfigError(
            "BB259", "the folder for the report does not exist", where=output, fix="make it, or correct -o"
        )


def project_options(project: Optional[str], level: Optional[str], *, strict: bool) -> ScanOptions:
    """A scan's options: those of *project*, where one is named, with what the command line says on top."""
    options = ScanOptions()
    if project is not None:
        from ..artifacts.verifying import scan_options
        from ..config import read

        options = scan_options(read(project_folder(project)))
    if level is not None:
        options = replace(options, level=level, levels={})
    return replace(options, strict=options.strict or strict)


def _look(
    named: Sequence[inputs.Named], installed: Sequence[str], options: ScanOptions, console: Console
) -> Tuple[Report, List[BaselineBuildError]]:
    """Scan each input by itself, so that a broken one does not hide what the others hold.

    With waivers they are scanned together: any of them may use one, and one that none uses is an error.
    What raised stands in the report as undecided, with its error as a note.
    """
    from ..scan import scan_installed, scan_path

    if options.waivers and not installed:
        with console.progress("scanning") as progress:
            return scan_path([one.path for one in named], replace(options, progress=progress)), []
    tasks: List[Tuple[str, Callable[[ScanOptions], Report]]] = [
        *((one.title or str(one.path), partial(scan_path, one.path)) for one in named),
        *((name, partial(scan_installed, name)) for name in installed),
    ]
    places = {one.title: str(one.path) for one in named if one.title}
    entries: List[InputReport] = []
    errors: List[BaselineBuildError] = []
    for title, task in tasks:
        with console.progress(f"scanning {title}") as progress:
            try:
                found = task(replace(options, progress=progress)).inputs
            except (BaselineBuildError, OSError) as caught:
                error = refusal(caught, title) if isinstance(caught, OSError) else caught
                place = places.get(title)
                if place is not None and error.where:
                    error.where = error.where.replace(place, title)
                errors.append(error)
                note = error.what if error.where is None else f"{error.where}: {error.what}"
                entries.append(InputReport(title, None, Verdict.UNDECIDED, notes=(f"{error.code}: {note}",)))
            else:
                entries.extend(replace(entry, path=title) if title not in installed else entry for entry in found)
    return Report(gravest([entry.verdict for entry in entries]), tuple(entries)), errors


def _failed(entry: InputReport) -> bool:
    return not entry.files and entry.sha256 is None and any(note.startswith("BB") for note in entry.notes)


def write(path: Path, text: str) -> None:
    """Write *text* to *path* in one step: a reader never sees half of it. Raises ConfigError BB259, ToolError BB481."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            # File names need not be UTF-8; what is not is written as \\udcff and the like, as on a terminal.
            with open(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(text)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise unwritable(error, path) from error


def _summarise(answer: Report) -> None:
    """Append the Markdown report to the step summary of GitHub Actions, where we run in one."""
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place:
        with open(place, "a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(report.render(answer, "markdown"))
