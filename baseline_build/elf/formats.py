"""Layouts and numbers of the ELF format, as tables.

Sources: System V gABI chapters 4 and 5; psABI supplements for x86-64, i386 and AArch64; the GNU extensions as the
"Linux Extensions to gABI" document lists them.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple

from ..isa.model import Machine

MAGIC = b"\x7fELF"

ET_REL, ET_EXEC, ET_DYN = 1, 2, 3

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_TLS = 1, 2, 3, 4, 7
PT_GNU_EH_FRAME, PT_GNU_PROPERTY = 0x6474E550, 0x6474E553
PF_X, PF_W, PF_R = 1, 2, 4

SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOTE, SHT_NOBITS = 0, 1, 2, 3, 4, 7, 8
SHT_REL, SHT_DYNSYM = 9, 11
SHT_INIT_ARRAY, SHT_FINI_ARRAY, SHT_PREINIT_ARRAY, SHT_SYMTAB_SHNDX, SHT_X86_64_UNWIND = 14, 15, 16, 18, 0x70000001
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_GROUP, SHF_TLS, SHF_COMPRESSED = 1, 2, 4, 0x200, 0x400, 0x800
ELFCOMPRESS_ZLIB = 1
SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON, SHN_XINDEX = 0, 0xFF00, 0xFFF1, 0xFFF2, 0xFFFF
PN_XNUM = 0xFFFF

STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION, STT_FILE, STT_TLS, STT_GNU_IFUNC = 0, 1, 2, 3, 4, 6, 10
STB_LOCAL, STB_GLOBAL, STB_WEAK, STB_GNU_UNIQUE = 0, 1, 2, 10

DT_NEEDED, DT_PLTRELSZ, DT_PLTGOT, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ = 1, 2, 3, 4, 5, 6, 7, 8
DT_STRSZ, DT_SYMENT, DT_INIT, DT_FINI, DT_SONAME, DT_RPATH = 10, 11, 12, 13, 14, 15
DT_REL, DT_RELSZ, DT_PLTREL, DT_JMPREL = 17, 18, 20, 23
DT_INIT_ARRAY, DT_FINI_ARRAY, DT_INIT_ARRAYSZ, DT_FINI_ARRAYSZ, DT_RUNPATH = 25, 26, 27, 28, 29
DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ, DT_RELRSZ, DT_RELR = 32, 33, 35, 36
DT_GNU_HASH, DT_VERSYM, DT_FLAGS_1, DT_VERDEF, DT_VERNEED = 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFB, 0x6FFFFFFC, 0x6FFFFFFE
DF_1_PIE = 0x08000000

NT_GNU_PROPERTY_TYPE_0 = 5
GNU_PROPERTY_X86_ISA_1_NEEDED = 0xC0008002
GNU_PROPERTY_X86_FEATURE_1_AND, GNU_PROPERTY_AARCH64_FEATURE_1_AND = 0xC0000002, 0xC0000000
# The number of before 2020 (binutils 2.30 to 2.35): one bit for each extension, not for each level.
GNU_PROPERTY_X86_COMPAT_ISA_1_NEEDED = 0xC0000001


class Layout(NamedTuple):
    """The ``struct`` formats (without byte order) of one ELF class, and the order of their fields.

    Field orders differ between the classes for program headers and symbols; ``segment_order`` and ``symbol_order``
    are the positions of (type, flags, offset, vaddr, filesz, memsz, align) and (name, info, other, shndx, value, size).
    """

    header: str
    segment: str
    segment_order: Tuple[int, ...]
    section: str
    symbol: str
    symbol_order: Tuple[int, ...]
    rel: str
    rela: str
    dynamic: str
    word: str
    symbol_shift: int
    type_mask: int


LAYOUTS: Dict[int, Layout] = {
    32: Layout(
        "HHIIIIIHHHHHH", "IIIIIIII", (0, 6, 1, 2, 4, 5, 7), "IIIIIIIIII", "IIIBBH", (0, 3, 4, 5, 1, 2), "II", "IIi",
        "iI", "I", 8, 0xFF,
    ),
    64: Layout(
        "HHIQQQIHHHHHH", "IIQQQQQQ", (0, 1, 2, 3, 5, 6, 7), "IIQQQQIIQQ", "IBBHQQ", (0, 1, 2, 3, 4, 5), "QQ", "QQq",
        "qQ", "Q", 32, 0xFFFFFFFF,
    ),
}  # fmt: skip

# (e_machine, class or 0 for both, byte order or "" for both) -> machine. x32 is x86-64 code with 32-bit pointers.
MACHINES: Dict[Tuple[int, int, str], Machine] = {
    (62, 0, "<"): Machine.X86_64,
    (3, 32, "<"): Machine.I386,
    (183, 0, "<"): Machine.AARCH64,
    (40, 32, "<"): Machine.ARM,
    (21, 64, "<"): Machine.PPC64LE,
    (22, 64, ">"): Machine.S390X,
    (243, 64, "<"): Machine.RISCV64,
    (258, 64, "<"): Machine.LOONGARCH64,
}

# What a dynamic relocation puts into its slot:
#   absolute  symbol + addend      slot   symbol             relative  addend        resolver  what addend() returns
#   module    TLS module number    offset TLS offset         static    TLS offset from the thread pointer
#   descriptor TLS descriptor      copy   the symbol's bytes
RELOCATIONS: Dict[Machine, Dict[int, str]] = {
    Machine.X86_64: {
        1: "absolute", 10: "absolute", 11: "absolute", 5: "copy", 6: "slot", 7: "slot", 8: "relative", 16: "module",
        17: "offset", 18: "static", 36: "descriptor", 37: "resolver", 38: "relative",
    },
    Machine.I386: {
        1: "absolute", 5: "copy", 6: "slot", 7: "slot", 8: "relative", 14: "static", 35: "module", 36: "offset",
        37: "static", 41: "descriptor", 42: "resolver",
    },
    Machine.AARCH64: {
        257: "absolute", 1024: "copy", 1025: "slot", 1026: "slot", 1027: "relative", 1028: "module", 1029: "offset",
        1030: "static", 1031: "descriptor", 1032: "resolver",
    },
}  # fmt: skip
