"""Compile farms: they keep working, see filtered options, and get none past the shims when called by their path."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Iterator

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


@pytest.mark.parametrize("launcher", ["ccache", "sccache"])
def test_a_cache_called_by_its_path_keeps_sessions_and_other_builds_apart(folder: Path, launcher: str) -> None:
    """The cache sees the same command line with a session and without one: their code must not be exchanged."""
    path, compiler = require_tool(launcher), require_tool("gcc")
    caches = {"CCACHE_DIR": "ccache", "SCCACHE_DIR": "sccache", "SCCACHE_SERVER_UDS": "socket"}
    environ = {**os.environ, **{name: str(folder / place) for name, place in caches.items()}}
    line, foreign = [path, compiler, *LINE], []
    high = Enforcement(root=folder, levels={"x86-64": "x86-64-v3"})
    try:
        for enforcement in (None, Enforcement(root=folder), high) * 2:
            with enforce(enforcement or Enforcement(), folder, environ) as session:
                variables = {**environ, **(session.environ if enforcement else {})}
                subprocess.run(line, cwd=folder, env=variables, check=True, capture_output=True)
                foreign.append(bool(foreign_lines(folder / "loop.o")))
    finally:
        if launcher == "sccache":
            subprocess.run([path, "--stop-server"], env=environ, check=False, capture_output=True)
    assert foreign == [True, False, True] * 2


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A distcc server on this machine, outside every session: its address and its log."""
    server = require_tool("distccd")
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    log = tmp_path / "distccd.log"
    options = ["--no-detach", "--daemon", "--enable-tcp-insecure", "--allow", "127.0.0.1", "--listen", "127.0.0.1"]
    command = [server, *options, "--port", str(port), "--log-stderr", "--verbose"]
    with log.open("wb") as stream, subprocess.Popen(command, start_new_session=True, stderr=stream) as process:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"127.0.0.1:{port}", log
        os.killpg(process.pid, signal.SIGTERM)


@pytest.mark.parametrize("compiler", ["gcc", "/usr/bin/gcc"])
def test_another_machine_gets_filtered_options(
    folder: Path, monkeypatch: pytest.MonkeyPatch, farm: tuple[str, Path], compiler: str
) -> None:
    address, log = farm
    (folder / "distcc").mkdir()
    for name, value in {
        "HOSTS": address,
        "DIR": str(folder / "distcc"),
        "FALLBACK": "0",
        "SKIP_LOCAL_RETRY": "1",
    }.items():
        monkeypatch.setenv(f"DISTCC_{name}", value)
    with enforce(Enforcement(), folder) as session:
        Bench(session, folder).run("distcc", compiler, *LINE)
    told = log.read_text(encoding="utf-8", errors="replace")
    assert "COMPILE_OK" in told, told
    assert "-march=x86-64" in told
    assert "-mavx2" not in told
    assert foreign_lines(folder / "loop.o") == []
