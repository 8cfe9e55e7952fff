"""Machine code around an address, as lines for people; operands come from capstone where it is installed."""

from __future__ import annotations

from typing import List, Optional, Tuple

from ..elf import Image
from ..isa import Machine, baseline_of, isa_of
from ..scan.code import Code

_AROUND = 8  # instructions before and behind
_FARTHEST = 4096  # bytes searched back for the beginning of the function


def listing(image: Image, code: Code, address: int) -> str:
    """The instructions around *address*, the one there marked ``>``, with the features above the baseline they need."""
    addresses = _addresses(image, code, address)
    centre = addresses.index(address)
    operands, origin = _operands(image)
    isa, lowest = isa_of(image.machine), baseline_of(image.machine)
    baseline = lowest.features if lowest else frozenset()
    lines: List[str] = []
    for at in addresses[max(centre - _AROUND, 0) : centre + _AROUND + 1]:
        instruction = code.instruction_at(at)
        if instruction is None:
            break
        data = code.bytes_at(at, instruction.length)
        above = instruction.features - baseline
        features = sorted(isa.reduced(above)) if isa else sorted(above)
        text = operands(data, at) if operands else None
        mark = ">" if at == address else " "
        lines.append(
            f"{mark} {at:#8x}  {data.hex(' '):<32}  {text or instruction.mnemonic:<40}  {'+'.join(features)}".rstrip()
        )
    return "\n".join(lines) + f"\n\n{origin}\n"


def _addresses(image: Image, code: Code, address: int) -> List[int]:
    """Starts of instructions around *address*: decoded from the function's beginning, or from *address* itself."""
    function = image.function_at(address)
    start = function.address if function is not None and address - function.address <= _FARTHEST else address
    found: List[int] = []
    at = start
    behind = 0
    while behind <= _AROUND:
        instruction = code.instruction_at(at)
        if instruction is None:
            break
        found.append(at)
        behind += at >= address
        at += max(instruction.length, 1)
        if found[-1] < address < at:
            return _addresses_from(code, address)  # the address lies inside of an instruction: begin there
    return found


def _addresses_from(code: Code, address: int) -> List[int]:
    found: List[int] = []
    while len(found) <= _AROUND:
        instruction = code.instruction_at(address)
        if instruction is None:
            break
        found.append(address)
        address += max(instruction.length, 1)
    return found


class _Capstone:
    """Operands as capstone writes them."""

    def __init__(self, engine: object) -> None:
        self._engine = engine

    def __call__(self, data: bytes, address: int) -> Optional[str]:
        for one in self._engine.disasm(data, address, 1):  # type: ignore[attr-defined]
            return f"{one.mnemonic} {one.op_str}".strip()
        return None


def _operands(image: Image) -> Tuple[Optional[_Capstone], str]:
    """Who writes operands, and a line that says so: our own decoder knows features, not operands."""
    try:
        import capstone
    except ImportError:
        return None, "operands are not shown: pip install capstone to see them"
    modes = {
        Machine.X86_64: (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
        Machine.I386: (capstone.CS_ARCH_X86, capstone.CS_MODE_32),
        Machine.AARCH64: (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
    }
    if image.machine not in modes:
        return None, f"operands are not shown: capstone has no {image.machine.value} here"
    return _Capstone(
        capstone.Cs(*modes[image.machine])
    ), f"text by capstone {capstone.__version__}, features by baseline-build"
