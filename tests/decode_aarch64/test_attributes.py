"""What files of other machines declare, read from files that real assemblers and linkers wrote."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Optional, Sequence

import pytest

from baseline_build import elf
from baseline_build.elf import attributes
from baseline_build.errors import BrokenInputError
from baseline_build.isa import Machine
from baseline_build.isa.others import declared_baseline, declared_isa
from tests.tools import require_tool

BINUTILS = {
    "riscv64": "riscv64-linux-gnu",
    "ppc64le": "powerpc64le-linux-gnu",
    "s390x": "s390x-linux-gnu",
    "arm": "arm-linux-gnueabihf",
}


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _linked(folder: Path, machine: str, source: str, options: Sequence[str] = (), strip: bool = False) -> elf.Image:
    """A shared object that *machine*'s assembler and linker made of *source*."""
    tools = BINUTILS[machine]
    (folder / "x.s").write_text(source + "\n", encoding="utf-8")
    _run(require_tool(f"{tools}-as"), *options, "-o", str(folder / "x.o"), str(folder / "x.s"))
    target = folder / "x.so"
    _run(require_tool(f"{tools}-ld"), "-shared", "-o", str(target), str(folder / "x.o"))
    if strip:
        _run(require_tool(f"{tools}-strip"), "--strip-all", str(target))
    return elf.parse(target.read_bytes(), "x.so")


RISCV = [
    ("rv64gc", "rv64gc", False),
    ("rv64g", "rv64g", False),
    ("rv64gc_zba_zbb_zbs", None, True),
    ("rv64gcv", None, True),
    ("rv64imac", None, False),
]


@pytest.mark.parametrize(("march", "level", "is_above"), RISCV)
@pytest.mark.parametrize("strip", [False, True])
def test_riscv(tmp_path: Path, march: str, level: Optional[str], is_above: bool, strip: bool) -> None:
    image = _linked(tmp_path, "riscv64", ".globl f\nf: ret", [f"-march={march}"], strip)
    found = attributes.declared(image)
    assert found is not None
    if level:
        assert found == level
    else:
        names, told = attributes.riscv_extensions(march), attributes.riscv_extensions(found)
        isa = declared_isa(Machine.RISCV64)
        assert isa is not None
        assert names is not None
        assert told is not None
        assert names <= isa.closure(told)
    assert attributes.above(image.machine, found, "rv64gc") is is_above
    assert attributes.above(image.machine, found, "rva23u64") is False


def test_riscv_section_headers_gone(tmp_path: Path) -> None:
    _linked(tmp_path, "riscv64", ".globl f\nf: ret", ["-march=rv64gcv"])
    data = bytearray((tmp_path / "x.so").read_bytes())
    struct.pack_into("<Q", data, 40, 0)  # e_shoff
    struct.pack_into("<HH", data, 60, 0, 0)  # e_shnum, e_shstrndx
    found = attributes.declared(elf.parse(bytes(data), "x.so"))
    assert attributes.above(Machine.RISCV64, found, "rv64gc") is True


ARM = [
    (".arch armv6kz\n.fpu vfpv2", "armv6", False),
    (".arch armv7-a\n.fpu vfpv3-d16", "armv7-a", False),
    (".arch armv7-a\n.fpu neon", "armv7-a+neon", True),
    (".arch armv7ve\n.fpu neon-vfpv4", None, True),
    (".arch armv8-a\n.fpu neon-fp-armv8", "armv8-a", True),
]


@pytest.mark.parametrize(("directives", "level", "is_above"), ARM)
def test_arm(tmp_path: Path, directives: str, level: Optional[str], is_above: bool) -> None:
    image = _linked(tmp_path, "arm", f".syntax unified\n{directives}\n.globl f\nf: bx lr")
    found = attributes.declared(image)
    assert found is not None
    assert level is None or found == level
    assert attributes.above(image.machine, found, "armv7-a") is is_above


def test_arm_microcontroller_is_above_every_application_level(tmp_path: Path) -> None:
    source = ".syntax unified\n.arch armv7-m\n.thumb\n.globl f\nf: bx lr"
    image = _linked(tmp_path, "arm", source)
    assert attributes.above(image.machine, attributes.declared(image), "armv8-a") is True


