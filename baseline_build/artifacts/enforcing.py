"""The frame in which project code runs: compilers are held to the promised level, and what happened is told."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Callable, Iterator, Tuple

from ..config.model import Settings
from ..errors import EnforcementError
from ..toolchain import CompileLog, Enforcement, Kernel, Mode, enforce
from ..toolchain.target import crossing
from .losses import raise_with_losses, require_any_compiler
from .reporter import Reporter
from .verifying import promised_levels

if TYPE_CHECKING:
    from .building import Job

_SHOWN = 12


def enforceable() -> bool:
    """Whether compilers can be held to a level here: the shims stand before the compilers of ELF systems."""
    return sys.platform not in {"win32", "darwin"}


def _enforcement(one: Job) -> Enforcement:
    settings = one.settings
    return Enforcement(
        levels=promised_levels(settings.level),
        mode=Mode(settings.enforce),
        strict=settings.strict,
        kernels=tuple(Kernel(kernel.sources, kernel.level, kernel.reason) for kernel in settings.kernels),
        root=one.project_dir,
        append=one.flags,
    )


@contextlib.contextmanager
def held(one: Job) -> Iterator[None]:
    """Hold compilers to the promised level in a hook that builds no wheel.

    Build files are programs: some compile where they are merely read. What they leave in the project's folder would be
    taken for up to date when the wheel is built.
    """
    if not enforceable():
        yield
        return
    folder = one.work_dir / "toolchain"
    folder.mkdir()
    with enforce(_enforcement(one), folder) as session, session.applied():
        yield
        log = session.log()
        if log.calls:
            _tell(log, one.reporter)


@contextlib.contextmanager
def enforced(one: Job) -> Iterator[Callable[[], CompileLog]]:
    """Hold every compiler that is called in the block to the promised level, and tell what was done at its end.

    Gives the function that reads the compile log.
    """
    if not enforceable():
        one.reporter.note(f"on {sys.platform} nothing is enforced, and only ELF files can be verified")
        yield lambda: CompileLog(Mode.REPORT, (), (), ())
        return
    folder = one.work_dir / "toolchain"
    folder.mkdir()
    settings = one.settings
    cplusplus = bool(settings.executables)
    crossed = crossing(one.target, one.work_dir / "target", cplusplus=cplusplus)
    with crossed, enforce(_enforcement(one), folder) as session:
        try:
            with session.applied():
                yield session.log
        except (Exception, SystemExit) as error:
            refusals = session.refusals()
            if refusals:
                raise _refused(refusals, settings) from error
            require_any_compiler(session, error)
            raise_with_losses(session.log(), error)
            raise
        finally:
            _tell(session.log(), one.reporter)


def _refused(refusals: Tuple[str, ...], settings: Settings) -> EnforcementError:
    """The error for instructions that the assembler refused; what the build tools made of it says less."""
    shown = refusals[:_SHOWN]
    more = [f"and {len(refusals) - _SHOWN} more"] if len(refusals) > _SHOWN else []
    return EnforcementError(
        "BB606",
        "instructions above the promised level were refused",
        where=refusals[0].split(": ", 1)[0],
        why="the assembler or the linker met:" + "".join(f"\n    {line}" for line in (*shown, *more)),
        fix="remove the attribute, pragma or inline assembly that makes them"
        + ("; if the code asks the CPU before it runs them, build with strict = false" if settings.strict else ""),
    )


def _tell(log: CompileLog, reporter: Reporter) -> None:
    """One line of the compile log for everybody, every call for those who want detail."""
    reporter.detail(log.details())
    reporter.note(f"compile log: {log.summary()}")
