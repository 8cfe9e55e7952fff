"""Writes the generated x86 opcode tables from what iced-x86 knows: ``python -m baseline_build.decode.x86.generate``.

iced-x86 (an extra, only needed here and by the tests) describes every encoding it decodes. This script turns each
into one row of ``*.txt`` in the form :mod:`baseline_build.decode.x86.rows` reads, under gcc's feature names, merges
forms that differ in nothing a reader of lengths and features could see, and leaves out what only processors without
long-mode or i686 ever had. ``--check`` compares with the files instead of writing them.

What iced-x86 does not know stands in the hand-written ``supplement.txt`` and ``apx.txt``.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

HERE = Path(__file__).parent

#: Mnemonics whose instruction runs, as a no-op or with the older meaning, on every CPU: never a feature.
#: ``tzcnt`` is the baseline's ``rep bsf`` (SDM vol. 2, BSF); rdssp and endbr lie in the no-op space 0F 1E, prefetches
#: in the hint space 0F 18. In the legacy encodings alone: what VEX begins faults on a CPU that does not know it.
HARMLESS = frozenset(
    ("tzcnt", "rdsspd", "rdsspq", "endbr32", "endbr64", "prefetchnta", "prefetcht0", "prefetcht1", "prefetcht2")
)
#: Reserved to the system although iced does not say so.
PRIVILEGED = frozenset(("wrussd", "wrussq", "setssbsy", "clrssbsy", "loadiwkey"))
#: Privileged, and all the same worth a name: gcc has one, and a user program that holds it was built for it.
NAMED_ALL_THE_SAME = frozenset(("xsaves", "xsaves64", "xrstors", "xrstors64"))

_MAPS = {0: "0", 1: "1", 2: "2", 3: "3", 4: "5", 5: "6", 6: "8", 7: "9", 8: "a"}
_ENCODINGS = {0: "legacy", 1: "vex", 2: "evex", 3: "xop", 4: "3dnow", 5: "mvex"}
_PREFIXES = {0: "*", 1: "np", 2: "66", 3: "f3", 4: "f2"}
_IMMEDIATES = {
    "IMM8": 1, "IMM8SEX16": 1, "IMM8SEX32": 1, "IMM8SEX64": 1, "IMM16": 2, "IMM32": 4, "IMM32SEX64": 4, "IMM64": 8,
    "XMM_IS4": 1, "YMM_IS4": 1, "XMM_IS5": 1, "YMM_IS5": 1,
}  # fmt: skip
_RELATIVES = {
    "BR16_1": 1, "BR32_1": 1, "BR64_1": 1, "BR16_2": 2, "BR32_4": 4, "BR64_4": 4, "XBEGIN_2": 2, "XBEGIN_4": 4,
}  # fmt: skip
#: Operand kinds that the opcode itself names.
_NO_MODRM = re.compile(
    r"(R\d+|STI)_OPCODE|MEM_OFFS|FARBR\d_2|[ECSDFG]S|[AC]L|[ER]?AX|DX|ST0|IMM4_M2Z|IMM8_CONST_1|\w+_R[SD]I|SEG_RBX_AL|NONE"
)


class Form(NamedTuple):
    """One encoding as iced tells it, before forms are merged."""

    encoding: str
    map: str
    prefix: str
    opcode: str
    w: str
    l: str  # noqa: E741 - the manuals' name
    modrm: str
    mode: str
    flow: str
    flags: str
    mnemonic: str
    features: str
    size: int
    address_size: int
    default64: bool
    immediate: str


def read_features() -> Dict[str, str]:
    """iced's CPUID names -> gcc's, ``-`` for none, ``absent``; from ``iced-features.txt``."""
    lines = (HERE / "iced-features.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(" | ", 1) for line in lines if line and not line.startswith("#"))
    return dict(pairs)


def _names(kind: Any) -> Dict[int, str]:
    return {value: name for name, value in vars(kind).items() if isinstance(value, int)}


class Describer:
    """Turns iced's ``OpCodeInfo`` into :class:`Form`."""

    def __init__(self) -> None:
        import iced_x86  # an extra

        self.iced: Any = iced_x86
        self.gcc_names = read_features()
        self.cpuid = _names(iced_x86.CpuidFeature)
        self.kinds = _names(iced_x86.OpCodeOperandKind)
        self.mnemonics = _names(iced_x86.Mnemonic)
        self.flows = _names(iced_x86.FlowControl)
        self.options = {0, iced_x86.DecoderOptions.MPX, iced_x86.DecoderOptions.KNC}

    def forms(self) -> Iterable[Form]:
        """Every form of every processor of interest."""
        for code in sorted(value for value in vars(self.iced.Code).values() if isinstance(value, int)):
            info = self.iced.OpCodeInfo(code)
            if not info.is_instruction or info.fwait or info.decoder_option not in self.options:
                continue
            instruction = self.iced.Instruction()
            instruction.code = code
            cpuid = [self.cpuid[number] for number in instruction.cpuid_features()]
            if all(self.gcc_names[name] != "absent" for name in cpuid):
                yield from self._forms_of(info, instruction, cpuid)

    def _forms_of(self, info: Any, instruction: Any, cpuid: List[str]) -> Iterable[Form]:
        mnemonic = self.mnemonics[instruction.mnemonic].lower()
        kinds = [self.kinds[kind] for kind in info.op_kinds()]
        mode32 = info.mode32
        # Near branches with 66: Intel ignores the prefix in 64-bit mode, AMD does not; code for both never has it.
        mode64 = info.mode64 and not (info.operand_size == 16 and not info.intel_decoder64 and info.amd_decoder64)
        if not mode32 and not mode64:
            return
        immediate = _immediate(kinds)
        flags = _flags(info, kinds)
        prefix = _PREFIXES[info.mandatory_prefix]
        if prefix == "*" and info.nfx:
            prefix = "nfx"
        width = "*" if info.is_wig or info.encoding in (0, 4) else str(info.w)
        length = "*" if info.is_lig or info.encoding in (0, 4) else str(info.l)
        opcode, place = _opcode(info, kinds)
        if "PADLOCK" in cpuid[0]:
            place = place.partition(":")[0]  # only reg selects among them
        mode = "*" if mode32 and mode64 else "64" if mode64 else "32"
        features = self._features(mnemonic, cpuid, info)
        flow = _flow(self.flows[instruction.flow_control], mnemonic, kinds)
        table = "0f" if info.encoding == 4 else _MAPS[info.table]

        def form(modrm: str, mode: str, width: str, features: str) -> Form:
            return Form(
                _ENCODINGS[info.encoding], table, prefix, opcode, width, length, modrm, mode, flow, flags, mnemonic,
                features, info.operand_size, info.address_size, info.default_op_size64, immediate,
            )  # fmt: skip

        for modrm in _groups(place, kinds):
            if mnemonic in ("lahf", "sahf"):
                yield form(modrm, "64", width, "sahf")
                yield form(modrm, "32", width, "")
            elif info.is_wig32 and mode == "*":
                yield form(modrm, "64", width, features)
                yield form(modrm, "32", "*", features)
            else:
                yield form(modrm, mode, width, features)

    def _features(self, mnemonic: str, cpuid: List[str], info: Any) -> str:
        if info.encoding == 0 and (mnemonic in HARMLESS or mnemonic in PRIVILEGED):
            return ""
        if info.must_be_cpl0 and mnemonic not in NAMED_ALL_THE_SAME:
            return ""
        names = {self.gcc_names[name] for name in cpuid} - {"-"}
        if "F16C" in cpuid or "FMA" in cpuid:
            names.discard("avx")
        return " ".join(sorted(names))


