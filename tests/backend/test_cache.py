"""Programs kept between builds: found again when nothing changed, made anew when anything did."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, List, Mapping

import pytest

from baseline_build.artifacts.caching import Cache, cache_of, folder_of, key_of
from baseline_build.artifacts.reporter import Reporter
from baseline_build.config.model import Executable, Settings
from tests.conftest import ROOT
from tests.tools import require_tool

from .conftest import Project

Copy = Callable[[str], Project]


class Listening(Reporter):
    """Keeps what was said."""

    def __init__(self) -> None:
        super().__init__([])
        self.said: List[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def maker(folder: Path, data: bytes, calls: List[int]) -> Callable[[], Path]:
    def make() -> Path:
        calls.append(1)
        path = folder / "made"
        path.write_bytes(data)
        return path

    return make


def test_second_time_from_the_cache(tmp_path: Path) -> None:
    calls: List[int] = []
    cache = Cache(tmp_path / "cache", 1 << 20, Listening())
    (tmp_path / "cache" / "programs").mkdir(parents=True)
    cache.get("k", tmp_path / "one", maker(tmp_path, b"program", calls))
    found = cache.get("k", tmp_path / "two", maker(tmp_path, b"other", calls))
    assert calls == [1]
    assert found.read_bytes() == b"program"
    assert os.access(found, os.X_OK)
    cache.get("another", tmp_path / "three", maker(tmp_path, b"other", calls))
    assert calls == [1, 1]


@pytest.mark.parametrize("name", ["program.gz", "entry.json"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, name: str) -> None:
    calls: List[int] = []
    reporter = Listening()
    cache = Cache(tmp_path, 1 << 20, reporter)
    cache.get("k", tmp_path / "one", maker(tmp_path, b"program", calls))
    (tmp_path / "programs" / "k" / name).write_bytes(b"\x1f\x8bnonsense")
    found = cache.get("k", tmp_path / "two", maker(tmp_path, b"program", calls))
    assert (found.read_bytes(), calls) == (b"program", [1, 1])
    assert any("thrown away" in said for said in reporter.said)


def test_a_changed_program_in_an_entry_is_not_taken(tmp_path: Path) -> None:
    import gzip

    calls: List[int] = []
    cache = Cache(tmp_path, 1 << 20, Listening())
    cache.get("k", tmp_path / "one", maker(tmp_path, b"program", calls))
    (tmp_path / "programs" / "k" / "program.gz").write_bytes(gzip.compress(b"something else"))
    assert cache.get("k", tmp_path / "two", maker(tmp_path, b"program", calls)).read_bytes() == b"program"
    assert calls == [1, 1]


def test_the_entries_unused_for_longest_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 40_000, Listening())
    for age, key in ((3, "old"), (2, "middle"), (1, "new")):
        cache.get(key, tmp_path / key, maker(tmp_path, os.urandom(15_000), []))
        moment = time.time() - age * 3600
        os.utime(tmp_path / "programs" / key, (moment, moment))
    cache.get("newest", tmp_path / "newest", maker(tmp_path, os.urandom(15_000), []))
    kept = {path.name for path in (tmp_path / "programs").iterdir() if path.is_dir()}
    assert kept == {"new", "newest"}


def test_where_it_is_and_how_it_is_switched_off(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path / "x"), "HOME": str(tmp_path)}
    assert folder_of(Settings(), environ) == tmp_path / "x" / "baseline-build"
    assert folder_of(Settings(), {"HOME": str(tmp_path)}) == tmp_path / ".cache" / "baseline-build"
    assert folder_of(Settings(cache=str(tmp_path / "own")), environ) == tmp_path / "own"
    assert folder_of(Settings(cache="off"), environ) is None


def test_a_folder_that_cannot_be_made_costs_the_cache_not_the_build(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    reporter = Listening()
    assert cache_of(Settings(cache=str(tmp_path / "file" / "below")), {}, reporter) is None
    assert "cannot be made" in reporter.said[0]


@pytest.mark.build
def test_two_builds_at_once_compile_once(project: Copy, tmp_path: Path) -> None:
    one = project("program")
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); import baseline_build; "
        "baseline_build.build_wheel(sys.argv[1])"
    )
    environ = {**os.environ, "BASELINE_BUILD_CACHE": str(tmp_path / "cache"), "PIP_BUILD_TRACKER": "", "CI": "1"}
    processes = []
    for name in ("first", "second"):
        command = [sys.executable, "-c", code, str(tmp_path / name)]
        processes.append(
            subprocess.Popen(command, cwd=one.path, env=environ, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        )
    told = [process.communicate(timeout=120)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    assert sorted("found in the cache" in text for text in told) == [False, True], told
    first, second = (next((tmp_path / name).glob("*.whl")).read_bytes() for name in ("first", "second"))
    assert first == second


@pytest.mark.build
def test_what_decides_the_result_decides_the_key(project: Copy, tmp_path: Path) -> None:
    one = project("program")
    cache = str(tmp_path / "cache")

    def hit(**environ: str) -> bool:
        outcome = one.call("build_wheel", str(one.output), None, environ={"BASELINE_BUILD_CACHE": cache, **environ})
        assert outcome.status == 0, outcome.err
        return "found in the cache" in outcome.err

    assert not hit()
    assert hit()
    assert not hit(CFLAGS="-O1")
    assert not hit(BASELINE_BUILD_STRICT="1")
    assert not hit(BASELINE_BUILD_LEVEL="x86-64-v2")
    (one.path / "src" / "data" / "a.txt").write_text("the folder holds something else\n")
    assert not hit()
    assert hit()
    assert not hit(BASELINE_BUILD_CACHE="off")


def key(environ: Mapping[str, str], source: Path, **settings: str) -> str:
    executable = Executable(name="prog", source="src", build="cmake", destination="pkg")
    return key_of(executable, source, Settings(**settings), environ)  # type: ignore[arg-type]


def test_the_key_knows_target_compiler_and_flags(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "prog.c").write_text("int main(void) { return 0; }")
    tools = tmp_path / "tools"
    tools.mkdir()

    def compiler(name: str, version: str, machine: str = "x86_64-linux-gnu") -> None:
        script = f"#!/bin/sh\n[ $1 = -dumpmachine ] && exec echo {machine}\necho '{name} {version}'\n"
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)

    for name in ("gcc", "aarch64-linux-gnu-gcc", "clang", "zig"):
        compiler(name, "1")
    path = {"PATH": f"{tools}{os.pathsep}{os.defpath}"}
    cases = {
        "plain": key(path, source),
        "flags": key({**path, "CXXFLAGS": "-O1"}, source),
        "headers": key({**path, "CPATH": "/somewhere"}, source),
        "cmake": key({**path, "CMAKE_BUILD_PARALLEL_LEVEL": "1", "CMAKE_PREFIX_PATH": "/opt/x"}, source),
        "launcher": key({**path, "CC": "ccache clang"}, source),
        "cross": key(path, source, target="aarch64-linux-gnu"),
        "zig": key(path, source, toolchain="zig", target="aarch64-linux-gnu.2.17"),
        "newer libc": key(path, source, toolchain="zig", target="aarch64-linux-gnu.2.28"),
    }
    assert len(set(cases.values())) == len(cases)
    assert key({**path, "HOME": "/elsewhere", "LANG": "de"}, source) == cases["plain"]
    for name in ("aarch64-linux-gnu-gcc", "clang", "zig"):
        compiler(name, "2")
    assert key(path, source) == cases["plain"]
    assert key(path, source, target="aarch64-linux-gnu") != cases["cross"]
    assert key({**path, "CC": "ccache clang"}, source) != cases["launcher"]
    assert key(path, source, toolchain="zig", target="aarch64-linux-gnu.2.17") != cases["zig"]
    compiler("gcc", "1", "aarch64-linux-gnu")
    assert key(path, source) != cases["plain"]
    compiler("gcc", "1")
    assert key(path, source) == cases["plain"]


def test_two_machines_that_share_a_folder_do_not_share_programs(tmp_path: Path) -> None:
    """A home folder of x86-64 and ARM64 machines, or a container beside an emulated one: compilers' versions agree."""
    (tmp_path / "src").mkdir()
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.backend.test_cache import key; "
    script += f"from pathlib import Path; print(key({{'PATH': ''}}, Path({str(tmp_path / 'src')!r})))"
    commands = [[*words, sys.executable, "-c", script] for words in ([], [require_tool("setarch"), "i686"])]
    here, there = (subprocess.run(one, check=True, capture_output=True, text=True).stdout for one in commands)
    assert len(here) == len(there) == 65
    assert here != there


def test_what_a_killed_build_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    for name, age in ((".new-old", 2 * 86400), (".new-running", 60)):
        (programs / name).mkdir(parents=True)
        os.utime(programs / name, (time.time() - age,) * 2)
    Cache(tmp_path, 1 << 20, Listening()).get("k", tmp_path / "one", maker(tmp_path, b"program", []))
    assert {path.name for path in programs.iterdir() if path.is_dir()} == {".new-running", "k"}