def test_arm_compiler(tmp_path: Path) -> None:
    compiler = require_tool("arm-linux-gnueabihf-gcc")
    (tmp_path / "x.c").write_text("float f(float a, float b) { return a * b; }\n", encoding="utf-8")
    for options, is_above in ((("-march=armv7-a+fp",), False), (("-march=armv8-a+simd",), True)):
        target = tmp_path / "x.so"
        _run(compiler, *options, "-O2", "-shared", "-nostdlib", "-o", str(target), str(tmp_path / "x.c"))
        image = elf.parse(target.read_bytes(), "x.so")
        assert attributes.above(image.machine, attributes.declared(image), "armv7-a") is is_above


@pytest.mark.parametrize(
    ("source", "level"),
    [
        (".abiversion 2\n.globl f\n.type f,@function\nf: blr", "power8"),
        (".abiversion 2\n.globl f\n.type f,@function\nf: .localentry f,1\n pli 3,1\n blr", "power10"),
    ],
)
def test_power(tmp_path: Path, source: str, level: str) -> None:
    image = _linked(tmp_path, "ppc64le", source, ["-mpower10"])
    assert attributes.declared(image) == level
    assert attributes.above(image.machine, level, "power9") is (level == "power10")


@pytest.mark.parametrize(
    ("source", "level"), [("", None), (".gnu_attribute 8, 1", "z900"), (".gnu_attribute 8, 2", "z13")]
)
def test_s390(tmp_path: Path, source: str, level: Optional[str]) -> None:
    image = _linked(tmp_path, "s390x", f"{source}\n.globl f\nf: br %r14")
    assert attributes.declared(image) == level
    assert attributes.above(image.machine, level, "z900") is {None: None, "z900": False, "z13": True}[level]


@pytest.mark.parametrize(
    ("abi", "features", "level"),
    [("lp64d", "+d", "loongarch64"), ("lp64f", "+f", "la64-singlefloat"), ("lp64s", "", "la64-softfloat")],
)
def test_loongarch(tmp_path: Path, abi: str, features: str, level: str) -> None:
    assembler = require_tool("llvm-mc-19", "llvm-mc")
    (tmp_path / "x.s").write_text(".globl f\nf: ret\n", encoding="utf-8")
    target = tmp_path / "x.o"
    _run(
        assembler, "-triple=loongarch64", f"-mattr={features}", f"-target-abi={abi}", "-filetype=obj",
        "-o", str(target), str(tmp_path / "x.s"),
    )  # fmt: skip
    image = elf.parse(target.read_bytes(), "x.o")
    assert attributes.declared(image) == level
    assert attributes.above(image.machine, level, "loongarch64") is False


def test_every_machine_has_a_baseline_among_its_levels() -> None:
    for machine in (Machine.ARM, Machine.PPC64LE, Machine.S390X, Machine.RISCV64, Machine.LOONGARCH64):
        isa, baseline = declared_isa(machine), declared_baseline(machine)
        assert isa is not None
        assert baseline in isa.levels
    assert declared_isa(Machine.X86_64) is None
    assert declared_baseline(Machine.OTHER) is None


def test_what_is_not_understood_is_not_judged() -> None:
    assert attributes.above(Machine.RISCV64, "rv64gc", "x86-64") is None
    assert attributes.above(Machine.RISCV64, None, "rv64gc") is None
    assert attributes.above(Machine.ARM, "v7", "no-such-level") is None
    assert attributes.above(Machine.X86_64, "x86-64-v2", "x86-64") is None
    assert attributes.riscv_extensions("rv32imac") is None


@pytest.mark.parametrize("cut", [1, 5, 9, 20, 30])
def test_malformed_attributes_are_broken_input(tmp_path: Path, cut: int) -> None:
    image = _linked(tmp_path, "riscv64", ".globl f\nf: ret", ["-march=rv64gc"])
    section = next(section for section in image.sections if section.name == ".riscv.attributes")
    data = bytearray(image.data)
    data[section.offset + cut : section.offset + section.size] = b"\xff" * (section.size - cut)
    with pytest.raises(BrokenInputError) as caught:
        attributes.declared(elf.parse(bytes(data), "x.so"))
    assert caught.value.code == "BB403"
