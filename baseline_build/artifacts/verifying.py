"""The scan inside a build: a wheel that does not keep its promise becomes one error that says all that is known."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ..config.model import Levels, Settings
from ..errors import BaselineBuildError, UnprovenError, ViolationError
from ..isa import Machine
from ..scan.model import FileReport, Finding, Report, Verdict, gravest
from ..scan.options import ScanOptions, Waiver
from ..toolchain import CompileLog, Mode
from .reporter import Reporter

_SHOWN = 12
_NOT_ELF = "BB133"  # the scan's note on a Mach-O or PE file


def promised_levels(levels: Levels) -> Mapping[str, str]:
    """The promised levels by the machine names that scan and toolchain use."""
    return {
        Machine.X86_64.value: levels.x86_64,
        Machine.I386.value: levels.i686,
        Machine.AARCH64.value: levels.aarch64,
    }


def scan_options(settings: Settings) -> ScanOptions:
    """The options of a scan that holds a wheel to *settings*."""
    return ScanOptions(
        levels=promised_levels(settings.level), strict=settings.strict, waivers=_waivers(settings), jobs=settings.jobs
    )


def _waivers(settings: Settings) -> Tuple[Waiver, ...]:
    return tuple(Waiver(one.file, one.function, one.features, one.reason) for one in settings.waivers)


def waived_names(path: Path, member: str, settings: Settings) -> Tuple[str, ...]:
    """The functions of the ELF file at *path*, *member* of a wheel, that waivers of *settings* name.

    :raises BrokenInputError: BB4xx, the file is damaged.
    """
    if not settings.waivers:
        return ()
    from .. import elf
    from ..scan import waivers

    image = elf.parse(path.read_bytes(), member)
    return waivers.named((one.name for one in image.functions if one.name), member, _waivers(settings))


def verify(final: Path, unstripped: Path, settings: Settings, reporter: Reporter, log: CompileLog) -> Report:
    """Scan the bytes that would be shipped; where they fail, the same wheel with its symbols for names and lines.

    Code that is proven guarded with its symbols and is not provable without them counts as proven: stripping takes
    nothing from the code.

    :param log: what was compiled and linked, to name the archive that brought a function in.
    :raises ViolationError: code above the promise runs without a test, or is above it at all with ``strict``.
    :raises UnprovenError: code above the promise could not be proven guarded, or bytes could not be judged.
    """
    from ..scan import scan_path

    options = scan_options(settings)
    report = scan_path(final, options)
    for file in _files(report):
        reporter.detail(f"{file.path}: {file.verdict.value}, promised {file.promised}, emitted {file.emitted}")
    if fails(report, settings):
        report = merged(report, scan_path(unstripped, options))
    if fails(report, settings):
        raise error_of(report, settings, final.name, log)
    return report


def fails(report: Report, settings: Settings) -> bool:
    """Whether the gate stays closed for *report*."""
    return any(_file_fails(file, settings) for file in _files(report)) or (
        not _files(report) and report.verdict not in {Verdict.CLEAN, Verdict.NOT_APPLICABLE}
    )


def _file_fails(file: FileReport, settings: Settings) -> bool:
    if file.verdict is Verdict.GUARDED:
        return settings.strict
    if file.verdict is Verdict.UNDECIDED and settings.unverifiable == "accept":
        return not file.notes or not all(note.startswith(_NOT_ELF) for note in file.notes)
    return file.verdict not in {Verdict.CLEAN, Verdict.NOT_APPLICABLE}


def merged(final: Report, unstripped: Report) -> Report:
    """The report of the final files, each with the names, lines and proofs its unstripped twin gives."""
    import dataclasses

    twins = {file.path: file for file in _files(unstripped)}
    inputs = []
    for one in final.inputs:
        files = tuple(_better(file, twins.get(file.path)) for file in one.files)
        inputs.append(dataclasses.replace(one, files=files, verdict=gravest([file.verdict for file in files])))
    return Report(gravest([one.verdict for one in inputs]), tuple(inputs))


def _better(final: FileReport, twin: Optional[FileReport]) -> FileReport:
    """What the twin says where it is about the same code; the final file's report where it is not."""
    if twin is None or twin.code_bytes != final.code_bytes or twin.features != final.features:
        return final
    if final.verdict is Verdict.VIOLATION and twin.verdict is not Verdict.VIOLATION:
        return final  # a ground was proven in the bytes that are shipped
    return twin