def _immediate(kinds: List[str]) -> str:
    if "MEM_OFFS" in kinds:
        return "moffs"
    if "FARBR2_2" in kinds or "FARBR4_2" in kinds:
        return "far"
    for kind in kinds:
        if kind in _RELATIVES:
            return f"rel{_RELATIVES[kind]}"
    size = sum(_IMMEDIATES.get(kind, 0) for kind in kinds)
    return str(size) if size else "-"


def _flags(info: Any, kinds: List[str]) -> str:
    flags = []
    if info.can_use_lock_prefix:
        flags.append("lock")
    if info.encoding in (2, 5) and (info.can_use_rounding_control or info.can_suppress_all_exceptions):
        flags.append("round")
    if any(kind.startswith("MEM_VSIB") for kind in kinds):
        flags.append("vsib")
    return " ".join(flags)


def _opcode(info: Any, kinds: List[str]) -> Tuple[str, str]:
    """The opcode column (``50+`` for eight in a row) and the ModRM column."""
    opcode, second = info.op_code, None
    if info.op_code_len == 2:
        opcode, second = opcode >> 8, opcode & 0xFF
    if any(kind.endswith("_OPCODE") and not kind.startswith("STI") for kind in kinds):
        return f"{opcode:02x}+", "-"
    if second is not None:
        anywhere = "STI_OPCODE" in kinds
        return f"{opcode:02x}", f"r/{second >> 3 & 7}" + ("" if anywhere else f":{second & 7}")
    modrm = [
        kind for kind in kinds if not _NO_MODRM.fullmatch(kind) and kind not in _IMMEDIATES and kind not in _RELATIVES
    ]
    if not modrm and info.group_index < 0 and info.rm_group_index < 0:
        return f"{opcode:02x}", "-"
    if "SIBMEM" in modrm:
        place = "s"
    elif info.ignores_mod_bits:
        place = "i"
    elif any(kind.endswith(("_OR_MEM", "_OR_MEM_MPX")) for kind in modrm):
        place = "*"
    elif any(kind.startswith("MEM") for kind in modrm):
        place = "m"
    else:
        place = "r"
    group = f"/{info.group_index}" if info.group_index >= 0 else ""
    return f"{opcode:02x}", place + group + (f":{info.rm_group_index}" if info.rm_group_index >= 0 else "")


