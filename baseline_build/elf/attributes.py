"""What files of machines without a decoder here *declare* they need: build attributes and ELF header flags.

Declarations are claims of the toolchain, never a proof of what the code is: a file with none, or with modest ones, may
still hold newer instructions. Sources: "Addenda to, and Errata in, the ABI for the Arm Architecture" (format of build
attributes, ``aeabi``); RISC-V ELF psABI, "Attributes"; OpenPOWER ELFv2 ABI, "Symbol Table"; z/Architecture
ELF ABI with GNU's ``Tag_GNU_S390_ABI_Vector``; LoongArch ELF psABI, "e_flags".
"""

from __future__ import annotations

import re
import struct
from typing import Callable, Dict, FrozenSet, Iterator, Mapping, Optional, Tuple, Union

from ..isa.model import Isa, Machine
from ..isa.others import declared_isa
from .model import Image
from .reading import broken

Value = Union[int, str]

_WHOLE_FILE = 1  # Tag_File
_BOTH = 32  # Tag_compatibility: a number and a string


class _Reader:
    """Numbers and strings of one attribute section, bounds checked."""

    def __init__(self, data: bytes, image: Image) -> None:
        self.data = data
        self.at = 0
        self.image = image

    def fail(self, what: str) -> Exception:
        return broken("BB403", f"the build attributes are malformed: {what}", self.image.name)

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise self.fail(f"{size} bytes should follow at offset {self.at:#x}, {len(self.data) - self.at} do")
        self.at += size
        return self.data[self.at - size : self.at]

    def word(self) -> int:
        return int(struct.unpack(self.image.order + "I", self.take(4))[0])

    def number(self) -> int:
        """An unsigned LEB128."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                raise self.fail("a number has more than 64 bits")

    def string(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise self.fail("a string has no end")
        text = self.take(end - self.at).decode("utf-8", "backslashreplace")
        self.at = end + 1
        return text

    def part(self, size: int) -> _Reader:
        return _Reader(self.take(size), self.image)


def _is_string(vendor: str, tag: int) -> bool:
    if vendor == "aeabi" and tag < _BOTH:
        return tag in {4, 5}  # Tag_CPU_raw_name, Tag_CPU_name
    return tag % 2 == 1


def _tags(reader: _Reader, vendor: str) -> Iterator[Tuple[int, Value]]:
    while reader.at < len(reader.data):
        tag = reader.number()
        if tag == _BOTH:
            reader.number()
            yield tag, reader.string()
        elif _is_string(vendor, tag):
            yield tag, reader.string()
        else:
            yield tag, reader.number()


def _attributes(image: Image, data: bytes, vendor: str) -> Dict[int, Value]:
    """The whole-file attributes of *vendor* in the section contents *data*."""
    reader = _Reader(data, image)
    found: Dict[int, Value] = {}
    if reader.take(1) != b"A":
        raise reader.fail("the format is not version A")
    while reader.at < len(data):
        owned = reader.part(reader.word() - 4)
        name = owned.string()
        while name == vendor and owned.at < len(owned.data):
            start = owned.at
            scope = owned.number()
            size = owned.word()
            content = owned.part(size - (owned.at - start))
            if scope == _WHOLE_FILE:
                found.update(_tags(content, vendor))
    return found


def _contents(image: Image, section_type: int, segment_type: Optional[int] = None) -> Optional[bytes]:
    """The bytes of the first section of that type, else of the first such segment, else ``None``."""
    for section in image.sections:
        if section.type == section_type:
            return bytes(image.data[section.offset : section.offset + section.size])
    for segment in image.segments:
        if segment.type == segment_type:
            return bytes(image.data[segment.offset : segment.offset + segment.file_size])
    return None


_PROCESSOR_ATTRIBUTES = 0x70000003  # SHT_ARM_ATTRIBUTES, SHT_RISCV_ATTRIBUTES, PT_RISCV_ATTRIBUTES
_GNU_ATTRIBUTES = 0x6FFFFFF5  # SHT_GNU_ATTRIBUTES

# Tag_CPU_arch
_ARM_VERSIONS = (
    "", "v4", "v4t", "v5t", "v5te", "v5tej", "v6", "v6kz", "v6t2", "v6k", "v7", "v6-m", "v6s-m", "v7e-m", "v8", "v8-r",
    "v8-m.base", "v8-m.main", "", "", "", "v8.1-m.main", "v9",
)  # fmt: skip
# Tag_FP_arch and Tag_Advanced_SIMD_arch
_ARM_FLOATS = ("", "vfpv1", "vfpv2", "vfpv3", "vfpv3-d16", "vfpv4", "vfpv4-d16", "fp-armv8", "fp-armv8-d16")
_ARM_VECTORS = ("", "neon", "neon-vfpv4", "neon-armv8", "neon-armv8.1")


def _arm(image: Image) -> Optional[FrozenSet[str]]:
    data = _contents(image, _PROCESSOR_ATTRIBUTES)
    if data is None:
        return None
    tags = _attributes(image, data, "aeabi")
    names = set()
    for tag, table in ((6, _ARM_VERSIONS), (10, _ARM_FLOATS), (12, _ARM_VECTORS)):
        value = tags.get(tag, 0)
        if not isinstance(value, int) or value >= len(table):
            names.add("unknown")
        elif table[value]:
            names.add(table[value])
    profile = tags.get(7, 0)
    if profile in {ord("R"), ord("M")} and isinstance(profile, int):
        names.add(f"profile-{chr(profile).lower()}")
    return frozenset(names) or None


def _riscv(image: Image) -> Optional[FrozenSet[str]]:
    data = _contents(image, _PROCESSOR_ATTRIBUTES, _PROCESSOR_ATTRIBUTES)
    architecture = _attributes(image, data, "riscv").get(5) if data is not None else None  # Tag_RISCV_arch
    if not isinstance(architecture, str):
        return None
    names = riscv_extensions(architecture)
    if names is None:
        raise broken("BB403", f"not a RISC-V architecture: {architecture!r}", image.name)
    return names


def riscv_extensions(architecture: str) -> Optional[FrozenSet[str]]:
    """The extensions of ``rv64imafdc_zicsr2p0…`` without their versions; ``None`` where it is no such string."""
    head = re.fullmatch(r"rv64((?:[a-y](?:\d+(?:p\d+)?)?_?)*)((?:[zsx][a-z0-9]+_?)*)", architecture.lower())
    if head is None:
        return None
    names = set(re.findall(r"[a-y]", re.sub(r"\d+p\d+|\d+", "", head[1])))
    for word in head[2].split("_"):
        if word:
            names.add(re.sub(r"\d+p\d+$", "", word))
    if "g" in names:
        names = names - {"g"} | {"i", "m", "a", "f", "d", "zicsr", "zifencei"}
    if "i2p0" in head[1]:
        names |= {"zicsr", "zifencei"}  # version 2.1 took them out of the base
    if {"c", "d"} <= names:
        names.add("zcd")  # what c means beside d
    return frozenset(names)


def _power(image: Image) -> Optional[FrozenSet[str]]:
    # Little-endian ELFv2 starts at POWER8. A function whose local entry point is "1" neither keeps nor uses the TOC
    # pointer: the mark of PC-relative code, which begins with Power ISA 3.1.
    if image.flags & 3 != 2:
        return None
    relative = any(symbol.defined and symbol.other >> 5 == 1 for symbol in image.symbols + image.dynamic_symbols)
    return frozenset({"isa3.1"} if relative else {"isa2.07"})


def _s390(image: Image) -> Optional[FrozenSet[str]]:
    data = _contents(image, _GNU_ATTRIBUTES)
    if data is None:
        return None
    vector = _attributes(image, data, "gnu").get(8)  # Tag_GNU_S390_ABI_Vector: 1 software, 2 hardware
    return frozenset({"vx" if vector == 2 else "zarch"}) if vector in {1, 2} else None


def _loongarch(image: Image) -> Optional[FrozenSet[str]]:
    name = {1: "la64", 2: "fpu32", 3: "fpu64"}.get(image.flags & 7)  # base ABI: s, f, d
    return frozenset({name}) if name else None


_READERS: Mapping[Machine, Callable[[Image], Optional[FrozenSet[str]]]] = {
    Machine.ARM: _arm,
    Machine.RISCV64: _riscv,
    Machine.PPC64LE: _power,
    Machine.S390X: _s390,
    Machine.LOONGARCH64: _loongarch,
}


def _text(machine: Machine, isa: Isa, names: FrozenSet[str]) -> str:
    closed = isa.closure(names)
    for level in isa.levels:
        if level.features == closed:
            return level.name
    if machine is Machine.RISCV64:
        letters = "".join(letter for letter in "iemafdqcbvh" if letter in names)
        return "_".join(["rv64" + letters, *sorted(name for name in names if len(name) > 1)])
    return "+".join(sorted(isa.reduced(names)))


def declared(image: Image) -> Optional[str]:
    """What *image* declares it needs: a level's name, else its features (``v7+vfpv4``, ``rv64imafdc_zba…``).

    ``None`` where the file declares nothing or the machine has no such declarations (x86 declares levels in its
    property note, see :attr:`Image.properties`; ARM64 declares none). Raises BrokenInputError BB403 for malformed
    attributes.
    """
    reader, isa = _READERS.get(image.machine), declared_isa(image.machine)
    names = reader(image) if reader else None
    return _text(image.machine, isa, names) if isa and names else None


def _features(machine: Machine, isa: Isa, text: str) -> Optional[FrozenSet[str]]:
    for level in isa.levels:
        if level.name == text:
            return level.features
    if machine is Machine.RISCV64:
        names = riscv_extensions(text)
        return isa.closure(names) if names is not None else None
    names = frozenset(text.split("+"))
    return isa.closure(names) if names <= isa.features.keys() | {"unknown"} else None


def above(machine: Machine, declared: Optional[str], promised: Optional[str]) -> Optional[bool]:
    """Whether *declared* asks for more than *promised* grants; ``None`` where either is missing or not understood.

    Both are what :func:`declared` returns: names of levels or of features joined.
    """
    isa = declared_isa(machine)
    if isa is None or declared is None or promised is None:
        return None
    asked, granted = _features(machine, isa, declared), _features(machine, isa, promised)
    if asked is None or granted is None:
        return None
    return not asked <= granted
