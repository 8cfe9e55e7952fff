"""Makes ``baseline_build/decode/aarch64/encodings.txt``, the table of ARM64 encodings.

A development tool, never run by a build. It joins three sources of fact:

1. the bit patterns of LLVM's AArch64 description, as ``llvm-tblgen -dump-json`` prints them (the description is in
   Debian's source package ``llvm-toolchain-22``)::

       apt-get source --download-only llvm-toolchain-22
       tar xf llvm-toolchain-22_*.orig.tar.xz --wildcards '*/llvm/lib/Target/AArch64/*' '*/llvm/include/*'
       cd llvm-toolchain-22_*/llvm
       llvm-tblgen-22 -dump-json -I include -I lib/Target/AArch64 lib/Target/AArch64/AArch64.td -o aarch64.json
       python -m tests.decode_aarch64.make_table aarch64.json

2. LLVM's disassembler as an oracle for the holes: sub-patterns of a pattern that are unallocated (``holes`` below);
3. ``additions.txt`` beside this file: what needs a person (system registers with a feature of their own, newer
   extensions), each row with its source in the Arm Architecture Reference Manual (DDI 0487).

Rows that differ in one bit only are merged; what a word means is decided by the first row that matches.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, FrozenSet, Iterable, Iterator, List, Set, Tuple

from . import llvm

HERE = Path(__file__).parent
TARGET = HERE.parent.parent / "baseline_build" / "decode" / "aarch64" / "encodings.txt"
ADDITIONS = HERE / "additions.txt"
FULL = 0xFFFFFFFF

# LLVM's predicates in the compilers' feature names. Where an instruction may run with either SVE or streaming SME, the
# SVE name stands: outside streaming mode, where code starts, that is what it needs.
FEATURES: Dict[str, str] = {
    "HasAES": "aes", "HasAltNZCV": "flagm2", "HasBF16": "bf16", "HasBRBE": "brbe", "HasCMH": "cmh",
    "HasCMPBR": "cmpbr", "HasCPA": "cpa", "HasCRC": "crc", "HasCSSC": "cssc", "HasComplxNum": "fcma",
    "HasD128": "d128", "HasDotProd": "dotprod", "HasEL3": "", "HasF16F32DOT": "f16f32dot", "HasF16F32MM": "f16f32mm",
    "HasF16MM": "f16mm", "HasF8F16MM": "f8f16mm", "HasF8F32MM": "f8f32mm", "HasFAMINMAX": "faminmax",
    "HasFP16FML": "fp16fml", "HasFP8": "fp8", "HasFP8DOT2": "fp8dot2", "HasFP8DOT4": "fp8dot4", "HasFP8FMA": "fp8fma",
    "HasFPARMv8": "fp", "HasFPRCVT": "fprcvt", "HasFRInt3264": "frintts", "HasFlagM": "flagm", "HasFullFP16": "fp16",
    "HasGCS": "gcs", "HasHBC": "hbc", "HasITE": "ite", "HasJS": "jscvt", "HasLOR": "lor", "HasLS64": "ls64",
    "HasLSCP": "lscp", "HasLSE": "lse", "HasLSE128": "lse128", "HasLSFE": "lsfe", "HasLSUI": "lsui", "HasLUT": "lut",
    "HasMOPS": "mops", "HasMOPS_GO": "mops-go", "HasMTE": "memtag", "HasMatMulFP32": "f32mm",
    "HasMatMulFP64": "f64mm", "HasMatMulInt8": "i8mm", "HasNEON": "simd", "HasNEONandIsStreamingSafe": "simd",
    "HasNonStreamingSVE2_or_SME2": "sve2", "HasNonStreamingSVE2p2_or_SME2p2": "sve2p2",
    "HasNonStreamingSVE_or_SME2": "sve2", "HasNonStreamingSVE_or_SME2p1": "", "HasNonStreamingSVE_or_SME2p2": "sve",
    "HasNonStreamingSVE_or_SSVE_AES": "", "HasNonStreamingSVE_or_SSVE_BitPerm": "",
    "HasNonStreamingSVE_or_SSVE_FEXPA": "sve", "HasPAuth": "pauth", "HasPAuthLR": "pauth-lr", "HasPCDPHINT": "",
    "HasRCPC": "rcpc", "HasRCPC3": "rcpc3", "HasRCPC_IMMO": "rcpc2", "HasRDM": "rdm", "HasS1POE2": "poe2",
    "HasSB": "sb", "HasSHA2": "sha2", "HasSHA3": "sha3", "HasSM4": "sm4", "HasSME": "sme", "HasSME2": "sme2",
    "HasSME2andIsNonStreamingSafe": "sme2", "HasSME2p1": "sme2p1", "HasSME2p2": "sme2p2", "HasSME2p3": "sme2p3",
    "HasSMEB16B16": "sme-b16b16", "HasSMEF16F16": "sme-f16f16", "HasSMEF16F16_or_SMEF8F16": "sme-f16f16",
    "HasSMEF64F64": "sme-f64f64", "HasSMEF8F16": "sme-f8f16", "HasSMEF8F32": "sme-f8f32",
    "HasSMEI16I64": "sme-i16i64", "HasSME_LUTv2": "sme-lutv2", "HasSME_MOP4": "sme-mop4", "HasSME_TMOP": "sme-tmop",
    "HasSMEandIsNonStreamingSafe": "sme", "HasSSVE_FP8DOT2": "sve2+fp8dot2", "HasSSVE_FP8DOT4": "sve2+fp8dot4",
    "HasSSVE_FP8FMA": "sve2+fp8fma", "HasSVE": "sve", "HasSVE2": "sve2", "HasSVE2_or_SME": "sve2",
    "HasSVE2p1": "sve2p1", "HasSVE2p1_or_SME": "sve2p1", "HasSVE2p1_or_SME2": "sve2p1",
    "HasSVE2p1_or_SME2p1": "sve2p1", "HasSVE2p1_or_StreamingSME2": "sve2p1", "HasSVE2p2": "sve2p2",
    "HasSVE2p2_or_SME2p2": "sve2p2", "HasSVE2p3": "sve2p3", "HasSVE2p3_or_SME2p3": "sve2p3", "HasSVEAES": "sve2-aes",
    "HasSVEAES2": "sve-aes2", "HasSVEB16B16": "sve-b16b16", "HasSVEBFSCALE": "sve-bfscale",
    "HasSVEBitPerm": "sve2-bitperm", "HasSVESHA3": "sve2-sha3", "HasSVESM4": "sve2-sm4", "HasSVE_B16MM": "sve-b16mm",
    "HasSVE_F16F32MM": "sve-f16f32mm", "HasSVE_or_SME": "sve", "HasTEV": "tev", "HasTHE": "the", "HasTRACEV8_4": "",
    "HasWFxT": "wfxt", "HasXS": "xs",
}  # fmt: skip

# Fewer distinct 5-bit register fields make these "constrained unpredictable", which LLVM's C interface reports like
# unallocated ones; the samples that look for holes keep the fields apart.
UNPREDICTABLE = {
    "DecodePairLdStInstruction",
    "DecodeSignedLdStInstruction",
    "DecodeExclusiveLdStInstruction",
    "DecodeCPYMemOpInstruction",
    "DecodeSETMemOpInstruction",
    "DecodeAuthLoadInstruction",
}

FLOWS = {
    "b": "jump", "b.cond": "branch", "bc.cond": "branch", "cbz": "branch", "cbnz": "branch", "tbz": "branch",
    "tbnz": "branch", "bl": "call", "br": "jump-indirect", "braa": "jump-indirect", "braaz": "jump-indirect",
    "brab": "jump-indirect", "brabz": "jump-indirect", "blr": "call-indirect", "blraa": "call-indirect",
    "blraaz": "call-indirect", "blrab": "call-indirect", "blrabz": "call-indirect", "ret": "return", "retaa": "return",
    "retab": "return", "eret": "return", "eretaa": "return", "eretab": "return", "drps": "return",
    "retaasppc": "return", "retabsppc": "return", "retaasppcr": "return", "retabsppcr": "return", "brk": "stop",
    "hlt": "stop", "udf": "stop", "cb.cond": "branch", "cbb.cond": "branch", "cbh.cond": "branch",
}  # fmt: skip

# Where LLVM writes an alias of the architecture's name into its patterns: mask, value, names.
ALIASES = (
    (0x7FE0F000, 0x1AC02000, {"lsl": "lslv", "lsr": "lsrv", "asr": "asrv", "ror": "rorv"}),
    (0xFFE0FC00, 0x5E000400, {"mov": "dup"}),
)


@dataclass(frozen=True)
class Row:
    """One pattern: a word *w* matches when ``w & mask == value``."""

    mask: int
    value: int
    mnemonic: str
    features: FrozenSet[str]
    apart: Tuple[int, ...] = ()  # lowest bits of the 5-bit register fields that a sample keeps apart
    ones: int = 0  # "should be one" bits, 1 in every sample

    @property
    def meaning(self) -> Tuple[str, FrozenSet[str]]:
        """What a match says."""
        return self.mnemonic, self.features

    def overlaps(self, other: Row) -> bool:
        """Whether some word matches both."""
        return not (self.value ^ other.value) & self.mask & other.mask


def mnemonic_of(assembler: str, mask: int, value: int) -> str:
    """The name at the front of an assembler template (``add\\t$Rd…``, ``fadd{\\t…|.4s\\t…}``)."""
    name = re.split(r"[\t {|]", assembler.strip(), maxsplit=1)[0]
    name = re.sub(r"\$\w+$", "cond", name)
    name = re.sub(r"^(cb[bh]?)(eq|ne|g[et]|h[is]|l[elost])$", r"\1.cond", name)
    for alias_mask, alias_value, names in ALIASES:
        if mask & alias_mask == alias_mask and value & alias_mask == alias_value:
            name = names.get(name, name)
    return name


def records(path: Path) -> Iterator[Row]:
    """The instruction patterns of the JSON that ``llvm-tblgen`` wrote to *path*."""
    description = json.loads(path.read_text(encoding="utf-8"))
    for name in description["!instanceof"]["Instruction"]:
        record = description[name]
        if record["isPseudo"] or record["isCodeGenOnly"] or record["Namespace"] != "AArch64" or "Inst" not in record:
            continue
        mask = value = 0
        # "Should be one" bits: CPUs ignore them, LLVM calls other values unpredictable.
        ones = 0
        for bit, lenient in enumerate(record.get("Unpredictable", ())):
            if lenient == 1 and record["Inst"][bit] == 1:
                ones |= 1 << bit
        for bit, content in enumerate(record["Inst"]):
            if content in (0, 1) and not ones >> bit & 1:
                mask |= 1 << bit
                value |= content << bit
        features = {part for p in record["Predicates"] for part in FEATURES[p["def"]].split("+") if part}
        if value & mask & 0xFFFFF01F == 0xD503201F and mask & 0xFFFFF01F == 0xFFFFF01F:
            features = set()  # the hint space: a NOP to CPUs that do not know the hint
        fields = tuple(low for low in (0, 5, 10, 16) if not (mask | ones) >> low & 31)
        apart = fields if record["DecoderMethod"] in UNPREDICTABLE else ()
        yield Row(mask, value, mnemonic_of(record["AsmString"], mask, value), frozenset(features), apart, ones)


def fill(row: Row, chance: random.Random) -> int:
    """A random word that matches *row*, with its free register fields apart where the row asks for it."""
    while True:
        word = (chance.getrandbits(32) & ~row.mask) | row.value | row.ones
        if len({word >> low & 31 for low in row.apart}) == len(row.apart):
            return word


def holes(row: Row, oracle: llvm.Disassembler, chance: random.Random) -> List[Row]:
    """Sub-patterns of *row* none of whose words LLVM decodes, found by widening each failing sample bit by bit."""
    found: List[Row] = []
    for _ in range(3000):
        word = fill(row, chance)
        if oracle.decodes(word) or any(word & hole.mask == hole.value for hole in found):
            continue
        hole = Row(FULL, word, "-", frozenset(), row.apart, row.ones)
        order = [bit for bit in range(32) if not row.mask >> bit & 1]
        chance.shuffle(order)
        for bit in order:
            mask = hole.mask & ~(1 << bit)
            wider = replace(hole, mask=mask, value=hole.value & mask)
            if not any(oracle.decodes(fill(wider, chance)) for _ in range(150)):
                hole = wider
        found.append(hole)
    return found


def merged(rows: Iterable[Row]) -> List[Row]:
    """*rows* with those of one meaning joined wherever they differ in a single bit."""
    groups: Dict[Tuple[str, FrozenSet[str]], Set[Tuple[int, int]]] = defaultdict(set)
    for row in rows:
        groups[row.meaning].add((row.mask, row.value))
    result = []
    for (mnemonic, features), cubes in groups.items():
        changed = True
        while changed:
            changed = False
            for mask, value in sorted(cubes):
                if (mask, value) not in cubes:
                    continue
                for bit in range(32):
                    twin = (mask, value ^ (1 << bit))
                    if mask >> bit & 1 and twin in cubes:
                        cubes -= {(mask, value), twin}
                        cubes.add((mask & ~(1 << bit), value & ~(1 << bit)))
                        changed = True
                        break
        result += [Row(mask, value, mnemonic, features) for mask, value in cubes]
    return result


def ordered(rows: Iterable[Row]) -> List[Row]:
    """Holes first, then from the most to the least specific, then by value."""
    return sorted(rows, key=lambda r: (r.mnemonic != "-", -bin(r.mask).count("1"), r.value, r.mask, r.mnemonic))


def first(rows: List[Row], word: int) -> Row:
    """The row that decides *word*. Raises ``StopIteration`` when none does."""
    return next(row for row in rows if word & row.mask == row.value)


def by_key(rows: Iterable[Row]) -> Dict[int, List[Row]]:
    """*rows* in their order under each value of a word's top eleven bits that they can have."""
    found: Dict[int, List[Row]] = defaultdict(list)
    for row in rows:
        for key in range(2048):
            if not (key << 21 ^ row.value) & row.mask & 0xFFE00000:
                found[key].append(row)
    return found


