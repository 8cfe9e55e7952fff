"""Real builds of small projects: what comes out, and what never does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Callable

import pytest

from tests.tools import require_tool

from .conftest import PROJECTS, Project, members, unpacked

Copy = Callable[[str], Project]

pytestmark = pytest.mark.build

FOREIGN = re.compile(r"\b[yz]mm\d|\bv[a-z]+[a-z0-9]*\s.*%xmm|\bv(pxor|zeroupper|mov)")


def objdump(path: Path) -> str:
    command = [require_tool("objdump"), "-d", "--no-show-raw-insn", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_extension(project: Copy, tmp_path: Path) -> None:
    wheel = project("extension").wheel()
    tag = f"cp3{sys.version_info[1]}" if sys.implementation.name == "cpython" else "pp3"
    assert wheel.name.startswith(f"small_extension-1.0-{tag}")
    assert "any" not in wheel.name
    (name,) = members(wheel)
    assert re.fullmatch(r"small_extension\..*\.so", name)
    unpacked(wheel, tmp_path / "out")
    code = "import small_extension as s; assert s.total(1.0) == 204.0"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "out", check=True)


def test_what_is_linked_is_stripped_and_knows_no_folder_of_this_machine(project: Copy, tmp_path: Path) -> None:
    wheel = project("extension").wheel(LDFLAGS="-Wl,-rpath,/usr/somewhere/lib")
    files = unpacked(wheel, tmp_path / "out")
    module = next(path for path in files if path.suffix == ".so")
    told = subprocess.run([require_tool("readelf"), "-dS", str(module)], capture_output=True, text=True, check=True)
    assert "RUNPATH" not in told.stdout
    assert "RPATH" not in told.stdout
    assert ".symtab" not in told.stdout
    assert ".debug_info" not in told.stdout
    assert str(tmp_path).encode() not in module.read_bytes()
    assert b"baseline-build-" not in module.read_bytes()


def test_program_and_data(project: Copy, tmp_path: Path) -> None:
    wheel = project("program").wheel()
    assert re.fullmatch(r"small_program-1\.0-py3-none-linux_\w+\.whl", wheel.name)
    assert members(wheel) == ["prog/__init__.py", "prog/_bin/hello", "prog/data/a.txt", "prog/data/deep/b.txt"]
    with zipfile.ZipFile(wheel) as archive:
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
    assert modes["prog/_bin/hello"] == 0o755
    assert modes["prog/data/a.txt"] == 0o644
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(command, check=True)
    answer = subprocess.run([str(target / "prog/_bin/hello")], capture_output=True, text=True, check=True)
    assert answer.stdout == "hello\n"


def test_cffi_module_is_tagged_for_the_stable_abi(project: Copy, tmp_path: Path) -> None:
    pytest.importorskip("cffi")
    wheel = project("cffi").wheel()
    if sys.implementation.name == "cpython":
        assert wheel.name.startswith("small_cffi-1.0-cp39-abi3-linux_")
        assert "cffi_pkg/_answer.abi3.so" in members(wheel)
    unpacked(wheel, tmp_path / "out")
    subprocess.run(
        [sys.executable, "-c", "import cffi_pkg; assert cffi_pkg.answer() == 42"], cwd=tmp_path / "out", check=True
    )


def test_stages_with_times_and_the_compile_log_are_told(project: Copy) -> None:
    one = project("program")
    outcome = one.call("build_wheel", str(one.output), None)
    assert outcome.status == 0, outcome.err
    for stage in (r"hello \(cmake, \d+ at once\)", "setuptools", "finish", "verify"):
        assert re.search(rf"^baseline-build: {stage}: \d+\.\d s$", outcome.err, re.MULTILINE), outcome.err
    assert re.search(r"^baseline-build: compile log: \d+ compiler calls", outcome.err, re.MULTILINE)


def test_two_folders_same_bytes(project: Copy, tmp_path: Path) -> None:
    first = project("program").wheel(SOURCE_DATE_EPOCH="1700000000").read_bytes()
    other = Project(tmp_path / "a longer way" / "program", tmp_path / "elsewhere")
    shutil.copytree(PROJECTS / "program", other.path)
    other.output.mkdir()
    assert other.wheel(SOURCE_DATE_EPOCH="1700000000").read_bytes() == first


def test_a_bad_source_date_is_one_error(project: Copy) -> None:
    outcome = project("program").refused(SOURCE_DATE_EPOCH="yesterday")
    assert outcome.status == 2
    assert "BB221" in outcome.err


def test_hostile_project_comes_out_baseline(project: Copy, tmp_path: Path) -> None:
    hostile = project("hostile")
    wheel = hostile.wheel({"compile-report": "true"}, CFLAGS="-O3 -march=native")
    files = unpacked(wheel, tmp_path / "out")
    for path in files:
        if path.suffix == ".so" or path.name == "sums":
            assert not FOREIGN.search(objdump(path)), path
    report = (hostile.output / f"{wheel.name}.compile-report.json").read_text()
    assert '"-mavx2"' in report
    assert '"-march=native"' in report


def test_without_the_filter_the_scan_refuses_the_same_project(project: Copy) -> None:
    outcome = project("hostile").refused({"enforce": "report"})
    assert outcome.status == 1
    assert re.search(r"hostile_module\..*\.so: \w+", outcome.err), outcome.err
    assert "hostile_bin/sums: " in outcome.err


def test_refuse_stops_at_the_flag_and_names_its_origin(project: Copy) -> None:
    outcome = project("hostile").refused({"enforce": "refuse"})
    assert outcome.status == 1
    assert "BB605" in outcome.err
    assert "-mavx2" in outcome.err


def test_a_higher_level_is_forced_and_verified(project: Copy, tmp_path: Path) -> None:
    hostile = project("hostile")
    settings = hostile.path / "pyproject.toml"
    level = '\n[tool.baseline-build]\nlevel = { x86_64 = "x86-64-v3" }\n'
    settings.write_text(settings.read_text().replace("-mavx2", "-mavx512f") + level)
    wheel = hostile.wheel()
    (module,) = (path for path in unpacked(wheel, tmp_path / "out") if path.suffix == ".so")
    wheel.unlink()
    assert "ymm" in objdump(module)
    assert "zmm" not in objdump(module)
    source = hostile.path / "module.c"
    above = '__attribute__((target("avx512f"))) void above(float *a) { for (int i = 0; i < 256; i++) a[i] *= a[i]; }\n'
    source.write_text(source.read_text().replace("static PyObject", above + "static PyObject", 1))
    outcome = hostile.refused()
    assert "needs avx512f (x86-64-v4)" in outcome.err
    assert "does not keep its promise of x86-64-v3" in outcome.err


def test_attribute_is_refused_by_the_scan(project: Copy) -> None:
    outcome = project("attribute").refused()
    assert outcome.status == 1
    assert re.search(r"attribute_module\..*\.so: total_wide at .*module\.c:\d+: v\w+ .*needs avx", outcome.err), (
        outcome.err
    )
    assert "-march=x86-64" in outcome.err


def test_attribute_is_refused_at_its_line_when_strict(project: Copy) -> None:
    outcome = project("attribute").refused({"strict": "true"})
    assert re.search(r"module\.c:\d+", outcome.out + outcome.err), outcome.out + outcome.err


def test_a_tool_that_fails_is_one_error_with_its_words(project: Copy) -> None:
    one = project("program")
    (one.path / "src" / "hello.c").write_text("int main(void) { return missing; }\n")
    outcome = one.refused()
    assert outcome.status == 5
    assert "BB702" in outcome.err
    assert "missing" in outcome.err


def test_a_target_that_links_nothing_is_an_error(project: Copy) -> None:
    one = project("program")
    (one.path / "src" / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(hello C)\nadd_custom_target(hello)\n"
    )
    outcome = one.refused()
    assert "BB704" in outcome.err


def test_settings_mistakes_come_all_at_once(project: Copy) -> None:
    outcome = project("extension").refused({"strikt": "1", "enforce": "maybe"})
    assert outcome.status == 2
    assert "did you mean 'strict'?" in outcome.err
    assert "maybe" in outcome.err


def test_metadata_compiles_nothing(project: Copy, tmp_path: Path) -> None:
    one = project("cffi")
    (one.path / "cffi_pkg" / "build_answer.py").write_text("raise SystemExit('the build script was run')\n")
    folder = tmp_path / "metadata"
    folder.mkdir()
    outcome = one.call("prepare_metadata_for_build_wheel", str(folder), environ={"CC": "/bin/false", "PATH": "/bin"})
    assert outcome.status == 0, outcome.err
    assert outcome.answer == "small_cffi-1.0.dist-info"
    assert (folder / outcome.answer / "METADATA").is_file()


def test_editable_builds_in_place_under_enforcement(project: Copy) -> None:
    one = project("hostile")
    outcome = one.call("build_editable", str(one.output), {"verbose": "true"})
    assert outcome.status == 0, outcome.err
    assert outcome.answer.endswith(".whl")
    (module,) = one.path.glob("hostile_module*.so")
    program = one.path / "hostile_bin" / "sums"
    assert program.stat().st_mode & 0o111
    for path in (module, program):
        assert not FOREIGN.search(objdump(path)), path


_READ = "import subprocess, setuptools\nsubprocess.check_call({command})\nsetuptools.setup()\n"


def test_what_a_build_file_compiles_when_it_is_read_is_filtered_too(project: Copy, tmp_path: Path) -> None:
    """setup.py runs for each hook; what the first one compiles is up to date for the others."""
    one = project("extension")
    (one.path / "pkg").mkdir()
    (one.path / "pkg" / "__init__.py").touch()
    (one.path / "loop.c").write_text("void f(float *a) { for (int i = 0; i < 256; i++) a[i] *= a[i]; }\n")
    rule = "pkg/libloop.so: loop.c\n\tgcc -O3 -mavx2 -shared -fPIC loop.c -o $@\n"
    (one.path / "Makefile").write_text(rule)
    (one.path / "setup.py").write_text(
        "import subprocess, setuptools\nsubprocess.check_call(['make'])\nsetuptools.setup()\n"
    )
    settings = one.path / "pyproject.toml"
    more = 'packages = ["pkg"]\npackage-data = { pkg = ["*.so"] }\n'
    settings.write_text(settings.read_text().replace("packages = []\n", more))
    first = one.call("get_requires_for_build_wheel")
    assert first.status == 0, first.err
    assert "removed -mavx2 (1x, sub-build: make)" in first.err
    folder = tmp_path / "metadata"
    folder.mkdir()
    assert one.call("prepare_metadata_for_build_wheel", str(folder)).status == 0
    wheel = one.wheel()
    (library,) = (path for path in unpacked(wheel, tmp_path / "out") if path.name == "libloop.so")
    assert not FOREIGN.search(objdump(library))


@pytest.mark.parametrize("hook", ["get_requires_for_build_sdist", "prepare_metadata_for_build_editable", "build_sdist"])
def test_no_hook_compiles_without_enforcement(project: Copy, tmp_path: Path, hook: str) -> None:
    one = project("extension")
    line = (
        "import subprocess, setuptools\nsubprocess.check_call(['gcc', '-mavx2', '-c', 'small.c'])\nsetuptools.setup()\n"
    )
    (one.path / "setup.py").write_text(line)
    (one.path / "small.c").write_text("int one;\n")
    arguments = [] if hook.startswith("get_requires") else [str(tmp_path)]
    outcome = one.call(hook, *arguments)
    assert outcome.status == 0, outcome.err
    assert "removed -mavx2" in outcome.err


def test_an_earlier_build_folder_does_not_get_into_the_wheel(project: Copy) -> None:
    one = project("program")
    stale = one.path / "build" / "lib" / "prog"
    stale.mkdir(parents=True)
    (stale / "stale.py").write_text("")
    assert "prog/stale.py" not in members(one.wheel())


def test_a_source_tree_is_left_as_it_was_but_for_egg_info(project: Copy) -> None:
    one = project("program")
    before = sorted(path for path in one.path.rglob("*") if "egg-info" not in path.as_posix())
    one.wheel()
    assert sorted(path for path in one.path.rglob("*") if "egg-info" not in path.as_posix()) == before


def test_the_compile_report_where_it_is_wanted(project: Copy) -> None:
    one = project("program")
    one.wheel({"compile-report": "reports/compile.json"})
    report = json.loads((one.path / "reports" / "compile.json").read_text())
    assert report["version"] == 1
    assert any("hello.c" in unit for call in report["calls"] for unit in call["units"])


def test_the_error_names_the_member_of_the_archive_that_brought_it(project: Copy, tmp_path: Path) -> None:
    one = project("extension")
    wide = tmp_path / "wide.c"
    wide.write_text(
        "int wide_numbers[64];\n"
        "int wide_total(int by) { int s = 0; for (int i = 0; i < 64; i++) s += wide_numbers[i] * by; return s; }\n"
    )
    compiler, archiver = require_tool("gcc"), require_tool("ar")
    command = [compiler, "-O3", "-mavx2", "-fPIC", "-c", str(wide), "-o", str(tmp_path / "wide.o")]
    subprocess.run(command, check=True)
    subprocess.run([archiver, "rc", str(tmp_path / "libwide.a"), str(tmp_path / "wide.o")], check=True)
    settings = one.path / "pyproject.toml"
    linked = f'sources = ["small_extension.c"], extra-objects = ["{tmp_path / "libwide.a"}"]'
    settings.write_text(settings.read_text().replace('sources = ["small_extension.c"]', linked))
    source = one.path / "small_extension.c"
    text = source.read_text().replace("double start;", "double start; extern int wide_total(int);")
    source.write_text(text.replace("FromDouble(sum)", "FromDouble(sum + wide_total(1))"))
    outcome = one.refused()
    assert re.search(r"wide_total.*: v\w+ .*needs avx", outcome.err), outcome.err
    assert "libwide.a(wide.o)" in outcome.err
    strict = one.refused({"strict": "true"})
    assert "libwide.a(wide.o)" in strict.err


@pytest.mark.parametrize("name", ["extension", "program"])
def test_no_compiler_is_one_message(project: Copy, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "tools"
    folder.mkdir()
    for tool in ("sh", "cmake", "ninja"):
        (folder / tool).symlink_to(require_tool(tool))
    outcome = project(name).refused(PATH=str(folder))
    assert outcome.status == 5
    assert "BB705" in outcome.err
    assert "apt-get install gcc g++" in outcome.err


def test_code_that_does_not_compile_is_one_message(project: Copy) -> None:
    one = project("extension")
    (one.path / "small_extension.c").write_text("this is no C\n")
    outcome = one.refused()
    assert outcome.status == 5
    assert "BB706" in outcome.err
    assert "small_extension.c:1" in outcome.out + outcome.err
