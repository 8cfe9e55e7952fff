"""One file: bytes -> image -> code -> judgements -> :class:`FileReport`."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Sequence, Tuple

from .. import elf
from ..elf import Image, archive, attributes, lines, marker
from ..elf.reading import Buffer
from ..errors import BrokenInputError
from ..isa import Level, Machine, isa_of
from ..isa.others import declared_baseline
from . import data, findings, guard, maps
from .code import Code, Mark, decode_image
from .model import FileReport, Finding, SourceLine, Verdict
from .options import ScanOptions

SOURCE_LOOKUPS = 40  # findings of one file that get their source line; each costs up to 0.2 s


@dataclass(frozen=True)
class Examined:
    """A file, judged for both cases, since only the whole wheel tells which one holds.

    :param detects: whether the file asks what the CPU can do.
    :param alone: the report when no other file of the wheel asks.
    :param together: the report when another file does; ``None`` when that changes nothing.
    :param soname: the file's own library name, for finding out where a grafted copy came from.
    :param imported: as ``together`` (as ``alone`` when it detects), of an extension module that its package imports in
        any case; ``None`` when that changes nothing.
    """

    detects: bool
    alone: FileReport
    together: Optional[FileReport] = None
    soname: Optional[str] = None
    imported: Optional[FileReport] = None


def examine(content: Buffer, path: str, options: ScanOptions) -> Tuple[Examined, ...]:
    """The ELF file or static archive *content*, called *path* in the report.

    What cannot be read is an undecided report whose note begins with the error's code.
    """
    try:
        if archive.is_archive(content):
            return tuple(_examine_member(member, path, options) for member in archive.members(content, path)) or (
                Examined(False, _empty(path)),
            )
        return (_examine_elf(content, path, options),)
    except BrokenInputError as error:
        return (Examined(False, unreadable(path, error)),)


def unreadable(path: str, error: BrokenInputError) -> FileReport:
    """The report of a file that could not be read; its note begins with the error's code."""
    place = f"{error.where}: " if error.where and error.where != path else ""
    return replace(_empty(path), verdict=Verdict.UNDECIDED, notes=(f"{error.code}: {place}{error.what}",))


def _empty(path: str) -> FileReport:
    return FileReport(path, Machine.OTHER.value, Verdict.NOT_APPLICABLE, None, None, None, 0, 0, {})


def _examine_member(member: archive.Member, path: str, options: ScanOptions) -> Examined:
    name = f"{path}({member.name})"
    if not elf.is_elf(member.data):
        note = f"BB401: this member is no ELF file (it starts with {bytes(member.data[:4]).hex(' ')})"
        return Examined(False, replace(_empty(name), verdict=Verdict.UNDECIDED, notes=(note,)))
    try:
        return _examine_elf(member.data, name, options)
    except BrokenInputError as error:
        return Examined(False, unreadable(name, error))


def _examine_elf(content: Buffer, path: str, options: ScanOptions) -> Examined:
    image = elf.parse(content, path)
    promised = options.promised(image.machine)
    if promised is None or isa_of(image.machine) is None:
        return Examined(False, _undecoded_machine(image, path), soname=image.soname)
    code = decode_image(image)
    known = data.classify(code, promised)
    detects = guard.detects(image, code)
    judgements = _judgements(image, code, known, detected_elsewhere=False)
    alone = _reported(image, code, known, path, promised, judgements)
    together = imported = None
    if known.marks and not detects:
        judgements = _judgements(image, code, known, detected_elsewhere=True)
        together = _reported(image, code, known, path, promised, judgements)
    if known.marks and any(name.startswith("PyInit_") for name in image.exports):
        brought = guard.judge_imported(image, code, judgements)
        if brought != judgements:
            imported = _reported(image, code, known, path, promised, brought)
    return Examined(detects, alone, together, image.soname, imported)


def _judgements(
    image: Image, code: Code, known: data.Classified, *, detected_elsewhere: bool
) -> Tuple[guard.Judgement, ...]:
    if not known.marks:
        return ()
    return guard.judge(image, code, known.marks, detected_elsewhere=detected_elsewhere)


