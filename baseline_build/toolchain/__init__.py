"""The build's compilers, kept to the promised level.

::

    with toolchain.enforce(Enforcement(strict=True), work_dir) as session:
        with session.applied():          # or pass session.environ to sub-processes
            build()
        log = session.log()

See :mod:`.shims` for how, :mod:`.model` for the facts that go in and come out.
"""

from __future__ import annotations

from .model import ArchiveMember, Call, CompileLog, Enforcement, Kernel, Mode, Origin, Removal
from .session import Session, enforce

__all__ = [
    "ArchiveMember",
    "Call",
    "CompileLog",
    "Enforcement",
    "Kernel",
    "Mode",
    "Origin",
    "Removal",
    "Session",
    "enforce",
]