def kept_apart(original: List[Row], joined: List[Row], chance: random.Random) -> List[Row]:
    """*joined* with the original rows put back wherever merging changed which row comes first."""
    rows = list(joined)
    truth = by_key(ordered(original))
    while True:
        buckets = by_key(ordered(rows))
        wrong: Set[Row] = set()
        for word in (fill(row, chance) for row in original for _ in range(12)):
            now = first(buckets[word >> 21], word)
            if now.meaning != first(truth[word >> 21], word).meaning:
                wrong.add(now)
        if not wrong:
            return ordered(rows)
        for row in wrong:
            members = [r for r in original if r.meaning == row.meaning and r.mask & row.mask == row.mask
                       and r.value & row.mask == row.value]  # fmt: skip
            if members == [row]:
                raise SystemExit(f"two patterns contradict each other: {row}")
            rows.remove(row)
            rows += members


def additions() -> List[Row]:
    """The hand-written rows: mask, value, mnemonic, features."""
    rows = []
    for line in ADDITIONS.read_text(encoding="utf-8").splitlines():
        text = line.split("#", 1)[0].strip()
        if text:
            mask, value, mnemonic, features = (cell.strip() for cell in text.split("|"))
            rows.append(Row(int(mask, 16), int(value, 16), mnemonic, frozenset(features.split())))
    return rows