def _undecoded_machine(image: Image, path: str) -> FileReport:
    """A machine without decoder: declared against promised is all there is, and never enough for *clean*."""
    baseline = declared_baseline(image.machine)
    promised = baseline.name if baseline else None
    declared = attributes.declared(image)
    found: Tuple[Finding, ...] = ()
    if promised and declared and attributes.above(image.machine, declared, promised):
        found = (findings.declared_finding(declared, promised, image.machine.value),)
    return FileReport(
        path=path,
        machine=image.machine.value,
        verdict=Verdict.VIOLATION if found else Verdict.UNDECIDED,
        promised=promised,
        declared=declared,
        emitted=None,
        code_bytes=sum(len(region.data) for region in image.regions),
        undecoded_bytes=0,
        features={},
        findings=found,
        notes=(f"the machine code of {image.machine.value} cannot be decoded here; only its declarations were read",),
    )


def _reported(
    image: Image,
    code: Code,
    known: data.Classified,
    path: str,
    promised: Level,
    judgements: Sequence[guard.Judgement],
) -> FileReport:
    found = [findings.finding_of(code, judgement, promised) for judgement in judgements]
    found += findings.undecoded_findings(code, known.undecided)
    found += findings.stray_findings(code)
    declared = marker.needed(image)
    if _exceeds(declared, promised):
        found.append(findings.declared_finding(str(declared), promised.name, image.machine.value))
    notes = list(_notes(image, known, promised))
    ordered, complaint = _with_sources(image, findings.ordered(found))
    if complaint:
        notes.append(complaint)
    verdict = findings.verdict_of(ordered)
    if verdict is Verdict.CLEAN and _hides_code(image):
        verdict = Verdict.UNDECIDED
    return FileReport(
        path=path,
        machine=image.machine.value,
        verdict=verdict,
        promised=promised.name,
        declared=declared,
        emitted=maps.emitted_level(image.machine, known.emitted),
        code_bytes=code.size,
        undecoded_bytes=sum(length for _, length in code.undecoded()),
        features=_counts(image, known.marks, promised),
        findings=ordered,
        notes=tuple(notes),
        maps=maps.code_maps(code, known.ignored),
    )


def _exceeds(declared: Optional[str], promised: Level) -> bool:
    """Whether *declared*, a level of x86-64, is above *promised*; never for another machine's."""
    order = marker.LEVELS
    return declared is not None and promised.name in order and order.index(declared) > order.index(promised.name)


def _hides_code(image: Image) -> bool:
    """An object of link-time optimisation holds the compiler's own form of the code instead of machine code."""
    return image.kind == "object" and _has_bytecode(image) and not any(len(region.data) for region in image.regions)


def _has_bytecode(image: Image) -> bool:
    return any(section.name.startswith((".gnu.lto_", ".llvmbc")) for section in image.sections)


def _notes(image: Image, known: data.Classified, promised: Level) -> List[str]:
    notes: List[str] = []
    former = marker.formerly_needed(image)
    if _exceeds(former, promised):
        notes.append(f"an old kind of note asks for {former}; neither loaders nor auditwheel read it")
    if image.kind == "object" and _has_bytecode(image):
        notes.append(
            "the object holds code for link-time optimisation, which the linker compiles anew: scan the linked file"
        )
    if known.data_bytes:
        notes.append(f"{known.data_bytes} bytes among the code are data no control flow reaches")
    return notes


def _counts(image: Image, marks: Sequence[Mark], promised: Level) -> Dict[str, int]:
    isa = isa_of(image.machine)
    assert isa is not None
    sets = Counter(mark.features for mark in marks)
    counts: Dict[str, int] = {}
    for features, count in sets.items():
        text = findings.feature_text(isa, features, promised)
        counts[text] = counts.get(text, 0) + count
    return dict(sorted(counts.items()))


def _with_sources(image: Image, found: Tuple[Finding, ...]) -> Tuple[Tuple[Finding, ...], Optional[str]]:
    """*found* with source lines where the file has DWARF, and the complaint when its DWARF is damaged."""
    if not found or not lines.available(image):
        return found, None
    located: List[Finding] = []
    try:
        with closing(lines.Lines(image)) as reader:
            for position, finding in enumerate(found):
                line = reader.locate(finding.address) if position < SOURCE_LOOKUPS and finding.address else None
                located.append(
                    replace(finding, source=SourceLine(line.file, line.line, line.flags)) if line else finding
                )
    except BrokenInputError as error:
        return found, f"{error.code}: {error.what}; findings have no source lines"
    return tuple(located), None
