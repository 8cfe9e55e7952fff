"""Source lines and compile flags of single addresses."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from baseline_build import elf
from baseline_build.elf import lines
from baseline_build.errors import BrokenInputError
from tests.elf import samples
from tests.tools import require_tool

FIRST = "int first(int x)\n{\n  return x * 7;\n}\n"
SECOND = "int first(int);\nint second(int x)\n{\n  return first(x) + 1;\n}\nint main(void) { return second(2); }\n"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "first.c").write_text(FIRST)
    (tmp_path / "second.c").write_text(SECOND)
    return tmp_path


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_line_and_flags_of_an_address(sources: Path, compiler: str, version: int) -> None:
    require_tool(compiler)
    flags = (f"-gdwarf-{version}", "-O1", "-msse4.2") if compiler == "gcc" else (f"-gdwarf-{version}", "-O1")
    samples.run(compiler, *flags, "part/first.c", "second.c", "-o", "program", cwd=sources)
    path = sources / "program"
    image = elf.parse(path.read_bytes(), "program")
    by_name = {f.name: f for f in image.functions}
    with closing(lines.Lines(image)) as reader:
        first = reader.locate(by_name["first"].address)
        second = reader.locate(by_name["second"].address)
        assert first is not None
        assert second is not None
        for found, name in ((first, "first"), (second, "second")):
            oracle = samples.run("addr2line", "-e", str(path), hex(by_name[name].address)).split()[0]
            assert oracle == f"{sources}/{found.file}:{found.line}"
        assert first.file == "part/first.c"
        # The library's start code has no debug information here, and no unit claims it.
        assert reader.locate(by_name["_start"].address) is None
        assert reader.locate(0x10) is None
    assert first.flags is not None
    assert ("-msse4.2" in first.flags) == (compiler == "gcc")


def test_flags_differ_by_unit(sources: Path) -> None:
    samples.run("gcc", "-g", "-c", "-O1", "part/first.c", "-o", "first.o", cwd=sources)
    samples.run("gcc", "-g", "-c", "-O1", "-mavx2", "second.c", "-o", "second.o", cwd=sources)
    samples.run("gcc", "first.o", "second.o", "-o", "program", cwd=sources)
    image = elf.parse((sources / "program").read_bytes(), "program")
    by_name = {f.name: f for f in image.functions}
    with closing(lines.Lines(image)) as reader:
        first, second = (reader.locate(by_name[name].address) for name in ("first", "second"))
    assert first is not None
    assert second is not None
    assert "-mavx2" not in (first.flags or "")
    assert "-mavx2" in (second.flags or "")


COMPILERS = {
    "gcc": ("gcc", "addr2line"), "clang": ("clang", "addr2line"), "gcc -m32": ("gcc -m32", "addr2line"),
    "arm64 gcc": ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-addr2line"),
    "arm64 clang": ("clang --target=aarch64-linux-gnu", "aarch64-linux-gnu-addr2line"),
}  # fmt: skip
TWO = FIRST + "struct pair { int a, b; };\n" + "int other(struct pair *p)\n{\n  return p->a * p->b;\n}\n"


@pytest.mark.parametrize("name", list(COMPILERS))
@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("options", ["", "-ffunction-sections", "-gz", "-fdebug-types-section"])
def test_line_and_flags_in_an_object(tmp_path: Path, name: str, version: int, options: str) -> None:
    """Each section of an object begins at 0, and what DWARF says of it stands in relocations."""
    compiler, addr2line = COMPILERS[name]
    command = [*compiler.split(), f"-gdwarf-{version}", *options.split()]
    require_tool(command[0])
    require_tool(addr2line)
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "two.c").write_text(TWO)
    samples.run(*command, "-c", "part/two.c", "-o", "two.o", cwd=tmp_path)
    image = elf.parse((tmp_path / "two.o").read_bytes(), "two.o")
    sections = {s.index: s for s in image.sections}
    functions = [s for s in image.symbols if s.name in ("first", "other")]
    assert len(functions) == 2
    assert len({s.section for s in functions}) == (2 if "sections" in options else 1)
    with closing(lines.Lines(image)) as reader:
        for function in functions:
            found = reader.locate(function.address)
            assert found is not None
            section = sections[function.section]
            offset = hex(function.address - section.address)
            oracle = samples.run(addr2line, "-j", section.name, "-e", str(tmp_path / "two.o"), offset).split()[0]
            assert found.file == "part/two.c"
            # addr2line loses the folder where type units stand before the unit.
            assert oracle in (f"{tmp_path}/part/two.c:{found.line}", f"part/two.c:{found.line}")
            assert ("GNU C" in (found.flags or "")) is ("gcc" in name)
        assert reader.locate(0x10) is None


def test_damaged_debug_information_of_an_object_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "two.c").write_text(TWO)
    samples.run("gcc", "-g", "-gz", "-c", "two.c", "-o", "two.o", cwd=tmp_path)
    raw = (tmp_path / "two.o").read_bytes()
    image = elf.parse(raw, "two.o")
    info = next(s for s in image.sections if s.name == ".debug_info")
    table = next(s for s in image.sections if s.name == ".rela.debug_info")
    assert info.flags & 0x800
    for at, value, said in (
        (info.offset, 2, "section .debug_info is compressed in way 2"),
        (info.offset + 8, 1 << 40, "more than the 128 MiB that are read of an object"),
        (info.offset + 8, 7 << 10, "section .debug_info expands to"),
        (info.offset + 24, 0, "section .debug_info cannot be expanded"),
        (table.offset, 1 << 40, "a relocation at 0x10000000000 of .debug_info leads nowhere"),
    ):
        changed = bytearray(raw)
        changed[at : at + 8] = value.to_bytes(8, "little")
        damaged = elf.parse(bytes(changed), "two.o")
        with pytest.raises(BrokenInputError) as caught:
            lines.Lines(damaged)
        assert caught.value.code == "BB409"
        assert said in caught.value.what


def test_damaged_debug_information_is_one_error(sources: Path) -> None:
    samples.run("gcc", "-g", "part/first.c", "second.c", "-o", "program", cwd=sources)
    raw = bytearray((sources / "program").read_bytes())
    image = elf.parse(bytes(raw), "program")
    section = next(s for s in image.sections if s.name == ".debug_info")
    raw[section.offset : section.offset + section.size] = b"\xff" * section.size
    damaged = elf.parse(raw, "damaged")
    address = next(f.address for f in damaged.functions if f.name == "first")

    def look() -> None:
        with closing(lines.Lines(damaged)) as reader:
            reader.locate(address)

    with pytest.raises(BrokenInputError) as caught:
        look()
    assert caught.value.code == "BB409"


def test_files_without_debug_information_say_so(sources: Path) -> None:
    samples.run("gcc", "part/first.c", "second.c", "-o", "program", cwd=sources)
    assert not lines.available(elf.parse((sources / "program").read_bytes(), "program"))


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_line_programs_give_the_rows_pyelftools_gives(tmp_path: Path, compiler: str, version: int) -> None:
    require_tool(compiler)
    (tmp_path / "sample.c").write_text(samples.SOURCE.replace('ifunc("choose")', "weak"))
    samples.run(compiler, f"-gdwarf-{version}", "-O2", "-fPIC", "-c", "sample.c", cwd=tmp_path)
    samples.run(compiler, "-shared", "sample.o", "-o", "sample.so", cwd=tmp_path)
    image = elf.parse((tmp_path / "sample.so").read_bytes(), "sample.so")
    with closing(lines.Lines(image)) as reader:
        seen = 0
        for unit in reader._dwarf.iter_CUs():
            program = reader._dwarf.line_program_for_CU(unit)
            expected = [
                (entry.state.address, entry.state.file, 0 if entry.state.end_sequence else entry.state.line)
                for entry in program.get_entries()
                if entry.state is not None
            ]
            assert reader._run(program) == expected
            seen += len(expected)
    assert seen > 10
