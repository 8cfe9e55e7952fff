"""Relocatable objects and static archives: laid out and relocated so that control flow can be followed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from baseline_build import decode, elf
from baseline_build.decode import Flow
from baseline_build.elf import archive
from baseline_build.errors import BrokenInputError
from tests.elf import samples
from tests.tools import require_tool

SOURCE = r"""
extern int outside(int);
extern int shared_number;
static volatile int hits;
static int __attribute__((noinline)) inner(int x) { hits++; return x * 3; }
int __attribute__((noinline)) outer(int x) { return inner(x) + outside(x) + shared_number; }
int (*table[])(int) = { outer, outside };
__attribute__((constructor)) static void begin(void) { hits = 1; }
const char *text(void) { return "words"; }
int tail(int x) { return outer(x + 1); }
"""

COMPILERS = {
    "gcc": ("gcc",), "clang": ("clang",), "gcc -m32": ("gcc", "-m32"),
    "arm64 gcc": ("aarch64-linux-gnu-gcc",), "arm64 clang": ("clang", "--target=aarch64-linux-gnu"),
}  # fmt: skip


def compiled(folder: Path, compiler: Tuple[str, ...], *options: str) -> Path:
    require_tool(compiler[0])
    place = folder / "object.c"
    place.write_text(SOURCE)
    target = folder / f"{'-'.join(compiler + options)}.o".replace("/", "_")
    samples.run(*compiler, *options, "-c", str(place), "-o", str(target))
    return target


def flows(image: elf.Image, function: str) -> List[int]:
    """Targets of the direct calls and jumps in *function*."""
    (found,) = [f for f in image.functions if f.name == function]
    region = image.region_of(found.address)
    assert region is not None
    targets, address = [], found.address
    while address < found.address + found.size:
        step = decode.instruction(image.machine, region.data, region.address, address - region.address)
        if step.flow in (Flow.CALL, Flow.JUMP) and step.target is not None:
            targets.append(step.target)
        address += step.length
    return targets


@pytest.mark.parametrize("name", list(COMPILERS))
@pytest.mark.parametrize("options", [("-O2",), ("-O2", "-fPIC", "-ffunction-sections", "-fdata-sections"), ("-O0",)])
def test_calls_lead_where_the_linker_would_lead_them(tmp_path: Path, name: str, options: Tuple[str, ...]) -> None:
    path = compiled(tmp_path, COMPILERS[name], *options)
    image = elf.parse(path.read_bytes(), path.name)
    assert image.kind == "object"
    by_name: Dict[str, int] = {f.name: f.address for f in image.functions if f.name}
    names = {**{address: title for title, address in by_name.items()}, **image.stubs}
    called = {names.get(target) for target in flows(image, "outer")}
    assert {"inner", "outside"} <= called
    assert "outer" in {names.get(target) for target in flows(image, "tail")}
    table = next(s.address for s in image.symbols if s.name == "table")
    width = image.bits // 8
    assert image.pointer(table) == by_name["outer"]
    assert image.imports[table + width] == "outside"
    assert by_name["begin"] in image.initialisers
    assert all(f.size for f in image.functions if f.name in ("outer", "inner", "tail"))
    assert not image.is_code(min(image.stubs))


@pytest.mark.parametrize("name", ["gcc", "arm64 gcc"])
def test_data_references_lead_to_the_data(tmp_path: Path, name: str) -> None:
    path = compiled(tmp_path, COMPILERS[name], "-O2")
    image = elf.parse(path.read_bytes(), path.name)
    (text,) = [f for f in image.functions if f.name == "text"]
    region = image.region_of(text.address)
    assert region is not None
    sweep = decode.sweep(image.machine, region.data, region.address, [f.address for f in image.functions])
    targets = [
        target
        for source, target in zip(sweep.reference_addresses, sweep.reference_targets)
        if text.address <= source < text.address + text.size
    ]
    assert b"words\0" in {image.read(target, 6) for target in targets}


def test_an_object_without_symbols_still_has_its_code(tmp_path: Path) -> None:
    path = compiled(tmp_path, ("gcc",), "-O2", "-ffunction-sections")
    samples.run("strip", "--strip-unneeded", str(path))
    image = elf.parse(path.read_bytes(), path.name)
    assert sum(len(region.data) for region in image.regions) > 0
    assert any(f.size for f in image.functions)


def test_unknown_relocation_is_refused(tmp_path: Path) -> None:
    path = compiled(tmp_path, ("gcc",), "-O2")
    raw = bytearray(path.read_bytes())
    image = elf.parse(raw, "whole")
    table = next(s for s in image.sections if s.name == ".rela.text")
    struct.pack_into("<I", raw, table.offset + 8, 99)
    with pytest.raises(BrokenInputError) as caught:
        elf.parse(raw, "changed")
    assert caught.value.code == "BB406"


def test_archives_of_gnu_and_bsd_names(tmp_path: Path) -> None:
    first = compiled(tmp_path, ("gcc",), "-O2")
    second = tmp_path / "an_object_with_a_name_longer_than_fifteen.o"
    second.write_bytes(first.read_bytes())
    library = tmp_path / "libsample.a"
    samples.run("ar", "rcs", str(library), str(first), str(second))
    found = list(archive.members(library.read_bytes(), library.name))
    assert [member.name for member in found] == [first.name, second.name]
    assert bytes(found[1].data) == first.read_bytes()
    assert library.read_bytes()[found[0].offset :].startswith(b"\x7fELF")

    tool = require_tool("llvm-ar-19", "llvm-ar", "llvm-ar-14")
    bsd = tmp_path / "libbsd.a"
    samples.run(tool, "--format=bsd", "rcs", str(bsd), str(first), str(second))
    assert [m.name for m in archive.members(bsd.read_bytes(), "bsd")] == [first.name, second.name]


def test_thin_and_damaged_archives_are_refused(tmp_path: Path) -> None:
    first = compiled(tmp_path, ("gcc",), "-O2")
    thin = tmp_path / "thin.a"
    samples.run("ar", "rcsT", str(thin), str(first))
    with pytest.raises(BrokenInputError) as caught:
        list(archive.members(thin.read_bytes(), "thin.a"))
    assert caught.value.code == "BB408"

    whole = tmp_path / "whole.a"
    samples.run("ar", "rcs", str(whole), str(first))
    raw = whole.read_bytes()
    for damaged in (raw[:-100], raw[:40], raw.replace(b"`\n", b"  ", 1), raw[:56] + b"x" + raw[57:]):
        with pytest.raises(BrokenInputError) as caught:
            list(archive.members(damaged, "damaged.a"))
        assert caught.value.code == "BB407"
