"""From marks to judgements: the grounds for ``violation`` first, then the proof, then what remains unproven."""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Sequence, Tuple

from ...elf import Image
from ..code import Code, Mark
from ..model import Verdict
from . import detection
from .model import Judgement

_NO_DETECTION = (
    "nothing in this file, nor in another module or library that comes with it, ever asks what the CPU can do, "
    "so nobody can have tested for {features}"
)
_FIX = "compile it for the promised level, or test the CPU before it is called"
_Group = Tuple[int, FrozenSet[str]]


def judge(
    image: Image, code: Code, marks: Sequence[Mark], *, detected_elsewhere: bool = False
) -> Tuple[Judgement, ...]:
    """Judge *marks*, the instructions of *image* above the promised level.

    :param detected_elsewhere: whether another module or library of the same wheel asks what the CPU can do.
    """
    groups = _grouped(image, marks)
    if not detected_elsewhere and not detection.detects(code):
        return tuple(_undetected(image, group, members) for group, members in groups.items())
    return tuple(_unfollowed(image, group, members) for group, members in groups.items())


def _grouped(image: Image, marks: Sequence[Mark]) -> Dict[_Group, List[Mark]]:
    groups: Dict[_Group, List[Mark]] = {}
    for mark in marks:
        function = image.function_at(mark.address)
        start = function.address if function else mark.address
        groups.setdefault((start, mark.features), []).append(mark)
    return groups


def _undetected(image: Image, group: _Group, marks: Sequence[Mark]) -> Judgement:
    start, features = group
    return Judgement(
        start, features, tuple(marks), Verdict.VIOLATION, "BB101",
        _NO_DETECTION.format(features="+".join(sorted(features))), (image.label(start),), None, _FIX,
    )  # fmt: skip


def _unfollowed(image: Image, group: _Group, marks: Sequence[Mark]) -> Judgement:
    start, features = group
    ground = "the CPU is asked somewhere, but no test could be followed to this function"
    return Judgement(start, features, tuple(marks), Verdict.UNPROVEN, "BB102", ground, (), None, "waive it or run it")
