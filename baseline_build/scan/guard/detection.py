"""Does a file ever ask what the CPU can do: instructions that ask, and imported functions and data that answer.

The answer must err towards "yes": *no detection* is a ground for ``violation``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from typing import FrozenSet, Iterator, List, Optional, Tuple

from ...elf import Image
from ...elf.reading import words_of
from ...isa import Machine
from ..code import Code

# CPUID 0F A2, XGETBV 0F 01 D0 (Intel SDM vol. 2).
_X86_QUESTIONS = (b"\x0f\xa2", b"\x0f\x01\xd0")

# What libraries offer for asking: the kernel's words through the C library, and the compilers' run-time support.
_ANSWERS = {
    Machine.X86_64: frozenset(
        ["__cpu_model", "__cpu_indicator_init", "__cpu_features2", "__get_cpu_features", "__x86_get_cpu_features",
         "__x86_get_cpuid_feature_leaf", "_dl_x86_get_cpu_features", "_dl_x86_cpu_features"]
    ),
    Machine.AARCH64: frozenset(
        ["getauxval", "__getauxval", "elf_aux_info", "__aarch64_cpu_features", "__init_cpu_features_resolver",
         "__init_cpu_features", "__aarch64_have_lse_atomics", "_dl_aarch64_cpu_features", "__arm_sme_state"]
    ),
}  # fmt: skip
_ANSWERS[Machine.I386] = _ANSWERS[Machine.X86_64]


# Files of the kernel that tell about the CPU, the function that answers when it is looked up by name (dlsym), and what
# compiled Python code calls: the packages archspec and py-cpuinfo, and NumPy's table.
_NAMED_IN_DATA = re.compile(
    rb"/proc/cpuinfo|/proc/self/auxv|/sys/devices/system/cpu/cpu0/regs|getauxval|"
    rb"archspec|get_cpu_info|__cpu_features__"
)


def detects(code: Code) -> bool:
    """Whether anything in the file asks what the CPU can do."""
    image = code.image
    if any(is_answer(image, name) for name in image.imports.values()):
        return True
    return asks_by_other_means(image) or bool(question_places(code))


def is_answer(image: Image, name: str) -> bool:
    """Whether the imported function or variable *name* tells what the CPU can do."""
    return name in _ANSWERS.get(image.machine, frozenset())


def asks_by_other_means(image: Image) -> bool:
    """Whether the file may ask in a way that no instruction and no imported name shows."""
    return bool(informed_resolvers(image)) or _gets_the_vector(image) or bool(_NAMED_IN_DATA.search(image.data))


def informed_resolvers(image: Image) -> FrozenSet[int]:
    """Addresses of the resolvers of indirect functions that are told what the CPU has: all of them on ARM64."""
    if image.machine is not Machine.AARCH64:
        return frozenset()
    return frozenset((*image.resolvers.values(), *(symbol.address for symbol in image.ifuncs)))


def _gets_the_vector(image: Image) -> bool:
    """Whether the kernel hands the auxiliary vector to the file's own entry: a static program on ARM64.

    There AT_HWCAP is the way to ask, and the C library inside reads it from the stack, without any call to see.
    """
    return image.machine is Machine.AARCH64 and image.kind == "executable" and not (image.interpreter or image.needed)


@lru_cache(maxsize=8)
def question_places(code: Code) -> Tuple[int, ...]:
    """Addresses of the instructions that ask the CPU, ascending."""
    if code.image.machine in (Machine.X86_64, Machine.I386):
        return tuple(_x86_questions(code))
    if code.image.machine is Machine.AARCH64:
        return tuple(_arm_questions(code))
    return ()


def _x86_questions(code: Code) -> Iterator[int]:
    for region, _ in code.sweeps:
        data = bytes(region.data)
        found: List[int] = []
        for pattern in _X86_QUESTIONS:
            at = data.find(pattern)
            while at >= 0:
                found.append(region.address + at)
                at = data.find(pattern, at + 1)
        for address in sorted(found):
            if _is_start(code, address):
                yield address


def _is_start(code: Code, address: int) -> bool:
    """Whether decoding from the nearest known instruction below arrives at *address*."""
    place = known_start(code, address)
    while place is not None and place < address:
        instruction = code.instruction_at(place)
        if instruction is None:
            return False
        place += instruction.length
    return place == address


def known_start(code: Code, address: int) -> Optional[int]:
    """The nearest address at or below *address* at which an instruction is known to start."""
    best: Optional[int] = None
    for region, sweep in code.sweeps:
        if not region.address <= address < region.end:
            continue
        best = region.address
        for starts in (sweep.branch_addresses, sweep.reference_addresses, sweep.mark_addresses, code.image.entries):
            index = bisect_right(starts, address) - 1
            if index >= 0 and starts[index] > best:
                best = starts[index]
    return best


def _arm_questions(code: Code) -> Iterator[int]:
    # MRS of ID registers: op0=3, op1=0, CRn=0, CRm=4..7 (Arm ARM, C5.3); user space reads them by trapping emulation.
    for region, _ in code.sweeps:
        for index, word in enumerate(words_of(region.data, 4)):
            if word & 0xFFFFF000 == 0xD5380000 and 4 <= word >> 8 & 15 <= 7:
                yield region.address + 4 * index
