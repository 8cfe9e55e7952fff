"""The steps of a repair, in their order."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Callable, Dict, List, Optional, Protocol, Sequence, Tuple, Type

from .. import wheel as archives
from ..elf import marker
from ..errors import BaselineBuildError, ConfigError, UnprovenError, ViolationError
from ..report import answer, exit_code
from ..scan import scan_path
from ..scan.findings import verdict_of
from ..scan.model import FileReport, InputReport, Report, Verdict, gravest
from . import auditwheel, origin
from .model import MarkerFix, RepairOptions, RepairResult
from .proof import prove

DECLARED = "BB132"
"""The code of findings that are about what a file declares, not about its code."""


class Reporter(Protocol):
    """Who is told what is going on; :mod:`baseline_build.artifacts` and the command line have one each."""

    def detail(self, text: str) -> object:
        """A line for those who want to know everything."""


class _Silent:
    def detail(self, text: str) -> None:
        del text


def repair_wheel(
    wheel: Path, out_dir: Path, options: Optional[RepairOptions] = None, *, reporter: Optional[Reporter] = None
) -> RepairResult:
    """Repair *wheel* and put the result into *out_dir*, which is made when it is missing.

    :raises ViolationError: BB520, code above the promised level runs without a test; BB515 from ``prove``.
    :raises UnprovenError: BB521, it could not be proven that it does not.
    :raises ConfigError: BB522, the wheel has no native code; BB523, it is no wheel; BB221, SOURCE_DATE_EPOCH is bad.
    :raises ToolError: BB530 to BB540 from auditwheel, BB525 from ``prove``.
    :raises BrokenInputError: BB4xx, the wheel is damaged.
    """
    options = options or RepairOptions()
    reporter = reporter or _Silent()
    if wheel.suffix != ".whl":
        raise ConfigError("BB523", "only wheels can be repaired", where=str(wheel), fix="name a file that ends in .whl")
    archives.timestamp(os.environ)  # a bad SOURCE_DATE_EPOCH is told before auditwheel stumbles over it
    before = scan_path(wheel, options.scan)
    _gate(before, options, "the wheel")
    out_dir.mkdir(parents=True, exist_ok=True)
    # Beside its destination: the last step must be a rename within one file system.
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=".baseline-build-") as name:
        scratch = Path(name)
        source, fixed = _with_markers_fixed(wheel, before, scratch / "marked", options)
        for fix in fixed:
            reporter.detail(f"{fix.file}: declared {fix.declared}, proven {fix.proven}: marker lowered")
        made, grafts = _hand_off(source, scratch / "repaired", options, reporter.detail)
        after = _named(scan_path(made, options.scan), grafts)
        _gate(after, options, "the repaired wheel")
        # Grafted libraries of a v2 distribution carry the marker too, and the old loader refuses them just the same.
        made, more = _with_markers_fixed(made, after, scratch / "again", options)
        if more:
            after = _named(scan_path(made, options.scan), grafts)
            _gate(after, options, "the repaired wheel")
        (scratch / "packed").mkdir()
        packed = archives.repack(made, scratch / "packed")
        notes: Tuple[str, ...] = ()
        if options.prove is not None:
            notes = prove(packed, options.prove, after, scratch / "proof")
        final = out_dir / packed.name
        packed.replace(final)
    renamed = dataclasses.replace(after, inputs=tuple(dataclasses.replace(e, path=str(final)) for e in after.inputs))
    return RepairResult(final, before, renamed, (*fixed, *more), notes)


def _hand_off(
    wheel: Path, folder: Path, options: RepairOptions, detail: Callable[[str], object]
) -> Tuple[Path, Tuple[auditwheel.Graft, ...]]:
    arguments: List[str] = []
    if options.plat != "auto":
        arguments += ["--plat", options.plat]
    arguments += ["--only-plat"] * options.only_plat + ["--strip"] * options.strip
    for library in options.exclude:
        arguments += ["--exclude", library]
    folder.mkdir()
    return auditwheel.repair(wheel, folder, [*arguments, *options.arguments], detail=detail)


def _with_markers_fixed(
    wheel: Path, report: Report, folder: Path, options: RepairOptions
) -> Tuple[Path, Tuple[MarkerFix, ...]]:
    """*wheel*, or a copy in *folder* in which no file declares more than was promised and proven."""
    fixes = tuple(
        MarkerFix(file.path, file.declared, file.promised)
        for entry in report.inputs
        for file in entry.files
        if file.declared and file.promised and answer.rank(file.declared) > answer.rank(file.promised)
    )
    if not fixes or not options.fix_marker:
        return wheel, ()
    folder.mkdir()
    with archives.open_wheel(wheel) as opened:
        replaced: Dict[str, bytes] = {
            fix.file: marker.cleared(opened.read(fix.file), fix.proven, fix.file) for fix in fixes
        }
    return archives.repack(wheel, folder, replace=replaced), fixes


def _named(report: Report, grafts: Sequence[auditwheel.Graft]) -> Report:
    """*report* with the origin of every grafted library."""
    sources = {graft.name: graft.source for graft in grafts}

    def file(one: FileReport) -> FileReport:
        source = sources.get(one.path.rsplit("/", 1)[-1])
        return dataclasses.replace(one, origin=origin.describe(source)) if source else one

    def entry(one: InputReport) -> InputReport:
        return dataclasses.replace(one, files=tuple(file(f) for f in one.files))

    return dataclasses.replace(report, inputs=tuple(entry(e) for e in report.inputs))


def _about_code(report: Report, options: RepairOptions) -> Report:
    """*report* without findings on declared levels, which will be set right; as it is where they will not."""
    if not options.fix_marker:
        return report

    def file(one: FileReport) -> FileReport:
        left = tuple(finding for finding in one.findings if finding.code != DECLARED)
        if len(left) == len(one.findings):
            return one
        return dataclasses.replace(one, findings=left, verdict=verdict_of(left))

    entries = []
    for entry in report.inputs:
        files = tuple(file(one) for one in entry.files)
        entries.append(dataclasses.replace(entry, files=files, verdict=gravest([one.verdict for one in files])))
    return Report(gravest([entry.verdict for entry in entries]), tuple(entries))


def _gate(whole: Report, options: RepairOptions, what: str) -> None:
    """Raise BB520 or BB521 unless *whole* passes; BB522 when it has no native code."""
    report = _about_code(whole, options)
    if report.verdict is Verdict.NOT_APPLICABLE:
        raise ConfigError(
            "BB522",
            "there is nothing to repair: the wheel has no native code",
            where=Path(report.inputs[0].path).name,
            fix="publish it as it is",
        )
    if exit_code(report, strict=options.scan.strict) == 0:
        return
    entry = next(e for e in report.inputs if e.verdict is report.verdict)
    file = next((f for f in entry.files if f.verdict is report.verdict), None)
    kind = UnprovenError if report.verdict in (Verdict.UNPROVEN, Verdict.UNDECIDED) else ViolationError
    raise _refusal(kind, entry, file, what)


def _refusal(
    kind: Type[BaselineBuildError], entry: InputReport, file: Optional[FileReport], what: str
) -> BaselineBuildError:
    result = answer.answer(entry)
    code = "BB521" if kind is UnprovenError else "BB520"
    sentence = f"{what} did not pass: it {result.heading} {result.need}"
    if result.heading == "unknown":
        sentence = f"{what} did not pass: {result.need}"
    if entry.verdict is Verdict.GUARDED:
        sentence = f"{what} did not pass: strict allows no code above the promised level, and {result}"
    where = Path(entry.path).name
    why = result.reason
    fix = f"see all findings with: baseline-build scan {entry.path}"
    if file is not None:
        where += f"!{file.path}"
        if file.origin:
            why = f"{why}; auditwheel copied this library from {file.origin}"
            fix = (
                "build that library from source for the baseline and link with it, take the package of a distribution "
                "that keeps to the baseline, or leave it out with --exclude"
            )
        elif file.findings and file.findings[0].hint:
            fix = file.findings[0].hint
    return kind(code, sentence, where=where, why=why, fix=fix)
