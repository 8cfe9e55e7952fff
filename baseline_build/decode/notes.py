"""The growing answer of one sweep, whichever machine's."""

from __future__ import annotations

from array import array
from typing import List, Tuple, Union

from .model import Sweep

Bytes = Union[bytes, bytearray, memoryview]
ADDRESSES = 0xFFFFFFFFFFFFFFFF


class Notes:
    """What the engines write down; the arrays are those of :class:`~baseline_build.decode.model.Sweep`.

    Lengths stand in arrays of their own only where a machine's instructions have several.
    """

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
        """Note *length* bytes that are no instruction; joined with those before them where they touch."""
        address &= ADDRESSES
        if self.undecoded and sum(self.undecoded[-1]) & ADDRESSES == address:
            start, before = self.undecoded[-1]
            self.undecoded[-1] = (start, before + length)
        else:
            self.undecoded.append((address, length))

    def told(self, mark_lengths: array[int], branch_lengths: array[int]) -> Sweep:
        """The answer; both arguments are arrays of bytes ('B'), as long as the addresses they belong to."""
        return Sweep(
            self.instructions,
            self.mark_addresses,
            mark_lengths,
            self.mark_requirements,
            self.branch_addresses,
            branch_lengths,
            self.branch_flows,
            self.branch_targets,
            self.reference_addresses,
            self.reference_targets,
            tuple(self.undecoded),
        )
