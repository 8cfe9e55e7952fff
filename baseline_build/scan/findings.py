"""From judgements to findings: names, bytes, levels, hints."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, List, Optional, Tuple

from ..isa import Isa, Level, isa_of
from .code import Code, strays
from .guard import Judgement
from .model import Finding, Verdict, gravest

SILENT = frozenset(("lzcnt",))
"""Features whose instructions run on every CPU and give another result on old ones (the bytes are ``rep bsr``)."""


def feature_text(isa: Isa, needed: FrozenSet[str], promised: Level) -> str:
    """The features of *needed* that *promised* lacks, without those that others imply, joined by ``+``."""
    return "+".join(sorted(isa.reduced(needed - promised.features)))


def level_text(isa: Isa, needed: FrozenSet[str]) -> Optional[str]:
    """The lowest level that has all of *needed*, or ``None``."""
    level = isa.lowest_level(needed)
    return level.name if level else None


def finding_of(code: Code, judgement: Judgement, promised: Level) -> Finding:
    """The finding that tells *judgement* to people."""
    isa = isa_of(code.image.machine)
    assert isa is not None
    first = judgement.marks[0]
    instruction = code.instruction_at(first.address)
    feature = feature_text(isa, judgement.features, promised)
    silent = judgement.features - promised.features <= SILENT and judgement.verdict is not Verdict.GUARDED
    ground = judgement.ground
    if silent:
        ground = f"an older CPU executes it as another instruction, without a fault and with another result; {ground}"
    return Finding(
        code="BB130" if silent else judgement.code,
        verdict=judgement.verdict,
        feature=feature,
        level=level_text(isa, judgement.features),
        count=len(judgement.marks),
        function=code.image.label(judgement.function),
        address=first.address,
        data=code.bytes_at(first.address, first.length),
        instruction=instruction.mnemonic if instruction else "",
        ground=ground,
        path=judgement.path,
        guard=judgement.guard,
        hint=judgement.hint,
        on_load=judgement.on_load,
    )


def undecoded_findings(code: Code, runs: Iterable[Tuple[int, int]]) -> List[Finding]:
    """One finding for each function with bytes that no known encoding matches and that control may reach."""
    grouped: Dict[str, List[Tuple[int, int]]] = {}
    for address, length in runs:
        grouped.setdefault(code.image.label(address), []).append((address, length))
    return [
        Finding(
            code="BB131",
            verdict=Verdict.UNDECIDED,
            feature="undecoded",
            level=None,
            count=len(found),
            function=name,
            address=found[0][0],
            data=code.bytes_at(found[0][0], min(sum(length for _, length in found), 16)),
            instruction="(bad)",
            ground=f"{sum(length for _, length in found)} bytes of this function match no known instruction",
            hint="Look at them with `objdump -d`; if objdump knows the instruction, baseline-build is too old for it.",
        )
        for name, found in grouped.items()
    ]


def stray_findings(code: Code) -> List[Finding]:
    """One finding for the branches into executable bytes that the section headers call data; none without such."""
    found = strays(code)
    if not found:
        return []
    source, target = found[0]
    step = code.instruction_at(source)
    return [
        Finding(
            code="BB134",
            verdict=Verdict.UNDECIDED,
            feature="hidden",
            level=None,
            count=len(found),
            function=code.image.label(source),
            address=source,
            data=code.bytes_at(source, step.length if step else 4),
            instruction=step.mnemonic if step else "",
            ground=f"control goes on at {target:#x}, in executable bytes that the section headers call data",
            hint="Scan the file as its linker wrote it, or without section headers (`llvm-strip --strip-sections`).",
        )
    ]


_CLEAR_MARK = (
    "The linker took the mark over from an object, often the system's crt1.o; `baseline-build repair` clears it once "
    "the machine code is proven to keep the promise."
)


def declared_finding(declared: str, promised: str, machine: str) -> Finding:
    """The finding for a file that declares a need above the promise."""
    x86 = machine in ("x86-64", "i386")
    return Finding(
        code="BB132",
        verdict=Verdict.VIOLATION,
        feature=declared,
        level=declared,
        count=1,
        function="(declaration)",
        address=0,
        data=b"",
        instruction="",
        ground=f"the file declares that it needs {declared}, {promised} is promised: loaders and auditwheel go by that",
        hint=_CLEAR_MARK if x86 else "Compile every object of the file for the promised level.",
    )


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """The gravest verdict of the findings no waiver covers; ``CLEAN`` without any. A waived one counts as guarded."""
    verdicts = [Verdict.GUARDED if finding.waived_by else finding.verdict for finding in findings]
    return gravest([Verdict.CLEAN, *verdicts])


def ordered(findings: Iterable[Finding]) -> Tuple[Finding, ...]:
    """Gravest first, then by address and feature."""
    rank = {verdict: -position for position, verdict in enumerate(Verdict)}
    return tuple(sorted(findings, key=lambda f: (rank[f.verdict], f.address, f.feature)))
