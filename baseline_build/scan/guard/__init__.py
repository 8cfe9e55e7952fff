"""Guard analysis: is code above the promised level only reached behind a test of the CPU?

* ``detects(image, code)``: does anything in this file ask what the CPU can do;
* ``judge(image, code, marks, detected_elsewhere=…)``: one :class:`Judgement` for each function and set of features;
* ``judge_imported(image, code, judgements)``: the same, of an extension module that its package imports in any case.
"""

from __future__ import annotations

from ...elf import Image
from ..code import Code
from . import detection
from .judging import judge, judge_imported
from .model import Judgement

__all__ = ["Judgement", "detects", "judge", "judge_imported"]


def detects(image: Image, code: Code) -> bool:
    """Whether anything in *image* asks what the CPU can do (so that some test may exist)."""
    del image
    return detection.detects(code)
