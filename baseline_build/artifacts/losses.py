"""What a build went without: native parts that did not compile once options were taken off, and compilers not there.

Build files often catch a failing compiler ("optional extension") and go on. A wheel without the native part it has
elsewhere is a loss nobody asked for, and enforcement is its cause where the call failed for want of an option.
"""

from __future__ import annotations

from typing import Optional

from ..errors import BaselineBuildError, EnforcementError, ToolError
from ..scan.model import Report, Verdict
from ..toolchain import CompileLog, Session
from .reporter import Reporter

_SHOWN = 6
# Failures that can come from a compiler that cannot be started: a tool's (BB702) and the wrapped backend's (BB706).
_BY_TOOLS = frozenset(("BB702", "BB706"))


def require_native(report: Report, log: CompileLog, wheel: str, reporter: Reporter) -> None:
    """Raise EnforcementError BB608 where *wheel* lost all its native parts to the enforcement.

    Where it still has some, the calls that failed are told: a configure step may only have tried.
    """
    lost = (*log.failed, *log.refusals)
    if not lost:
        return
    listed = "; ".join(lost[:_SHOWN]) + (f"; and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else "")
    if report.verdict is not Verdict.NOT_APPLICABLE:
        reporter.note(f"warning BB608: failed for want of foreign options, and the build went on: {listed}")
        return
    raise EnforcementError(
        "BB608",
        f"no native code is left in the wheel; what failed to compile: {listed}",
        where=wheel,
        why="These sources use instructions above the promised level. Without the options they do not compile, and the"
        " project's build files go on without them.",
        fix="where other code asks the CPU before it calls them, name them in [[tool.baseline-build.kernels]] with"
        " their level; else switch the part off by the project's own setting, so that its absence is meant",
    )


def without_compiler(session: Session, error: BaseException) -> Optional[ToolError]:
    """The error BB609 where *error*, which ended a build, follows from a missing C compiler; else ``None``."""
    missing = session.missing_compiler()
    if missing is None:
        return None
    if isinstance(error, BaselineBuildError) and error.code not in _BY_TOOLS:
        return None
    if missing not in str(error) and session.has_compiler():
        return None
    others = sorted(name for name in ("gcc", "clang", "cc") if name in session.plan.programs and name != missing)
    return ToolError(
        "BB609",
        f"the C compiler {missing} is not on PATH",
        where="CC" if session.names_compiler() else "the interpreter's own settings",
        why=f"the build failed: {str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}",
        fix=(f"set CC={others[0]} (and CXX), or install it" if others else "install a C and C++ compiler")
        + " (Debian: build-essential, Fedora and AlmaLinux: gcc-c++, Alpine: build-base)",
    )
