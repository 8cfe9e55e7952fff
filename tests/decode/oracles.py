"""Other decoders under one interface: where does an instruction start, how long is it, what is it called."""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
from itertools import accumulate
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

INVALID = "(bad)"


class Seen(NamedTuple):
    """What an oracle sees in a run of bytes: offsets of all instructions, those it cannot decode among them.

    :param end: offset behind the last one.
    :param numbers: iced's code numbers, one for each start; empty for other oracles.
    :param lines: (offset, name) of each start, for oracles that give names at once; empty for iced.
    """

    starts: List[int]
    end: int
    invalid: FrozenSet[int]
    numbers: Sequence[int] = ()
    lines: Sequence[Tuple[int, str]] = ()


class Oracle:
    """A decoder to compare with; ``stretch`` is how many bytes it likes at a time."""

    name = ""
    stretch = 1 << 18

    def decode(self, bits: int, code: bytes, address: int) -> Seen:
        """All instructions of *code*, whose first byte lies at *address*."""
        raise AssertionError(f"{type(self).__name__} decodes nothing")

    def called(self, seen: Seen, index: int) -> str:
        """The name of instruction number *index*."""
        return seen.lines[index][1]


class Iced(Oracle):
    """iced-x86, in this process."""

    name = "iced"

    def __init__(self) -> None:
        import iced_x86

        self.iced: Any = iced_x86
        mnemonics = {
            number: name.lower() for name, number in vars(iced_x86.Mnemonic).items() if isinstance(number, int)
        }
        cpuid = {number: name for name, number in vars(iced_x86.CpuidFeature).items() if isinstance(number, int)}
        self.names: Dict[int, str] = {}
        self.needs: Dict[int, FrozenSet[str]] = {}
        for code in (number for number in vars(iced_x86.Code).values() if isinstance(number, int)):
            instruction = self.iced.Instruction()
            instruction.code = code
            self.names[code] = mnemonics[instruction.mnemonic]
            self.needs[code] = frozenset(cpuid[number] for number in instruction.cpuid_features())

    def decode(self, bits: int, code: bytes, address: int) -> Seen:
        pairs = [(instruction.len, instruction.code) for instruction in self.iced.Decoder(bits, code, ip=address)]
        lengths, numbers = zip(*pairs) if pairs else ((), ())
        starts = [0, *accumulate(lengths)]
        end = starts.pop()
        bad = self.iced.Code.INVALID
        invalid = frozenset(start for start, number in zip(starts, numbers) if number == bad) if bad in numbers else ()
        return Seen(starts, end, frozenset(invalid), numbers)

    def called(self, seen: Seen, index: int) -> str:
        return self.names[seen.numbers[index]]


class Capstone(Oracle):
    """Capstone, in this process."""

    name = "capstone"

    def __init__(self) -> None:
        import capstone

        self.engines: Dict[int, Any] = {}
        for bits, mode in ((64, capstone.CS_MODE_64), (32, capstone.CS_MODE_32)):
            self.engines[bits] = capstone.Cs(capstone.CS_ARCH_X86, mode)
            self.engines[bits].skipdata = True

    def decode(self, bits: int, code: bytes, address: int) -> Seen:
        lines = [(place - address, name) for place, _, name, _ in self.engines[bits].disasm_lite(code, address)]
        invalid = frozenset(place for place, name in lines if name == ".byte")
        return Seen([place for place, _ in lines], len(code), invalid, lines=lines)


class Listing(Oracle):
    """A program of objdump's kind: reads an ELF file, prints ``address: name operands``."""

    stretch = 1 << 22
    options: Tuple[str, ...] = ()
    unknown = INVALID
    #: What it lists as instructions of their own although they are prefixes of the next one.
    prefixes: Optional[str] = None

    def __init__(self, program: str) -> None:
        self.program = program

    def listing(self, bits: int, code: bytes, address: int) -> str:
        """What the program prints for *code*."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "code.elf")
            path.write_bytes(wrapped(bits, code, address))
            command = [self.program, "-d", "-z", "--no-show-raw-insn", *self.options, str(path)]
            return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode("ascii", "replace")

    def decode(self, bits: int, code: bytes, address: int) -> Seen:
        listing = self.listing(bits, code, address)
        if self.prefixes:
            # Joined with the next line, whose own address goes.
            lone = rf"(:(?:[ \t]+(?:{self.prefixes}))+)[ \t]*\n *[0-9a-f]+:[ \t]+"
            joined = 1
            while joined:
                listing, joined = re.subn(lone, r"\1 ", listing)
            listing = re.sub(rf"(:[ \t]+)(?:(?:{self.prefixes})[ \t]+)+(?={self.unknown})", r"\1", listing)
        # objdump prints "(bad)" for an operand too, behind the name and its prefixes.
        before = rf"(?:(?:{self.prefixes})[ \t]+)*" if self.prefixes else ""
        line = rf"^ *([0-9a-f]+):[ \t]+{before}(\S+)(.*{re.escape(self.unknown)})?"
        lines = [
            (int(place, 16) - address, self.unknown if unknown else name)
            for place, name, unknown in re.findall(line, listing, re.MULTILINE)
        ]
        invalid = frozenset(place for place, name in lines if name == self.unknown)
        return Seen([place for place, _ in lines], len(code), invalid, lines=lines)


class Objdump(Listing):
    """GNU objdump."""

    name = "objdump"
    options = ("-w",)
    prefixes = r"rex(?:\.\w+)?|lock|[cdefgs]s|data16|addr32|repn?z|xacquire|xrelease|notrack|bnd"


class Llvm(Listing):
    """LLVM's machine-code disassembler: what llvm-mc uses, through llvm-objdump, which reads object files."""

    name = "llvm"
    unknown = "<unknown>"
    prefixes = r"lock|xacquire|xrelease|data16|notrack|rep|repne|\{evex\}|\{nf\}"


_NAMES = b"\0.text\0.shstrtab\0"


def wrapped(bits: int, code: bytes, address: int) -> bytes:
    """*code* as the only section of an ELF file, at *address*."""
    wide = bits == 64
    header = struct.Struct("<16sHHIQQQIHHHHHH" if wide else "<16sHHIIIIIHHHHHH")
    section = struct.Struct("<IIQQQQIIQQ" if wide else "<IIIIIIIIII")
    place = header.size
    names = place + len(code)
    table = names + len(_NAMES)
    magic = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    machine = 62 if wide else 3
    head = header.pack(magic, 2, machine, 1, address, 0, table, 0, header.size, 0, 0, section.size, 3, 2)
    sections = [
        section.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        section.pack(1, 1, 6, address, place, len(code), 0, 0, 1, 0),
        section.pack(7, 3, 0, 0, names, len(_NAMES), 0, 0, 1, 0),
    ]
    return head + code + _NAMES + b"".join(sections)


def oracle(name: str, program: Optional[str] = None) -> Oracle:
    """The oracle called *name*; *program* where it is one."""
    kinds = {"iced": Iced, "capstone": Capstone}
    if name in kinds:
        return kinds[name]()
    return {"objdump": Objdump, "llvm": Llvm}[name](program or name)
