"""``baseline-build mark``: let files declare what their code needs."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional, Sequence

from ..errors import ConfigError
from ..report.answer import rank
from ..scan.model import FileReport, Verdict
from . import inputs
from .console import Console
from .options import Arguments as Shared
from .options import Parser

_EPILOG = """\
A file whose code is above the baseline, and which says nothing of it, dies of
SIGILL on an older CPU. With the note, the loader and auditwheel refuse it with a
clear message. Code that is proven to be behind CPU tests does not count.
"""


class Arguments(Shared):
    """Options of ``mark``."""

    paths: List[str]
    output_dir: str


def parser() -> Parser:
    """The parser of ``mark``."""
    made = Parser("mark", "Write the level that the machine code needs into wheels and ELF files.", epilog=_EPILOG)
    made.add_argument("paths", metavar="PATH", nargs="+", help="wheels or ELF files")
    made.add_argument("-w", "--output-dir", metavar="DIR", required=True, help="where the marked files go")
    return made


def main(argv: Sequence[str], console: Console) -> int:
    """Run ``mark`` with *argv*; 0 when every file declares what it needs."""
    from .. import wheel as archives
    from ..repair import marking
    from ..scan import ScanOptions, scan_path

    arguments = Arguments()
    parser().read(argv, arguments)
    console.verbosity = arguments.verbose - arguments.quiet
    out = Path(arguments.output_dir)
    for path in inputs.expand(arguments.paths):
        if path.is_dir():
            raise ConfigError("BB250", "only wheels and ELF files can be marked", where=str(path), fix="name the files")
        with console.progress(f"scanning {path.name}") as progress:
            found = scan_path(path, ScanOptions(progress=progress))
        needs: Dict[str, str] = {}
        for file in found.inputs[0].files:
            level = needed(file)
            if level is not None and file.machine == "x86-64" and level != file.declared:
                needs[file.path] = level
                console.status(f"{file.path}: declared {file.declared or 'nothing'}, needs {level}: marker set right")
        if not needs:
            console.status(f"{path}: nothing to mark, {found.verdict.value}")
            continue
        out.mkdir(parents=True, exist_ok=True)
        target = out / path.name
        if path.suffix == ".whl":
            with archives.open_wheel(path) as opened:
                changed = {name: marking.declaring(opened.read(name), level, name) for name, level in needs.items()}
            target = archives.repack(path, out, replace=changed)
        else:
            data = marking.declaring(path.read_bytes(), next(iter(needs.values())), str(path))
            temporary = target.with_name(f".{target.name}.part")
            temporary.write_bytes(data)
            temporary.chmod(path.stat().st_mode & 0o777)
            temporary.replace(target)
        console.result(f"{target}\n")
    return 0


def needed(file: FileReport) -> Optional[str]:
    """The level *file* should declare: the highest of its code that is not proven to be behind a CPU test.

    ``None`` where it should declare nothing; what no level has counts as the highest level.
    """
    counted = (Verdict.VIOLATION, Verdict.UNPROVEN)
    open_ones = [f for f in file.findings if f.verdict in counted and not f.waived_by and f.instruction]
    levels = [finding.level or "x86-64-v4" for finding in open_ones]
    if not levels:
        return file.promised if file.declared and file.promised and rank(file.declared) > rank(file.promised) else None
    return max(levels, key=rank)
