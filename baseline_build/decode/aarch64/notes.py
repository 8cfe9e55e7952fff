"""The growing answer of one sweep."""

from __future__ import annotations

from array import array
from typing import List, Tuple, Union

from ..model import Sweep

Bytes = Union[bytes, bytearray, memoryview]


class Notes:
    """What the engines write down; the arrays are those of :class:`~baseline_build.decode.model.Sweep`."""

    def __init__(self) -> None:
        self.instructions = 0
        self.mark_addresses = array("Q")
        self.mark_requirements = array("H")
        self.branch_addresses = array("Q")
        self.branch_flows = array("B")
        self.branch_targets = array("Q")
        self.reference_addresses = array("Q")
        self.reference_targets = array("Q")
        self.undecoded: List[Tuple[int, int]] = []

    def skip(self, address: int, length: int) -> None:
        """Note *length* bytes that are no instruction."""
        if self.undecoded and sum(self.undecoded[-1]) == address:
            start, before = self.undecoded[-1]
            self.undecoded[-1] = (start, before + length)
        else:
            self.undecoded.append((address, length))

    def sweep(self) -> Sweep:
        """The answer."""
        return Sweep(
            self.instructions,
            self.mark_addresses,
            array("B", b"\4" * len(self.mark_addresses)),
            self.mark_requirements,
            self.branch_addresses,
            array("B", b"\4" * len(self.branch_addresses)),
            self.branch_flows,
            self.branch_targets,
            self.reference_addresses,
            self.reference_targets,
            tuple(self.undecoded),
        )
