"""Rows written by hand, against llvm-mc: APX, AVX10.2, newer AMX and the MSR instructions have our length and name."""

from __future__ import annotations

import re
import subprocess
from typing import List, Optional, Tuple

import pytest

from baseline_build.decode import instruction
from baseline_build.decode.x86.rows import Index, Row
from baseline_build.isa import Machine

from ..tools import require_tool
from .synthesis import encoded

_SEPARATOR = "vmcall"
_BY_HAND = frozenset(("apxf", "avx10.2", "usermsr", "msr_imm", "movrs"))
#: Withdrawn before LLVM 22; what is newer than that stands in vectors.txt.
_UNKNOWN_TO_LLVM = frozenset(("amx-transpose",))
#: (mnemonic, ModRM.reg of the row or -1) that LLVM refuses in the sample, and why.
_REFUSED = {
    ("shl", 6): "the second encoding of SHL",
    ("ctest", 1): "the second encoding of TEST",
    ("push2", 6): "needs EVEX.ND, which no column has",
    ("pop2", 0): "needs EVEX.ND, which no column has",
    ("tilezero", -1): "needs ModRM.rm = 0, and the sample has 1",
}


def disassembled(codes: List[bytes]) -> List[Optional[Tuple[str, int]]]:
    """(name, length) of the first instruction of each of *codes* as llvm-mc sees it, ``None`` where it is none."""
    program = require_tool("llvm-mc-22")
    lines = [f"[ {' '.join(f'0x{byte:02x}' for byte in code)} ]\n[ 0x0f 0x01 0xc1 ]\n" for code in codes]
    command = [program, "--disassemble", "--show-encoding", "--triple=x86_64", "--output-asm-variant=1"]
    # Its exit status is 1 when one of the encodings is invalid, which is an answer here.
    done = subprocess.run(command, input="".join(lines), check=False, capture_output=True, text=True)
    bad = {int(line) for line in re.findall(r"<stdin>:(\d+):3: warning: invalid", done.stderr)}
    groups: List[List[Tuple[str, int]]] = [[]]
    for text, encoding in re.findall(r"^\s*(.*?)\s*# encoding: \[(.*)\]$", done.stdout, re.MULTILINE):
        if text == _SEPARATOR:
            groups.append([])
        else:
            name = re.sub(r"\{\w+\}\s*", "", text).split()[0]
            groups[-1].append((name, encoding.count(",") + 1))
    firsts = zip(range(1, 2 * len(codes), 2), groups)
    return [None if number in bad or not group else group[0] for number, group in firsts]


def hand_written() -> List[Tuple[Row, bytes]]:
    index = Index()
    found = []
    for place in index.places():
        for row in index.get(*place):
            if {"apxf", "avx10.2", "usermsr", "msr_imm", "movrs"}.intersection(row.features) or "amx" in "".join(
                row.features
            ):
                code = encoded(place, row, 64)
                if code is not None:
                    found.append((row, code + bytes(15 - len(code))))
    return found


@pytest.mark.build
def test_llvm_agrees() -> None:
    rows = [(row, code) for row, code in hand_written() if not _UNKNOWN_TO_LLVM.intersection(row.features)]
    theirs = disassembled([code for _, code in rows])
    assert len(rows) > 500
    wrong = []
    for (row, code), seen in zip(rows, theirs):
        ours = instruction(Machine.X86_64, code, 0)
        if seen is None and (row.mnemonic, row.reg) in _REFUSED:
            continue
        name, length = seen or ("(bad)", 0)
        # The conditions of cmpCCxadd have several names.
        same_name = name.startswith((row.mnemonic[:4], "cf" + row.mnemonic[:3])) or (
            name.endswith("xadd") and row.mnemonic.endswith("xadd")
        )
        if ours.length != length or not same_name:
            wrong.append(f"{code.hex()} ours {ours.mnemonic}:{ours.length} theirs {name}:{length}")
    assert not wrong, "\n".join(wrong)
