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