def _groups(place: str, kinds: List[str]) -> List[str]:
    """*place* once for every register number that exists where ModRM.reg names a segment or control register."""
    if "SEG_REG" in kinds:
        return [f"{place}/{reg}" for reg in ((0, 2, 3, 4, 5) if kinds[0] == "SEG_REG" else range(6))]
    if "CR_REG" in kinds:
        return [f"{place}/{reg}" for reg in (0, 2, 3, 4)]
    return [place]


def _flow(flow: str, mnemonic: str, kinds: List[str]) -> str:
    if mnemonic in ("ud0", "ud1", "ud2", "hlt", "int3"):
        return "stop"
    if flow == "CALL" and any(kind in _RELATIVES for kind in kinds):
        return "call"
    if mnemonic == "skinit":
        return "next"
    if flow == "CALL" and any(kind.startswith("FARBR") for kind in kinds):
        return "call-indirect"
    if flow == "UNCONDITIONAL_BRANCH":
        return "jump" if any(kind in _RELATIVES for kind in kinds) else "jump-indirect"
    if mnemonic == "xbegin":
        return "branch"
    return {
        "INDIRECT_BRANCH": "jump-indirect", "CONDITIONAL_BRANCH": "branch", "RETURN": "return",
        "INDIRECT_CALL": "call-indirect",
    }.get(flow, "next")  # fmt: skip


