"""The one exception tree of the project.

Every error that a person can cause or mend is a :class:`BaselineBuildError`. It answers four questions in a fixed
order: *what* happened, *where* (wheel member, function, ``file:line``, setting), *why*, and what to do (*fix*). Each
carries a stable code ``BBnnn`` whose long explanation stands in ``codes/BBnnn.txt`` and is shown by
``baseline-build explain BBnnn``; the class decides the exit code of the command line.

Library code raises; only :mod:`baseline_build.cli` and the build hooks print or exit.
"""

from __future__ import annotations

from typing import ClassVar, Optional

EXIT_CLEAN = 0
EXIT_VIOLATION = 1
EXIT_USAGE = 2
EXIT_UNPROVEN = 3
EXIT_BROKEN_INPUT = 4
EXIT_TOOL = 5
EXIT_INTERNAL = 70


class BaselineBuildError(Exception):
    """Base of all errors with a code and an exit status; never raised as such.

    :param code: stable code, ``BB`` and three digits.
    :param what: one sentence without a final full stop: what happened.
    :param where: the place: a path, a wheel member, a setting, ``file:line``.
    :param why: the usual cause, one or more sentences.
    :param fix: what the reader can do about it.
    """

    exit_code: ClassVar[int] = EXIT_INTERNAL

    def __init__(
        self,
        code: str,
        what: str,
        *,
        where: Optional[str] = None,
        why: Optional[str] = None,
        fix: Optional[str] = None,
    ) -> None:
        super().__init__(code, what)
        self.code = code
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        lines = [f"{self.code}: {place}{self.what}"]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class ViolationError(BaselineBuildError):
    """Machine code above the promised level that is proven to run without a test (BB1nn)."""

    exit_code = EXIT_VIOLATION


class UnprovenError(BaselineBuildError):
    """Code above the level that could not be proven guarded, or bytes that could not be judged (BB1nn)."""

    exit_code = EXIT_UNPROVEN


class ConfigError(BaselineBuildError):
    """A setting, an option or the way of calling is wrong (BB2nn)."""

    exit_code = EXIT_USAGE


class SourceError(BaselineBuildError):
    """A pinned source could not be fetched, verified, unpacked or patched (BB3nn)."""

    exit_code = EXIT_TOOL


class BrokenInputError(BaselineBuildError):
    """An archive or ELF file is damaged, hostile or beyond the limits (BB4nn)."""

    exit_code = EXIT_BROKEN_INPUT


class ToolError(BaselineBuildError):
    """An external program is missing or failed (BB5nn)."""

    exit_code = EXIT_TOOL


class EnforcementError(BaselineBuildError):
    """The compiler call itself was refused: ``enforce = "refuse"`` or the assembler gate (BB6nn)."""

    exit_code = EXIT_VIOLATION


class InternalError(BaselineBuildError):
    """A state that our own code must never reach (BB9nn)."""

    exit_code = EXIT_INTERNAL
