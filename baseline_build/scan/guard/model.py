"""What the guard analysis tells of one function: :class:`Judgement`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import FrozenSet, Optional, Tuple

from ..code import Mark
from ..model import Verdict


@dataclass(frozen=True)
class Judgement:
    """The verdict on the instructions of one function that need one set of features.

    :param function: address of the function.
    :param features: what they need, closed as the decoder says it.
    :param marks: the instructions.
    :param verdict: ``GUARDED``, ``UNPROVEN`` or ``VIOLATION``.
    :param code: BBnnn.
    :param ground: one sentence: why this verdict; for ``UNPROVEN`` what could not be followed.
    :param path: from an entry point to the function, outermost first; empty when no way was found.
    :param guard: the test that guards it: function, address and feature; ``None`` without one.
    :param hint: what to do.
    :param on_load: whether the code runs when the file is loaded, whoever uses it (no waiver covers that).
    """

    function: int
    features: FrozenSet[str]
    marks: Tuple[Mark, ...]
    verdict: Verdict
    code: str
    ground: str
    path: Tuple[str, ...] = ()
    guard: Optional[str] = None
    hint: str = ""
    on_load: bool = False
