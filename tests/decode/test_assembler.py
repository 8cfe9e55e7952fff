"""The features of the tables against GNU as: with a row's features an instruction assembles, without them it does not.

Bytes made from each row go through objdump, and its text back through ``as`` under ``.arch generic64`` plus features.
This knows nothing of the tool the tables come from.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Dict, List, Set, Tuple

import pytest

from baseline_build.decode.x86.rows import Index
from baseline_build.isa import X86

from ..tools import require_tool
from .oracles import Objdump
from .synthesis import encoded

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
).union(("amx-fp8", "amx-tf32", "amx-avx512", "amx-movrs", "knc", "unknown"))
#: Mnemonics on which gas and this project part, by reason.
PARTINGS = {
    "baseline's rep bsf": "tzcnt",
    "runs as a no-op or hint everywhere": "endbr32 endbr64 rdsspd rdsspq cldemote prefetch prefetchw prefetchwt1 "
    "prefetchit0 prefetchit1 bndldx bndmov bndcl bndcu bndstx bndmk bndcn",
    "reserved to the system": "seamret seamops seamcall wrmsrlist eretu rmpquery rmpadjust psmash rdmsrlist erets "
    "rmpupdate vmrun vmmcall vmload vmsave stgi clgi skinit invlpga enclv vmcall vmlaunch vmresume vmxoff pconfig "
    "wrmsrns monitor mwait clac stac encls xsetbv vmfunc invlpgb tlbsync tdcall vmgexit setssbsy pvalidate wbnoinvd "
    "getsec "
    "getsecq vmread vmwrite clrssbsy vmptrld vmptrst vmclear vmxon invept invvpid invpcid loadiwkey wrussq wrussd "
    "enqcmds hreset",
    "as takes the shorter form of SSE2 where the operand is a register": "pextrw",
    "runs as a no-op on every later FPU": "fneni fndisi fnsetpm",
    "gas counts fisttp to the FPU too": "fisttp",
    "a target that the assembler cannot reach": "loop loope loopne jrcxz jecxz",
}
EXCEPTIONS = frozenset(name for names in PARTINGS.values() for name in names.split())


def statements() -> List[Tuple[str, frozenset[str], str]]:
    """(mnemonic of the row, its features, statement) of the rows of 64-bit mode that objdump can show."""
    index = Index()
    rows, codes = [], []
    for place in index.places():
        for row in index.get(*place):
            code = encoded(place, row, 64) if row.mode != 32 and place[0] not in ("mvex", "rex2") else None
            if code is not None and not UNKNOWN_TO_GAS.intersection(row.features):
                rows.append(row)
                codes.append(code.ljust(16, b"\x90"))
    listing = Objdump(require_tool("objdump")).listing(64, b"".join(codes), 0)
    shown: Dict[int, str] = {
        int(place, 16): text.split("#")[0].strip()
        for place, text in re.findall(r"^ *([0-9a-f]+):[ \t]+(.*)$", listing, re.MULTILINE)
    }
    found = []
    for number, row in enumerate(rows):
        text = shown.get(16 * number, "(bad)")
        # The padding as an immediate is out of range for what takes it as signed.
        if "(bad)" not in text and "$0x90909090" not in text:
            found.append((row.mnemonic, frozenset(row.features), text))
    return found


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


@pytest.mark.build
def test_features_are_the_assemblers(tmp_path: Path) -> None:
    lowest = X86.level("x86-64").features
    found = statements()
    assert len(found) > 2500
    plain = refused([f"{arch(frozenset())}; {text}" for _, _, text in found], tmp_path)
    closed = refused([f"{arch(X86.closure(features) | features)}; {text}" for _, features, text in found], tmp_path)
    unknown = refused([f".arch generic64; .arch .{GAS.get(n, n)}" for n in sorted(X86.features)], tmp_path)
    switches = {name for number, name in enumerate(sorted(X86.features)) if number not in unknown}
    wrong = []
    for number, (mnemonic, features, text) in enumerate(found):
        above = not features <= lowest
        if mnemonic in EXCEPTIONS or not features <= switches | lowest:
            continue
        if above and number not in plain:
            wrong.append(f"{mnemonic} {sorted(features)}: as takes it without: {text}")
        elif above and number in closed:
            wrong.append(f"{mnemonic} {sorted(features)}: as wants more: {text}")
        elif not above and number in plain:
            wrong.append(f"{mnemonic} {sorted(features)}: as refuses it on generic64: {text}")
    assert not wrong, f"{len(wrong)} of {len(found)}\n" + "\n".join(wrong)
