"""``baseline-build explain``: what a code means, or what stands at an address and why it was judged so."""

from __future__ import annotations

import re
import textwrap
import zipfile
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from ..errors import ConfigError
from ..report import codes
from ..scan.model import Finding
from .console import Console
from .disassembly import listing
from .options import Arguments as Shared
from .options import Parser, nearest

_PLACE = re.compile(r"^(?P<file>.+?)(?:!(?P<member>.+?))?\+(?P<address>0[xX][0-9a-fA-F]+)$")

_READABLE = 100  # columns of a text that is read from beginning to end, however wide the terminal is

_EPILOG = """\
examples:
  baseline-build explain BB101
  baseline-build explain build/_x.so+0x1234
  baseline-build explain 'dist/x-1.0-cp311-cp311-linux_x86_64.whl!pkg/_x.so+0x1234'
"""


class Arguments(Shared):
    """Options of ``explain``."""

    subjects: List[str]


def parser() -> Parser:
    """The parser of ``explain``."""
    made = Parser("explain", "Say what a code means, or what the machine code at an address needs.", epilog=_EPILOG)
    made.add_argument("subjects", metavar="CODE|FILE[!MEMBER]+0xADDRESS", nargs="*", help="none: list all codes")
    return made


def main(argv: Sequence[str], console: Console) -> int:
    """Run ``explain`` with *argv*."""
    arguments = Arguments()
    parser().read(argv, arguments)
    console.verbosity = arguments.verbose - arguments.quiet
    if not arguments.subjects:
        for code in codes.known():
            told = codes.explanation(code)
            console.result(f"{code}  {told.title if told else ''}\n")
        return 0
    texts = [
        _code(one, min(console.width, _READABLE)) if re.fullmatch(r"[bB][bB]\d+", one) else _address(one, console)
        for one in arguments.subjects
    ]
    console.result("\n".join(texts))
    return 0


def _code(name: str, width: int) -> str:
    told = codes.explanation(name.upper())
    if told is None:
        raise ConfigError("BB257", f"there is no code {name.upper()}", fix="list all codes: baseline-build explain")
    texts = [
        block if block.startswith(" ") else textwrap.fill(block, width, break_long_words=False, break_on_hyphens=False)
        for block in told.blocks
    ]
    return "\n\n".join([f"{told.code}: {told.title}", *texts]) + "\n"


def _address(subject: str, console: Console) -> str:
    """What stands at an address of a file, and how the scan judged its function."""
    from .. import elf
    from ..isa import baseline_of, isa_of
    from ..scan import ScanOptions, scan_path
    from ..scan.code import decode_image

    path, member, address = _parts(subject)
    data = _read(path, member)
    image = elf.parse(data, member or str(path))
    code = decode_image(image)
    instruction = code.instruction_at(address)
    if instruction is None:
        regions = ", ".join(f"{region.address:#x} to {region.end:#x}" for region in image.regions)
        raise ConfigError(
            "BB258", f"there is no code at {address:#x}", where=subject, fix=f"code stands at {regions or 'no address'}"
        )
    isa = isa_of(image.machine)
    baseline = baseline_of(image.machine)
    above = instruction.features - (baseline.features if baseline else frozenset())
    features = isa.reduced(above) if isa else above
    level = isa.lowest_level(above) if isa and above else None
    needs = "+".join(sorted(features)) or "nothing above the machine's lowest level"
    rows = [
        ("place", subject),
        ("function", image.label(address)),
        ("instruction", f"{instruction.mnemonic}, bytes {code.bytes_at(address, instruction.length).hex(' ')}"),
        ("needs", needs + (f" ({level.name}: {level.cpus})" if level else "")),
    ]
    with console.progress(f"scanning {path.name}") as progress:
        found = scan_path(path, ScanOptions(progress=progress))
    name = member or found.inputs[0].files[0].path
    matching = [
        finding
        for file in found.inputs[0].files
        if file.path == name
        for finding in file.findings
        if finding.function == image.label(address)
        and (not features or finding.feature in needs or needs in finding.feature)
    ]
    for finding in matching[:1]:
        rows += _judgement(finding)
    width = max(len(label) for label, _ in rows)
    told = "\n".join(f"{label:<{width}}  {text}" for label, text in rows)
    return f"{told}\n\n{listing(image, code, address)}"


def _judgement(finding: Finding) -> List[Tuple[str, str]]:
    rows = [("verdict", f"{finding.code} {finding.verdict.value}")]
    if finding.source:
        flags = f", compiled with {finding.source.flags}" if finding.source.flags else ""
        rows.append(("source", f"{finding.source.file}:{finding.source.line}{flags}"))
    if len(finding.path) > 1:
        rows.append(("way", " -> ".join(finding.path)))
    texts = (("guard", finding.guard), ("why", finding.ground), ("fix", finding.hint))
    return rows + [(label, text) for label, text in texts if text]


def _parts(subject: str) -> Tuple[Path, Optional[str], int]:
    match = _PLACE.match(subject)
    if match is None:
        raise ConfigError(
            "BB257",
            f"{subject!r} is neither a code nor an address in a file",
            fix="write BB101, or FILE+0x1234, or WHEEL!MEMBER+0x1234",
        )
    path = Path(match["file"])
    if not path.is_file():
        raise ConfigError(
            "BB252", "there is no such file or folder", where=str(path), fix="check the spelling of the path"
        )
    return path, match["member"], int(match["address"], 16)


def _read(path: Path, member: Optional[str]) -> bytes:
    from ..wheel import open_wheel

    if member is None:
        if zipfile.is_zipfile(path):
            raise ConfigError(
                "BB257",
                "this is a wheel: which of its files is meant?",
                where=str(path),
                fix="write WHEEL!MEMBER+0x1234",
            )
        return path.read_bytes()
    with open_wheel(path) as wheel:
        if member not in wheel:
            names = [one.name for one in wheel.members]
            near = nearest(member, names)
            raise ConfigError(
                "BB257",
                f"{path.name} has no file {member}",
                fix=f"did you mean {near}?" if near else f"unzip -l {path}",
            )
        return wheel.read(member)