HEADER = """\
# ARM64 encodings: mask | value | mnemonic | features | flow
# A word w belongs to the first row with w & mask == value. Mnemonic "-": unallocated. No features: every ARM64 CPU.
# Flow is empty where control goes to the next instruction. Made by tests/decode_aarch64/make_table.py: do not edit.
"""


def main(arguments: List[str]) -> None:
    """Write the table from the JSON file named on the command line."""
    lib = llvm.library()
    if lib is None or len(arguments) != 1:
        raise SystemExit("usage: python -m tests.decode_aarch64.make_table aarch64.json   (needs libLLVM 22)")
    chance = random.Random(19)
    oracle = llvm.Disassembler(lib)
    hand = additions()
    by_hand = {(row.mask, row.value) for row in hand}
    found = {row for row in records(Path(arguments[0])) if (row.mask, row.value) not in by_hand}
    original = sorted(found, key=lambda r: (r.mask, r.value, r.mnemonic)) + hand
    gaps = merged(hole for row in original if row not in hand for hole in holes(row, oracle, chance))
    rows = ordered(gaps) + kept_apart(original, merged(original), chance)
    lines = [
        f"{row.mask:08x} | {row.value:08x} | {row.mnemonic} | {' '.join(sorted(row.features))} | "
        f"{FLOWS.get(row.mnemonic, '')}".rstrip()
        for row in rows
    ]
    TARGET.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(original)} patterns, {len(gaps)} holes, {len(rows)} rows\n")


if __name__ == "__main__":
    main(sys.argv[1:])
