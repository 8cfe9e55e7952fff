"""What a case of the battery is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Tuple


@dataclass(frozen=True)
class Case:
    """One cell of the table.

    :param project: folder in tests/packages.
    :param flags: replaces ``@FLAGS@``; for sources with their own instruction set the source's name.
    :param compiler: replaces ``@COMPILER@`` (for cmake and cargo see there).
    :param title: told in the table instead of long *flags*.
    :param environ: further variables of the build.
    :param strict: built with the assembler gate.
    :param refused: text the refusal of the enforced build must have; empty where it must succeed and be clean.
    :param tools: programs the case cannot do without.
    :param harmless: the plain build is clean too: the case is about something else (a marker, a working launcher).
    :param unproven: why the scan cannot prove the wheel yet and refuses it; empty where it must succeed.
    :param functions: only functions with this in their name are counted (the language's run-time library dispatches).
    """

    project: str
    flags: str
    compiler: str = "gcc"
    title: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False
    refused: str = ""
    tools: Tuple[str, ...] = ()
    harmless: bool = False
    functions: str = ""
    unproven: str = ""
    generator: str = "Unix Makefiles"

    @property
    def name(self) -> str:
        """Unique among the cases."""
        parts = [self.project, self.compiler if self.compiler != "gcc" else "", self.title or self.flags or "-"]
        parts += [f"{key}={value}" for key, value in self.environ.items()]
        parts += ["strict"] if self.strict else []
        parts += [self.generator] if self.generator != "Unix Makefiles" else []
        return " | ".join(part for part in parts if part)
