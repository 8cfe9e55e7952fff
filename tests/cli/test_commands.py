"""The commands on real input: what they print, where, and with which exit status."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Dict

import pytest

from baseline_build import __version__
from baseline_build.cli import main
from baseline_build.cli.console import Console, Progress, wants_colour
from baseline_build.cli.program import COMMANDS
from baseline_build.report.codes import explanation, known
from tests.repair.wheels import PROGRAM, compile_file, make_wheel, x86_only
from tests.tools import missing

from .conftest import ROOT, Call

ABOVE = '__asm__ volatile ("vzeroupper");'


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    x86_only()
    return compile_file(tmp_path / "bad", PROGRAM.format(code=ABOVE), "-g")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    x86_only()
    return compile_file(tmp_path / "good", PROGRAM.format(code=""))


def test_help_and_version(baseline: Call) -> None:
    assert baseline("--version").out == f"baseline-build {__version__}\n"
    whole = baseline("--help")
    assert whole.status == 0
    assert baseline().out == whole.out
    for name, words in COMMANDS.items():
        assert words in whole.out
        told = baseline(name, "--help")
        assert told.status == 0
        assert told.out.startswith("usage: baseline-build " + name)
    assert max(len(line) for line in whole.out.splitlines()) <= 80


def test_scan_exit_codes(baseline: Call, good: Path, bad: Path) -> None:
    assert baseline("scan", "good").status == 0
    said = baseline("scan", "bad")
    assert (said.status, said.err) == (1, "")
    assert said.out.startswith(
        "needs: x86-64-v3 (Haswell 2013, Excavator 2015 or newer)\n  because vzeroupper (avx) in main"
    )
    assert baseline("scan", "good", "bad").status == 1
    assert baseline("scan", "good", "bad", "--exit-zero").status == 0
    assert baseline("scan", "bad", "--level", "x86-64-v3").status == 0
    assert baseline("scan", ".", "--format", "json").status == 1


DISPATCHED = """
#include <cpuid.h>
#include <stdio.h>
__attribute__((noinline)) static void fast(void) { __asm__ volatile ("vpaddd %%ymm0, %%ymm0, %%ymm0" ::: "xmm0"); }
int main(void) {
    unsigned a, b, c, d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2)) fast();
    puts("hello");
    return 0;
}
"""


def test_strict_scans_allow_no_dispatch(baseline: Call, tmp_path: Path) -> None:
    x86_only()
    wheel = make_wheel(tmp_path, {"thing/tool": compile_file(tmp_path / "tool", DISPATCHED)})
    said = baseline("scan", "tool")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith("runs on: any x86-64 (code for x86-64-v3 is behind CPU tests)\n")
    said = baseline("scan", "tool", "--strict")
    assert (said.status, said.err) == (
        1,
        (
            "BB260: strict allows no code above the promised level, not even behind CPU tests\n"
            "  fix: leave --strict out (strict = false in pyproject.toml) for packages that choose code at run time\n"
        ),
    )
    said = baseline("repair", wheel.name, "--strict")
    assert said.status == 1
    assert said.err.startswith(
        f"BB520: {wheel.name}!thing/tool: the wheel did not pass: strict allows no code above the promised level, and "
        "runs on: any x86-64 (code for x86-64-v3 is behind CPU tests)\n"
    )
    assert baseline("repair", wheel.name).status == 0


def test_scan_goes_on_after_a_broken_input(baseline: Call, good: Path, bad: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello\n")
    said = baseline("scan", "notes.txt", "good", "--format", "json")
    assert said.status == 4
    verdicts = {entry["path"]: entry["verdict"] for entry in json.loads(said.out)["inputs"]}
    assert verdicts == {"notes.txt": "undecided", "good": "clean"}
    assert said.err.startswith("BB401: notes.txt: ")
    assert baseline("scan", "notes.txt", "bad").status == 1


def test_scan_reads_stdin_and_writes_files(baseline: Call, bad: Path, tmp_path: Path) -> None:
    said = baseline("scan", "-", "--format", "json", data=bad.read_bytes())
    assert (said.status, json.loads(said.out)["inputs"][0]["path"]) == (1, "-")
    said = baseline("scan", "bad", "--format", "html", "-o", "report.html", environ={"FORCE_COLOR": "1"})
    assert (said.status, said.out) == (1, "")
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o644


def test_scan_expands_patterns_and_folders_of_wheels(baseline: Call, good: Path, tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    for name in ("one", "two"):
        shutil.move(str(make_wheel(tmp_path, {f"{name}/tool": good}, name=name)), tmp_path / "dist")
    for argument in ("dist", "dist/*.whl"):
        entries = json.loads(baseline("scan", argument, "--format", "json").out)["inputs"]
        assert [Path(entry["path"]).name.split("-")[0] for entry in entries] == ["one", "two"]
        assert all(len(entry["sha256"]) == 64 for entry in entries)


def test_scan_loses_no_native_file_beside_wheels(baseline: Call, good: Path, bad: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    folder.mkdir()
    shutil.move(str(make_wheel(tmp_path, {"one/tool": good}, name="one")), folder)
    (folder / "notes.txt").write_text("no code")
    assert baseline("scan", "dist").status == 0
    shutil.copy(bad, folder / "loose")
    said = baseline("scan", "dist", "--format", "json")
    assert said.status == 1
    verdicts = {Path(entry["path"]).name.split("-")[0]: entry["verdict"] for entry in json.loads(said.out)["inputs"]}
    assert verdicts == {"one": "clean", "loose": "violation"}


def test_scan_of_an_installed_distribution(baseline: Call) -> None:
    said = baseline("scan", "--installed", "pip", "--format", "json")
    assert json.loads(said.out)["inputs"][0]["path"].startswith("pip ")


@pytest.mark.build
@pytest.mark.parametrize(
    ("options", "machine"),
    [(["--platform", "manylinux_2_17_x86_64"], "x86-64"), (["--platform", "manylinux_2_28_aarch64"], "aarch64")],
)
def test_scan_of_a_requirement_from_the_index(baseline: Call, options: list[str], machine: str, tmp_path: Path) -> None:
    said = baseline("scan", "markupsafe==3.0.3", *options, "--format", "json")
    assert said.status == 0, said.err
    (entry,) = json.loads(said.out)["inputs"]
    assert entry["path"].startswith("markupsafe-3.0.3-")
    assert [file["machine"] for file in entry["files"]] == [machine]
    assert list(tmp_path.iterdir()) == []


def test_scan_keeps_to_the_projects_settings(baseline: Call, bad: Path, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.baseline-build]\nlevel = { x86_64 = "x86-64-v3" }\n')
    assert baseline("scan", "bad", "--project", ".").status == 0
    assert baseline("scan", "bad", "--project", ".", "--level", "x86-64").status == 1


def test_github_summary(baseline: Call, bad: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    said = baseline("scan", "bad", "--format", "github", environ={"GITHUB_STEP_SUMMARY": str(summary)})
    assert said.out.startswith("::error title=bad%3A violation::needs: x86-64-v3")
    assert summary.read_text().startswith("before\n## ❌ `bad`\n\n**needs: x86-64-v3")


@pytest.mark.parametrize(
    ("environ", "tty", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_when_to_colour(environ: Dict[str, str], tty: bool, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    primary, secondary = os.openpty() if tty else os.pipe()
    with open(secondary, "w") as stream, open(primary, "rb"):
        assert wants_colour(stream) is expected


def test_colour_in_a_real_call(baseline: Call, good: Path) -> None:
    assert "\033[" not in baseline("scan", "good").out
    assert baseline("scan", "good", environ={"FORCE_COLOR": "1"}).out.startswith("\033[1;32mruns on: any x86-64\033[0m")
    assert "\033[" not in baseline("scan", "good", environ={"FORCE_COLOR": "1", "NO_COLOR": "1"}).out
    assert baseline("scna", environ={"FORCE_COLOR": "1"}).err.startswith("\033[1;31mBB250")


def test_progress_waits_a_second_and_cleans_up() -> None:
    stream, now = io.StringIO(), [0.0]
    with Progress("scanning", stream, enabled=True, width=40, clock=lambda: now[0]) as progress:
        progress(1, 100, "early.so")
        assert stream.getvalue() == ""
        now[0] = 2.0
        progress(50, 100, "a/very/long/path/that/does/not/fit/the/width.so")
        assert stream.getvalue() == "\r\033[Kscanning 50/100 (50 %) a/very/long/path"
        now[0] = 2.05
        progress(51, 100, "too soon")
        now[0] = 3.0
        progress(25_000_000, 100_000_000, "x")
        assert stream.getvalue().endswith("\r\033[Kscanning 25.0/100.0 MB (25 %) x")
    assert stream.getvalue().endswith("\r\033[K")


def test_no_progress_on_pipes_or_when_quiet() -> None:
    stream, now = io.StringIO(), [0.0]
    with Progress("scanning", stream, enabled=False, clock=lambda: now[0]) as progress:
        now[0] = 5.0
        progress(1, 2, "x")
    assert stream.getvalue() == ""


def test_output_survives_an_encoding_without_our_characters() -> None:
    raw = io.BytesIO()
    console = Console(stdout=io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    console.result("a … b\n")
    assert raw.getvalue() == b"a ? b\n"


def test_every_code_is_explained(baseline: Call) -> None:
    listed = baseline("explain").out.splitlines()
    assert [line.split()[0] for line in listed] == list(known())
    for code in known():
        told = explanation(code)
        assert told is not None
        assert told.title
        assert len(told.text.splitlines()) >= 3, code


def test_every_code_in_use_has_an_explanation() -> None:
    import re

    used = set()
    for path in (ROOT / "baseline_build").rglob("*.py"):
        used |= set(re.findall(r'"(BB\d{3})"', path.read_text(encoding="utf-8")))
    assert used - set(known()) == set()


def test_explain_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "bb515"]) == 0
    assert capsys.readouterr().out.startswith("BB515: An instruction above the level was run\n\n")


def test_explanations_fit_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    longest = []
    for columns in ("80", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        assert main(["explain", *known()]) == 0
        longest.append(max(map(len, capsys.readouterr().out.splitlines())))
    assert longest[0] <= 80 < longest[1] <= 100
    assert main(["explain", "BB301"]) == 0
    assert "\n\n  schema = 1\n  name, version, purl" in capsys.readouterr().out  # what is set apart stays so


def test_explain_an_address(baseline: Call, bad: Path) -> None:
    found = json.loads(baseline("scan", "bad", "--format", "json").out)["inputs"][0]["files"][0]["findings"][0]
    said = baseline("explain", f"bad+{found['address']}")
    assert said.status == 0
    lines = said.out.splitlines()
    assert lines[0] == f"place        bad+{found['address']}"
    assert lines[1] == "function     main"
    assert lines[2] == "instruction  vzeroupper, bytes c5 f8 77"
    assert lines[3].startswith("needs        avx (x86-64-v3: ")
    assert "verdict      BB101 violation" in lines
    assert any(line.startswith("source       ") and "bad.c:3" in line for line in lines)
    marked = [line for line in lines if line.startswith(">")]
    assert len(marked) == 1
    assert marked[0].split()[1:5] == [found["address"], "c5", "f8", "77"]
    assert marked[0].endswith(
        "vzeroupper" + " " * (marked[0].rindex("avx") - marked[0].index("vzeroupper") - 10) + "avx"
    )


def test_config(baseline: Call, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.baseline-build]\nstrict = true\n")
    said = baseline("config", "-C", "jobs=3", environ={"BASELINE_BUILD_SBOM": "false"})
    assert said.status == 0, said.err
    rows = dict(line.split(None, 1) for line in said.out.splitlines())
    assert rows["strict"] == "true  (pyproject.toml:2)"
    assert rows["jobs"].startswith("3  (-C jobs")
    assert rows["sbom"] == "false  (BASELINE_BUILD_SBOM)"
    assert rows["strip"] == "true  (default)"
    listed = json.loads(baseline("config", "--format", "json").out)
    assert listed["strict"] == {"value": True, "origin": "pyproject.toml:2"}


def test_vendor_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vendor", "list", "--project", str(ROOT)]) == 0
    out = capsys.readouterr().out
    assert "lmdb-src: LMDB 0.9.36 (OLDAP-2.8), pkg:github/lmdb/lmdb@LMDB_0.9.36\n" in out
    assert "CVE-2019-16224" in out


SMALL = """
#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "small", __FILE__, -1, 0};
PyMODINIT_FUNC PyInit_small(void) { return PyModule_Create(&definition); }
"""


def small_project(folder: Path, backend: str) -> Path:
    x86_only()
    project = folder / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(f'[build-system]\nrequires = ["setuptools"]\nbuild-backend = "{backend}"\n')
    (project / "setup.py").write_text(
        "import os\nfrom setuptools import Extension, setup\n"
        "setup(name='small', version='1', ext_modules=[Extension('small', [os.path.abspath('small.c')])])\n"
        if backend.startswith("setuptools")
        else "from setuptools import Extension, setup\n"
        "setup(name='small', version='1', ext_modules=[Extension('small', ['small.c'])])\n"
    )
    (project / "small.c").write_text(SMALL)
    return project


@pytest.mark.build
def test_verify_reproduces_a_build_of_ours(baseline: Call, tmp_path: Path) -> None:
    small_project(tmp_path, "baseline_build")
    said = baseline("verify", "--reproduce", "--no-build-isolation", "project")
    assert said.status == 0, said.err
    assert said.err.splitlines()[-1] == "both builds gave the same bytes"
    lines = said.out.splitlines()
    assert [line.split("-")[0].split()[-1] for line in lines[:2]] == ["small", "small"]
    assert lines[2] == "runs on: any x86-64"


@pytest.mark.build
def test_verify_makes_no_files_of_the_future(baseline: Call, tmp_path: Path) -> None:
    """In a fresh checkout all files are new; ninja never gets ready where some are newer than now."""
    setup = small_project(tmp_path, "setuptools.build_meta") / "setup.py"
    setup.write_text("import os, time\nassert os.stat('small.c').st_mtime <= time.time()\n" + setup.read_text())
    said = baseline("verify", "--reproduce", "--no-build-isolation", "--no-sdist", "project")
    assert "BB551" not in said.err


@pytest.mark.build
def test_verify_names_what_leaks(baseline: Call, tmp_path: Path) -> None:
    if sys.implementation.name != "cpython":
        missing("the name of the extension is CPython's")
    small_project(tmp_path, "setuptools.build_meta")
    said = baseline("verify", "--reproduce", "--no-build-isolation", "--no-sdist", "project")
    assert said.status == 1
    leaks = [line for line in said.err.splitlines() if line.startswith("BB550")]
    library = next(line for line in leaks if "!small." in line)
    assert "contents differ from byte 0x" in library
    assert ": the build folder /" in library


@pytest.mark.build
def test_verify_tells_why_a_build_failed(baseline: Call, tmp_path: Path) -> None:
    project = small_project(tmp_path, "setuptools.build_meta")
    (project / "small.c").write_text("#error broken on purpose\n")
    said = baseline("verify", "--no-build-isolation", "project")
    assert said.status == 5
    assert said.err.splitlines()[1].startswith("BB551: ")
    assert said.err.splitlines()[1].endswith("/a/project: the wheel could not be built")
    assert "error: #error broken on purpose" in said.err
    assert "[end of output]" not in said.err
    assert "fix: build it by itself first: pip wheel . --no-deps" in said.err
