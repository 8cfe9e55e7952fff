"""From a fresh wheel to one that is portable and proven: scan, ``auditwheel repair``, scan again, pack, hand over.

A wheel reaches the output folder in one step, at the very end, and only when both scans (and the run under the
emulator, where one is asked for) have passed. auditwheel looks at library versions and at a *declared* CPU level that
hardly any toolchain writes; the machine code, that of the libraries it copies in included, is judged here.
"""

from __future__ import annotations

from .flow import repair_wheel
from .model import MarkerFix, RepairOptions, RepairResult

__all__ = ["MarkerFix", "RepairOptions", "RepairResult", "repair_wheel"]
