"""What a build went without: native parts that did not compile once options were taken off, and compilers.

Build files often catch a failing compiler ("optional extension") and go on. A wheel without the native part it has
elsewhere is a loss nobody asked for, and enforcement is its cause where the call failed for want of an option.
"""

from __future__ import annotations

import sysconfig
from typing import Sequence

from ..errors import BaselineBuildError, EnforcementError
from ..scan.model import Report, Verdict
from ..toolchain import CompileLog, Session
from .programs import require_compiler
from .reporter import Reporter

_SHOWN = 6
_FIX = (
    "where other code asks the CPU before it calls them, name them in [[tool.baseline-build.kernels]] with their level;"
    " else switch the part off by the project's own setting"
)
# Failures that can come from a compiler that cannot be started: a tool's (BB702) and the wrapped backend's (BB706).
_BY_TOOLS = frozenset(("BB702", "BB706"))


def require_native(report: Report, log: CompileLog, wheel: str, reporter: Reporter) -> None:
    """Raise EnforcementError BB608 where *wheel* lost all its native parts to the enforcement.

    Where it still has some, the calls that failed are told: a configure step may only have tried.
    """
    lost = (*log.failed, *log.refusals)
    if not lost:
        return
    listed = _listed(lost)
    if report.verdict is not Verdict.NOT_APPLICABLE:
        reporter.note(f"warning BB608: failed for want of foreign options, and the build went on: {listed}")
        return
    raise EnforcementError(
        "BB608",
        f"no native code is left in the wheel; what failed to compile: {listed}",
        where=wheel,
        why="These sources use instructions above the promised level. Without the options they do not compile, and the"
        " project's build files go on without them.",
        fix=f"{_FIX}, so that its absence is meant",
    )


def raise_with_losses(log: CompileLog, error: BaseException) -> None:
    """Raise EnforcementError BB609 where *error*, which ended a build by some tool, comes after calls failed for want
    of options: what the build tools made of that tells nobody the reason."""
    by_tool = not isinstance(error, BaselineBuildError) or error.code in _BY_TOOLS
    if log.failed and by_tool:
        raise EnforcementError(
            "BB609",
            f"the build failed where options had been taken off: {_listed(log.failed)}",
            where=_first_line(error),
            why="These sources use instructions above the promised level. Without the options they do not compile;"
            " if they fail for another reason, the compiler's words above tell it.",
            fix=_FIX,
        ) from error


def _listed(lost: Sequence[str]) -> str:
    return "; ".join(lost[:_SHOWN]) + (f"; and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else "")


def _first_line(error: BaseException) -> str:
    text = f"{error.where}: {error.what}" if isinstance(error, BaselineBuildError) else str(error)
    return text.partition("\n")[0]


def require_any_compiler(session: Session, error: BaseException) -> None:
    """Raise ToolError BB705 where *error*, which ended a build by some tool, comes without any compiler on PATH."""
    by_tool = not isinstance(error, BaselineBuildError) or error.code in _BY_TOOLS
    if by_tool and not session.has_compiler():
        require_compiler("the build", sysconfig.get_config_var("CC"))