def _merge(forms: Iterable[Form]) -> List[Tuple[str, ...]]:
    """Joins forms that differ in operand or address size only, where the size tells nothing but the immediate's."""
    groups: Dict[Tuple[str, ...], List[Form]] = {}
    for form in forms:
        groups.setdefault((*form[:7], *form[8:12]), []).append(form)
    rows: Set[Tuple[str, ...]] = set()
    # A second form with the same bytes and another name needs the size to tell the two apart.
    names: Dict[Tuple[str, ...], Set[Tuple[str, str, str]]] = {}
    for form in (form for group in groups.values() for form in group):
        for mode in ("64", "32") if form.mode == "*" else (form.mode,):
            place = (form.encoding, form.map, form.prefix, form.opcode, form.w, form.l, form.modrm, mode)
            names.setdefault(place, set()).add((form.mnemonic, form.flow, form.features))
    for group in groups.values():
        for form in group:
            modes = ("64", "32") if form.mode == "*" else (form.mode,)
            for mode in modes:
                place = (form.encoding, form.map, form.prefix, form.opcode, form.w, form.l, form.modrm, mode)
                alone = len(names[place]) == 1
                siblings = [other for other in group if mode == other.mode or other.mode == "*"]
                immediate = _sized(form, siblings)
                size = "-"
                if not alone:
                    size = _size(form)
                rows.add((*form[:7], mode, size, immediate, form.flow, form.flags, form.mnemonic, form.features))
    return _join_modes(rows)


def _sized(form: Form, siblings: List[Form]) -> str:
    """The immediate column: ``z`` and ``v`` follow the operand size, ``relz`` likewise."""
    sizes = {other.immediate for other in siblings}
    if len(sizes) == 1:
        return form.immediate
    if sizes == {"2", "4"}:
        return "z"
    if sizes == {"2", "4", "8"}:
        return "v"
    if sizes == {"rel2", "rel4"}:
        return "relz"
    message = f"immediates {sizes} of {form}"
    raise ValueError(message)


def _size(form: Form) -> str:
    if form.address_size:
        return f"a{form.address_size}"
    return f"{'d' if form.default64 else 'o'}{form.size}" if form.size else "-"


def _join_modes(rows: Set[Tuple[str, ...]]) -> List[Tuple[str, ...]]:
    joined = []
    for row in rows:
        other = (*row[:7], "32" if row[7] == "64" else "64", *row[8:])
        if other in rows:
            joined.append((*row[:7], "*", *row[8:]))
        else:
            joined.append(row)
    return sorted(set(joined), key=_order)


def _order(row: Tuple[str, ...]) -> Tuple[object, ...]:
    prefix = ("*", "nfx", "np", "66", "f3", "f2").index(row[2])
    return (row[0], int(row[1], 16), int(row[3].rstrip("+"), 16), prefix, row)


_HEAD = """\
# Generated by generate.py from iced-x86 {version}; do not edit. What it lacks stands in the hand-written tables.
# Columns (see rows.py): {columns}
"""
_COLUMNS = (
    "encoding | map | prefix | opcode | W | L | modrm | mode | size | immediate | flow | flags | mnemonic | features"
)


def tables() -> Dict[str, str]:
    """File name -> contents of all generated tables."""
    describer = Describer()
    files: Dict[str, List[str]] = {}
    for row in _merge(describer.forms()):
        files.setdefault(f"{row[0]}.txt", []).append(" | ".join(cell or "-" for cell in row))
    head = _HEAD.format(version=importlib.metadata.version("iced-x86"), columns=_COLUMNS)
    return {name: head + "\n".join(lines) + "\n" for name, lines in files.items()}


def main(arguments: Optional[List[str]] = None) -> int:
    """Writes the tables, or with ``--check`` says which differ (exit status 1)."""
    check = "--check" in (sys.argv[1:] if arguments is None else arguments)
    different = 0
    for name, text in sorted(tables().items()):
        path = HERE / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        different += 1
        if check:
            sys.stderr.write(f"{name} differs from what the generator writes\n")
        else:
            path.write_text(text, encoding="utf-8")
    return 1 if check and different else 0


if __name__ == "__main__":
    sys.exit(main())
