"""clang called by its path, and clang's configuration files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build.errors import EnforcementError
from baseline_build.toolchain import Enforcement, Mode, Origin, enforce
from baseline_build.toolchain.clang import CALLER
from tests.tools import require_tool

from .conftest import Bench
from .disassembly import foreign_lines

CLANG = "/usr/bin/clang"
LOOP = ("-O3", "-c", "loop.c", "-o", "loop.o")


@pytest.fixture(autouse=True)
def _there() -> None:
    require_tool(CLANG)


@pytest.mark.parametrize(
    ("options", "removed"),
    [
        (["-mavx2", "-march=x86-64-v3"], ["-mavx2", "-march=x86-64-v3"]),
        (["-march=x86-64", "-mtune=native"], ["-mtune=native"]),
        (["-Xclang", "-target-feature", "-Xclang", "+avx2"], ["-Xclang -target-feature -Xclang +avx2"]),
        (["-Xclang", "-target-cpu", "-Xclang", "haswell"], ["-Xclang -target-cpu -Xclang haswell"]),
    ],
)
def test_what_is_removed_is_told(bench: Bench, options: list[str], removed: list[str]) -> None:
    bench.run(CLANG, *options, *LOOP)
    assert foreign_lines(bench.folder / "loop.o") == []
    log = bench.session.log()
    (call,) = (call for call in log.calls if call.caller == CALLER)
    assert list(call.removed) == removed
    assert call.units == ("loop.c",)
    assert Path(call.directory) == bench.folder
    assert {one.flag: one.foreign for one in log.removals} == {flag: "tune" not in flag for flag in removed}


def test_the_origin_is_the_environment_where_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", "-mavx2")
    with enforce(Enforcement(), folder) as session:
        Bench(session, folder).run(CLANG, "-mavx2", "-mfma", *LOOP)
        origins = {one.flag: one.origin for one in session.log().removals}
    assert origins == {"-mavx2": Origin.ENVIRONMENT, "-mfma": Origin.SUB_BUILD}


def test_a_call_through_the_shim_is_told_once(bench: Bench) -> None:
    bench.run("clang", "-mavx2", *LOOP)
    assert [call.removed for call in bench.session.log().calls if call.program == "clang"] == [("-mavx2",)]


def test_refuse_stops_it(folder: Path) -> None:
    codes: list[int] = []

    def build() -> None:
        with enforce(Enforcement(mode=Mode.REFUSE), folder) as session:
            lines = (["-mavx2"], ["-march=x86-64", "-mtune=native"])
            codes.extend(Bench(session, folder).run(CLANG, *one, *LOOP, check=False).returncode for one in lines)

    with pytest.raises(EnforcementError, match="BB605") as caught:
        build()
    assert codes == [1, 0]
    assert "-mavx2" in str(caught.value)
    assert "tune" not in str(caught.value)


def test_report_lists_what_it_compiles_for(folder: Path) -> None:
    with enforce(Enforcement(mode=Mode.REPORT), folder) as session:
        Bench(session, folder).run(CLANG, "-march=haswell", *LOOP)
        assert "-target-cpu haswell" in {one.flag for one in session.log().removals}
    assert foreign_lines(folder / "loop.o")


def test_a_torn_line_is_a_note(bench: Bench) -> None:
    bench.run(CLANG, *LOOP)
    with Path(bench.session.plan.state, "clang").open("a", encoding="utf-8") as stream:
        stream.write(' "/usr/bin/clang" "-cc1" "-tri\n')
    assert "1 calls that cannot be read" in " ".join(bench.session.log().notes)


@pytest.mark.parametrize("edits", ["# +-mavx2", "# s/-O2/-mavx2/ +-O3"])
@pytest.mark.parametrize("compiler", ["clang", CLANG])
def test_the_users_own_edits_are_edited_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, compiler: str, edits: str
) -> None:
    line = (compiler, "-O3", "-O2", *LOOP[1:])
    monkeypatch.setenv("CCC_OVERRIDE_OPTIONS", edits)
    subprocess.run(line, cwd=folder, check=True)
    assert foreign_lines(folder / "loop.o")
    with enforce(Enforcement(), folder) as session:
        Bench(session, folder).run(*line)
    assert foreign_lines(folder / "loop.o") == []


def write_configuration(folder: Path) -> None:
    (folder / "inner.cfg").write_text('-DTEXT="a b" -mfma\n', encoding="utf-8")
    (folder / "outer.cfg").write_text("# comment -mbmi\n-mavx2 \\\n -O3\n@inner.cfg\n", encoding="utf-8")


def test_a_configuration_file_is_filtered(bench: Bench) -> None:
    write_configuration(bench.folder)
    line = ["--config", "./outer.cfg", *LOOP[1:]]
    subprocess.run([CLANG, *line], cwd=bench.folder, check=True)
    assert foreign_lines(bench.folder / "loop.o"), "the file itself must ask for AVX2"
    bench.run("clang", *line)
    assert foreign_lines(bench.folder / "loop.o") == []
    (call,) = (call for call in bench.session.log().calls if call.program == "clang")
    assert call.removed == ("-mavx2", "-mfma")


def test_a_configuration_file_named_by_path_is_noted(bench: Bench) -> None:
    """Here nothing can take the options off: the log says so, and the scan of the wheel decides."""
    write_configuration(bench.folder)
    bench.run(CLANG, "--config", "./outer.cfg", *LOOP[1:])
    (note,) = bench.session.log().notes
    assert "kept -target-feature +avx2, -target-feature +fma for loop.c" in note


def test_a_configuration_file_named_by_path_is_refused(folder: Path) -> None:
    write_configuration(folder)

    def build() -> None:
        with enforce(Enforcement(mode=Mode.REFUSE), folder) as session:
            Bench(session, folder).run(CLANG, "--config", "./outer.cfg", *LOOP[1:])

    with pytest.raises(EnforcementError, match=r"BB605.*avx2"):
        build()
