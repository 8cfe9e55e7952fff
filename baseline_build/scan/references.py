"""What instructions do with the addresses they name: load from them, or only form them.

A place that is loaded from is data, whatever it would decode to: literal pools of ARM64, tables that x86 code reads
through the instruction pointer. A place whose address is formed (``lea``, ``adr``) may be a function.
"""

from __future__ import annotations

from typing import Callable, FrozenSet, List, Set, Tuple

from ..isa import Machine
from .code import Code

_FORMS: FrozenSet[str] = frozenset(("lea", "adr", "adrp", "add", "mov", "push"))
_LITERAL = 0x18000000  # ARM64: load (literal), Arm ARM C4.1, "Load register (literal)"


class References:
    """The references of functions of known extent into the bytes that no function is known to own.

    :param pointers: addresses that are formed.
    :param loaded: first bytes of what is loaded, with the size that is certain.
    """

    def __init__(self, code: Code, owned: Callable[[int], bool]) -> None:
        self.pointers: Set[int] = set()
        self.loaded: List[Tuple[int, int]] = []
        for region, sweep in code.sweeps:
            low, high = region.address, region.end
            pairs = zip(sweep.reference_addresses, sweep.reference_targets)
            for source, target in [(s, t) for s, t in pairs if low <= t < high]:
                if owned(target) or not owned(source):
                    continue
                size = loaded_size(code, source)
                if size:
                    self.loaded.append((target, target + size))
                else:
                    self.pointers.add(target)
        self.loaded.sort()


def loaded_size(code: Code, source: int) -> int:
    """How many bytes the instruction at *source* certainly loads from the address it names; 0 when it only forms it.

    On i386 ``mov`` and ``push`` may carry an address as an immediate, so they count as forming it there.
    """
    step = code.instruction_at(source)
    if step is None:
        return 0
    if code.image.machine is Machine.AARCH64:
        word = int.from_bytes(code.bytes_at(source, 4), "little")
        if word & 0x3B000000 == _LITERAL:
            return (4, 8, 16 if word & 1 << 26 else 4, 0)[word >> 30]
        return 4 if step.mnemonic.startswith(("ldr", "ldp", "ldur")) else 0
    if step.mnemonic in _FORMS and not (step.mnemonic == "mov" and code.image.machine is Machine.X86_64):
        return 0
    return 0 if step.mnemonic.startswith(("prefetch", "nop", "call", "jmp")) else 4