def error_of(report: Report, settings: Settings, wheel: str, log: CompileLog) -> BaselineBuildError:
    """The error for a *report* that fails the gate: every finding that counts, gravest file first."""
    failing = [file for file in _files(report) if _file_fails(file, settings)]
    files = sorted(failing, key=lambda file: file.verdict is not Verdict.VIOLATION)
    lines: List[str] = []
    hints: Dict[str, None] = {}
    counted = [(file, finding) for file in files for finding in file.findings if _counts(finding, settings)]
    for file, finding in counted[:_SHOWN]:
        lines.append(_sentence(file, finding, _archives_of(finding, log)))
        hints[finding.hint] = None
    if len(counted) > _SHOWN:
        lines.append(f"and {len(counted) - _SHOWN} more findings")
    unread = [file for file in files if not file.findings]
    lines += [f"{file.path}: {note}" for file in unread for note in file.notes or (file.verdict.value,)]
    violated = any(file.verdict in {Verdict.VIOLATION, Verdict.GUARDED} for file in files)
    kind = ViolationError if violated else UnprovenError
    code = counted[0][1].code if counted else "BB730"
    promised = ", ".join(sorted({str(file.promised) for file in files}))
    return kind(
        code,
        f"the wheel does not keep its promise of {promised or 'the baseline'}",
        where=wheel,
        why="the scan found:" + "".join(f"\n    {line}" for line in lines) + _way_in(counted, log),
        fix=" ".join(hint for hint in hints if hint)
        or "compile without the option or attribute that allows these instructions; `baseline-build scan` shows more",
    )


def _way_in(counted: Sequence[Tuple[FileReport, Finding]], log: CompileLog) -> str:
    """How code above the level can have come in, where no option can have brought it."""
    if not counted or log.mode is not Mode.FILTER:
        return ""
    return (
        f"\n    Options were filtered on {len(log.calls)} compiler calls. So this code is asked for in the source"
        " (attribute, pragma, intrinsics, assembly), or was compiled where no shim stands, or before this build"
        " (a stale object, a prebuilt library)."
    )


def _counts(finding: Finding, settings: Settings) -> bool:
    harmless = {Verdict.CLEAN, Verdict.NOT_APPLICABLE} | (set() if settings.strict else {Verdict.GUARDED})
    return finding.waived_by is None and finding.verdict not in harmless


def _archives_of(finding: Finding, log: CompileLog) -> Tuple[str, ...]:
    """The members of static archives that brought the finding's function into the link."""
    return tuple(
        member.name for member in log.members if any(name == finding.function for name, _, _ in member.functions)
    )


def _sentence(file: FileReport, finding: Finding, archives: Tuple[str, ...]) -> str:
    needs = f"needs {finding.feature}" + (f" ({finding.level})" if finding.level else "")
    place = f" at {finding.source.file}:{finding.source.line}" if finding.source else ""
    times = f", {finding.count} times" if finding.count > 1 else ""
    text = f"{file.path}: {finding.function}{place}: {finding.instruction} [{finding.data.hex()}] {needs}{times}"
    details = [f"{finding.verdict.value}: {finding.ground}" if finding.ground else finding.verdict.value]
    if finding.path:
        details.append("reached by " + " > ".join(finding.path))
    details += [f"came in with {name}" for name in archives]
    if finding.source and finding.source.flags:
        details.append(f"compiled with {finding.source.flags}")
    return text + "".join(f"\n        {detail}" for detail in details)


def _files(report: Report) -> Tuple[FileReport, ...]:
    return tuple(file for one in report.inputs for file in one.files)
