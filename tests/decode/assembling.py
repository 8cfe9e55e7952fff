"""GNU as as a judge of features: what it takes under ``.arch generic64`` plus features, and what it refuses.

It knows nothing of iced-x86, which most of the tables come from: a second opinion on each feature, from objdump's text
of an instruction. Its names differ from gcc's, some features it does not know, and on a few mnemonics the two projects
part, each for a reason told here.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import FrozenSet, Iterable, Iterator, List, NamedTuple, Sequence, Set

from baseline_build.decode import instruction, requirement
from baseline_build.isa import X86, Machine

from ..tools import require_tool
from .encodings import Encoding
from .oracles import Objdump

#: gas's names where they differ from gcc's.
GAS = {
    "rdrnd": "rdrnd", "pku": "ospke", "sgx": "se1", "avxvnni": "avx_vnni", "avxvnniint8": "avx_vnni_int8",
    "avxifma": "avx_ifma", "avxneconvert": "avx_ne_convert", "avx512bf16": "avx512_bf16",
    "avx512bitalg": "avx512_bitalg", "avx512vbmi2": "avx512_vbmi2", "avx512vnni": "avx512_vnni",
    "avx512vpopcntdq": "avx512_vpopcntdq", "avx512vp2intersect": "avx512_vp2intersect",
    "avx512fp16": "avx512_fp16", "avx5124fmaps": "avx512_4fmaps", "avx5124vnniw": "avx512_4vnniw",
    "amx-tile": "amx_tile", "amx-int8": "amx_int8", "amx-bf16": "amx_bf16", "amx-fp16": "amx_fp16",
    "raoint": "rao_int",
}  # fmt: skip
#: What gas 2.40 has no switch for, or does not know.
UNKNOWN_TO_GAS = frozenset(
    ("sahf", "amx-complex", "raoint", "avxvnniint16", "sha512", "sm3", "sm4", "usermsr", "movrs", "avx10.2", "apxf")
).union(
    ("amx-fp8", "amx-tf32", "amx-avx512", "amx-movrs", "amx-transpose", "ace", "avx10v2aux", "avx512bmm", "msr_imm"),
    ("knc", "unknown"),
)
#: Mnemonics on which gas and this project part, by reason.
PARTINGS = {
    "baseline's rep bsf": "tzcnt",
    "runs as a no-op or hint everywhere": "endbr32 endbr64 rdsspd rdsspq cldemote prefetch prefetchw prefetchwt1 "
    "prefetchit0 prefetchit1 bndldx bndmov bndcl bndcu bndstx bndmk bndcn",
    "reserved to the system": "seamret seamops seamcall wrmsrlist eretu rmpquery rmpadjust psmash rdmsrlist erets "
    "rmpupdate rmpopt rmpread rmpchkd vmrun vmmcall vmload vmsave stgi clgi skinit invlpga enclv vmcall vmlaunch "
    "vmresume vmxoff pconfig wrmsrns monitor mwait clac stac encls xsetbv vmfunc invlpgb tlbsync tdcall vmgexit "
    "setssbsy pvalidate wbnoinvd getsec getsecq vmread vmwrite clrssbsy vmptrld vmptrst vmclear vmxon "
    "invept invvpid invpcid loadiwkey wrussq wrussd enqcmds hreset",
    "as takes the shorter form of SSE2 where the operand is a register": "pextrw",
    "runs as a no-op on every later FPU": "fneni fndisi fnsetpm",
    "gas counts fisttp to the FPU too": "fisttp",
    "a target that the assembler cannot reach": "loop loope loopne jrcxz jecxz",
}
EXCEPTIONS = frozenset(name for names in PARTINGS.values() for name in names.split())
LOWEST = X86.level("x86-64").features
_SLOT = 32  # bytes for one instruction in what objdump is shown


class Statement(NamedTuple):
    """An instruction: our mnemonic, our features, and objdump's text of it."""

    mnemonic: str
    features: FrozenSet[str]
    text: str


def shown(codes: Sequence[bytes]) -> List[str]:
    """objdump's text of each of *codes*; ``(bad)`` where it sees no instruction."""
    image = b"".join(code.ljust(_SLOT, b"\x90") for code in codes)
    listing = Objdump(require_tool("objdump")).listing(64, image, 0)
    texts = {
        int(place, 16): text.split("#")[0].strip()
        for place, text in re.findall(r"^ *([0-9a-f]+):[ \t]+(.*)$", listing, re.MULTILINE)
    }
    return [texts.get(_SLOT * number, "(bad)") for number in range(len(codes))]


def refused(lines: List[str], folder: Path) -> Set[int]:
    """Numbers of the *lines* that the assembler does not take; a line may hold several statements."""
    source = folder / "source.s"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [require_tool("as"), "--64", str(source), "-o", str(folder / "out.o")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return {int(number) - 1 for number in re.findall(r"source\.s:(\d+): Error", done.stderr)}


def arch(features: frozenset[str]) -> str:
    """Statements that switch to the lowest level and *features*."""
    return "; ".join([".arch generic64", *(f".arch .{GAS.get(name, name)}" for name in sorted(features))])


def switches(folder: Path) -> FrozenSet[str]:
    """Features this assembler has a switch for."""
    names = sorted(X86.features.keys() - UNKNOWN_TO_GAS)
    unknown = refused([f".arch generic64; .arch .{GAS.get(name, name)}" for name in names], folder)
    return frozenset(name for number, name in enumerate(names) if number not in unknown)


def wrong(found: Sequence[Statement], folder: Path) -> Iterator[str]:
    """Where the assembler and the features of *found* disagree; what it takes under no circumstances is passed over."""
    everything = switches(folder)
    plain = refused([f"{arch(frozenset())}; {one.text}" for one in found], folder)
    whole = refused([f"{arch(everything)}; {one.text}" for one in found], folder)
    closed = refused([f"{arch(X86.closure(one.features) | one.features)}; {one.text}" for one in found], folder)
    for number, one in enumerate(found):
        above = not one.features <= LOWEST
        if number in whole or one.mnemonic in EXCEPTIONS or not one.features <= everything | LOWEST:
            continue
        what = f"{one.mnemonic} {sorted(one.features)}"
        if above and number not in plain:
            yield f"{what}: as takes it without: {one.text}"
        elif above and number in closed:
            yield f"{what}: as wants more: {one.text}"
        elif not above and number in plain:
            yield f"{what}: as refuses it on generic64: {one.text}"


def of_encodings(found: Iterable[Encoding]) -> List[Statement]:
    """What stands in real code, of the features that the assembler knows, in 64-bit mode."""
    chosen = [
        one
        for one in found
        if one.length and one.bits == 64 and not UNKNOWN_TO_GAS & requirement(Machine.X86_64, one.requirement)
    ]
    told = [instruction(Machine.X86_64, one.data, 0) for one in chosen]
    texts = shown([one.code for one in chosen])
    return [Statement(ours.mnemonic, ours.features, text) for ours, text in zip(told, texts) if "(bad)" not in text]
