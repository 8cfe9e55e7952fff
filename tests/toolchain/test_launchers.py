"""Compile farms: they keep working, see filtered options, and get none past the shims when called by their path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from baseline_build.toolchain import Enforcement, enforce
from tests.tools import require_tool

from .conftest import Bench
from .disassembly import foreign_lines

LINE = ("-O3", "-mavx2", "-c", "loop.c", "-o", "loop.o")


@pytest.fixture(autouse=True)
def _x86_only() -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the flags and instructions of these cases are x86-64's")


@pytest.mark.parametrize("compiler", ["gcc", "/usr/bin/gcc", "clang"])
@pytest.mark.parametrize("launcher", ["distcc", "icecc"])
def test_called_by_its_path_it_compiles_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch, launcher: str, compiler: str
) -> None:
    path = require_tool(launcher)
    require_tool(compiler)
    monkeypatch.setenv("DISTCC_HOSTS", "farm.invalid/8")
    monkeypatch.setenv("DISTCC_DIR", str(folder / "distcc"))
    with enforce(Enforcement(), folder) as session:
        done = Bench(session, folder).run(path, compiler, *LINE)
        assert "farm.invalid" not in done.stderr
        assert any("-mavx2" in call.removed for call in session.log().calls)
    assert foreign_lines(folder / "loop.o") == []


def test_called_by_its_name_it_has_its_hosts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = require_tool("distcc")
    monkeypatch.setenv("DISTCC_HOSTS", "farm.invalid/8")
    (folder / "distcc").mkdir()
    monkeypatch.setenv("DISTCC_DIR", str(folder / "distcc"))
    with enforce(Enforcement(), folder) as session:
        bench = Bench(session, folder)
        assert "farm.invalid" in bench.run("distcc", "--show-hosts").stdout
        assert "farm.invalid" not in bench.run(path, "--show-hosts").stdout
        done = bench.run("distcc", "gcc", *LINE)
    assert "farm.invalid" in done.stderr, "it was not asked to compile elsewhere"
    assert foreign_lines(folder / "loop.o") == []


def test_sccache(folder: Path) -> None:
    path = require_tool("sccache")
    environ = {**os.environ, "SCCACHE_DIR": str(folder / "cache"), "SCCACHE_SERVER_UDS": str(folder / "socket")}
    with enforce(Enforcement(), folder, environ) as session:
        bench = Bench(session, folder, {key: environ[key] for key in ("SCCACHE_DIR", "SCCACHE_SERVER_UDS")})
        try:
            for launcher in ("sccache", path):
                for _ in range(2):
                    bench.run(launcher, "gcc", *LINE)
                    assert foreign_lines(folder / "loop.o") == []
            stats = bench.run(path, "--show-stats").stdout
        finally:
            bench.run(path, "--stop-server", check=False)
    assert "Cache hits" in stats
    assert "Cache hits                           0" not in stats
