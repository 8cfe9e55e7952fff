"""Linked files of four linkers, whole, stripped and without section headers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict

import pytest

from baseline_build import elf
from baseline_build.isa import Machine
from tests.elf import samples
from tests.tools import require_tool

ALL = [
    (linker, kind) for linker in samples.LINKERS for kind in samples.KINDS if (linker, kind) != ("gold", "static-pie")
]


def parsed(path: Path) -> elf.Image:
    return elf.parse(path.read_bytes(), path.name)


def symbols(path: Path) -> Dict[str, int]:
    """Name -> address, as nm tells."""
    rows = (line.split() for line in samples.run("nm", str(path)).splitlines())
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3}


def code_sections(path: Path) -> Dict[str, range]:
    rows = samples.run("readelf", "-SW", str(path)).splitlines()
    found = {}
    for row in rows:
        match = re.match(r"\s*\[\s*\d+\] (\S+)\s+\w+\s+([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+) [0-9a-f]+\s+(\w*X\w*)", row)
        if match and int(match[3], 16):
            found[match[1]] = range(int(match[2], 16), int(match[2], 16) + int(match[3], 16))
    return found


@pytest.mark.parametrize(("linker", "kind"), ALL)
def test_every_code_section_is_a_region(samples_folder: Path, linker: str, kind: str) -> None:
    path = samples.built(samples_folder, "gcc", linker, kind)
    image = parsed(path)
    assert {region.name: range(region.address, region.end) for region in image.regions} == code_sections(path)
    assert image.machine is Machine.X86_64
    assert image.kind == ("shared" if kind == "shared" else "executable")
    assert (image.entry is None) == (kind == "shared")


@pytest.mark.parametrize(("linker", "kind"), ALL)
def test_functions_initialisers_and_resolvers(samples_folder: Path, linker: str, kind: str) -> None:
    path = samples.built(samples_folder, "gcc", linker, kind)
    image, names = parsed(path), symbols(path)
    by_name = {function.name: function for function in image.functions}
    for name in ("main", "work", "plain", "special", "begin", "finish"):
        assert by_name[name].address == names[name]
        assert by_name[name].size > 0
    assert names["begin"] in image.initialisers
    assert names["choose"] in image.resolvers.values()
    assert names["work"] in image.relocations.values() or image.word(names["table"]) == names["work"]
    assert image.pointer(names["table"]) == names["work"]
    if kind == "shared":
        assert "printf" in image.stubs.values()
        assert image.exports["work"] == names["work"]
        assert image.tls_slots
    if kind in ("pie", "fixed"):
        assert "printf" in image.stubs.values() or "__printf_chk" in image.stubs.values()
        assert image.interpreter
        assert image.needed == ("libc.so.6",)
    if "static" not in kind:
        slots = [*image.imports, *image.local_stubs.values()]
        assert all(image.read(slot, 8) for slot in slots if slot not in image.imports)


@pytest.mark.parametrize(("linker", "kind"), ALL)
def test_stripping_loses_names_only(samples_folder: Path, linker: str, kind: str) -> None:
    path = samples.built(samples_folder, "gcc", linker, kind)
    whole, bare = parsed(path), parsed(samples.stripped(path))
    assert bare.symbols == ()
    assert bare.stubs == whole.stubs
    assert bare.local_stubs == whole.local_stubs
    assert bare.resolvers == whole.resolvers
    assert bare.initialisers == whole.initialisers
    framed = {function.address for function in bare.functions if function.size}
    names = symbols(path)
    assert {names[name] for name in ("main", "work", "begin", "finish")} <= framed


@pytest.mark.parametrize(("linker", "kind"), ALL)
def test_without_section_headers_the_segments_tell(samples_folder: Path, linker: str, kind: str) -> None:
    path = samples.built(samples_folder, "gcc", linker, kind)
    whole, bare = parsed(path), parsed(samples.without_headers(path))
    assert bare.sections == ()
    for region in whole.regions:
        for address in (region.address, region.end - 1):
            assert bare.is_code(address), f"{region.name} is lost"
    assert bare.stubs == whole.stubs
    assert bare.resolvers == whole.resolvers
    names = symbols(path)
    framed = {function.address for function in bare.functions if function.size}
    assert {names[name] for name in ("main", "work", "begin", "finish")} <= framed
    # The unwind tables and the loader's own tables are data, wherever the linker put them.
    tables = {".eh_frame", ".eh_frame_hdr", ".dynsym", ".dynstr", ".rela.dyn", ".rela.plt"}
    if not whole.needed:
        tables = {".eh_frame"}  # nothing tells of the others in a static program
    for section in whole.sections:
        if section.name in tables:
            assert not bare.is_code(section.address), f"{section.name} passes for code"


@pytest.mark.parametrize("linker", ["bfd", "lld", "mold"])  # gold cannot pack relative relocations
def test_packed_relative_relocations(samples_folder: Path, linker: str) -> None:
    flag = "-Wl,-z,pack-relative-relocs" if linker in ("bfd", "mold") else "-Wl,--pack-dyn-relocs=relr"
    plain = samples.built(samples_folder, "gcc", linker, "shared")
    packed = samples.built(samples_folder, "gcc", linker, "shared", ("-O2", flag))
    image, names = parsed(packed), symbols(packed)
    assert image.pointer(names["table"]) == names["work"]
    assert names["begin"] in image.initialisers
    assert len(image.relocations) == len(parsed(plain).relocations)


@pytest.mark.parametrize("linker", ["bfd", "gold", "lld", "mold"])
def test_32_bit_files(samples_folder: Path, linker: str) -> None:
    source = "extern int far(int); int near(int x) { return far(x) + 1; } int (*table[])(int) = { near };"
    path = samples.built(
        samples_folder, "gcc", linker, "shared", ("-m32", "-O1", "-nostdlib", "-Wl,--eh-frame-hdr"), source
    )
    image, names = parsed(path), symbols(path)
    assert image.machine is Machine.I386
    assert image.bits == 32
    assert image.pointer(names["table"]) == names["near"]
    assert "far" in image.imports.values()
    assert "far" in image.stubs.values()


@pytest.mark.parametrize("kind", ["shared", "pie", "static"])
def test_arm64_files(samples_folder: Path, kind: str) -> None:
    require_tool("aarch64-linux-gnu-gcc")
    path = samples_folder / f"arm-{kind}"
    place = path.with_suffix(".c")
    place.write_text(samples.PORTABLE)
    samples.run("aarch64-linux-gnu-gcc", "-O2", *samples.KINDS[kind], str(place), "-o", str(path))
    image, names = parsed(path), symbols(path)
    assert image.machine is Machine.AARCH64
    assert image.pointer(names["table"]) == names["work"]
    assert names["begin"] in image.initialisers
    if kind != "static":
        assert "printf" in image.stubs.values()
    bare = parsed(samples.without_headers(path))
    assert bare.stubs == image.stubs
    assert all(bare.is_code(region.address) for region in image.regions)


def test_code_that_section_headers_hide_is_found(samples_folder: Path) -> None:
    """Section headers that call .text data do not hide what runs on load."""
    path = samples.built(samples_folder, "gcc", "bfd", "pie")
    raw = bytearray(path.read_bytes())
    image = parsed(path)
    text = next(section for section in image.sections if section.name == ".text")
    header = int.from_bytes(raw[40:48], "little") + 64 * text.index
    flags = int.from_bytes(raw[header + 8 : header + 16], "little")
    raw[header + 8 : header + 16] = (flags & ~4).to_bytes(8, "little")
    hidden = elf.parse(raw, "hidden")
    assert image.entry is not None
    assert hidden.is_code(image.entry)
    assert hidden.is_code(text.address + text.size - 1)


def test_runpath_soname_and_needed(samples_folder: Path) -> None:
    options = ("-O1", "-Wl,-rpath,/opt/somewhere", "-Wl,-soname,libthis.so.3", "-Wl,--enable-new-dtags")
    image = parsed(samples.built(samples_folder, "gcc", "bfd", "shared", options))
    assert (image.soname, image.runpath, image.rpath) == ("libthis.so.3", "/opt/somewhere", None)
    old = parsed(samples.built(samples_folder, "gcc", "bfd", "shared", (*options[:-1], "-Wl,--disable-new-dtags")))
    assert (old.runpath, old.rpath) == (None, "/opt/somewhere")


def test_marks_of_debug_information_are_no_addresses(tmp_path: Path) -> None:
    """Sections that are not loaded have mapping symbols whose values could be anywhere in the code."""
    require_tool("aarch64-linux-gnu-gcc")
    source, path = tmp_path / "marked.s", tmp_path / "marked.so"
    source.write_text(
        ".text\n.globl start\n.type start, %function\nstart:\n.rept 4096\n.inst 0x04e0e3e0\n.endr\nret\n"
        '.section .debug_none, "", %progbits\n.space 8192\n"$d":\n.space 8\n'
    )
    samples.run("aarch64-linux-gnu-gcc", "-shared", "-nostdlib", "-Wl,--build-id=none", str(source), "-o", str(path))
    image = elf.parse(path.read_bytes(), path.name)
    (text,) = [region for region in image.regions if region.name == ".text"]
    assert any(s.name == "$d" and text.address < s.address < text.end for s in image.symbols), "the sample has none"
    assert image.data_ranges == ()
