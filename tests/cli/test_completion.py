"""Completion scripts, loaded by the shells they are for."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from pathlib import Path
from typing import List

import pytest

from tests.tools import require_tool

from .conftest import Call


@pytest.fixture
def script(baseline: Call, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The script for the shell that the test is about, in a file."""
    said = baseline("completion", request.param)
    assert (said.status, said.err) == (0, "")
    path = tmp_path / f"completion.{request.param}"
    path.write_text(said.out)
    return path


@pytest.mark.parametrize("script", ["bash"], indirect=True)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("baseline-build re", ["repair"]),
        ("baseline-build scan --st", ["--strict"]),
        ("baseline-build repair --only", ["--only-plat"]),
    ],
)
def test_bash(script: Path, line: str, expected: List[str]) -> None:
    # The function is found through the registration, as readline finds it.
    code = (
        f'source {script}; words=({line}); COMP_WORDS=("${{words[@]}}"); COMP_CWORD=$((${{#words[@]}} - 1))\n'
        'read -r -a spec <<<"$(complete -p baseline-build)"\n'
        'for i in "${!spec[@]}"; do [ "${spec[i]}" = -F ] && function=${spec[i + 1]}; done\n'
        "$function; echo ${COMPREPLY[@]}\n"
    )
    done = subprocess.run([require_tool("bash"), "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected
    assert done.stderr == ""


@pytest.mark.parametrize("script", ["fish"], indirect=True)
def test_fish(script: Path, tmp_path: Path) -> None:
    fish = require_tool("fish")
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}

    def offered(line: str) -> List[str]:
        code = f"source {script}; complete -C '{line}'"
        done = subprocess.run([fish, "-N", "-c", code], env=environ, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return [row.split("\t")[0] for row in done.stdout.splitlines()]

    assert offered("baseline-build re") == ["repair"]
    assert offered("baseline-build scan --st") == ["--strict"]


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh(script: Path, tmp_path: Path) -> None:
    """Typed at a prompt, for zsh completes nowhere else."""
    zsh = require_tool("zsh")
    environ = {**os.environ, "HOME": str(tmp_path), "ZDOTDIR": str(tmp_path), "TERM": "dumb"}
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.execve(zsh, [zsh, "-f", "-i"], environ)
    try:
        _type(terminal, f"autoload -Uz compinit; compinit -u -D; source {script}; print lo''aded\n", "loaded")
        for line, whole in (("baseline-build re", "repair"), ("baseline-build scan --stri", "--strict")):
            assert whole in _type(terminal, f"{line}\t", whole)
            _type(terminal, "\x15", "")  # Ctrl-U empties the line
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def _type(terminal: int, keys: str, until: str) -> str:
    """Send *keys* to *terminal*; what it showed until *until* stood there, at most twenty seconds later."""
    os.write(terminal, keys.encode())
    seen = ""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 0.3)
        if ready:
            seen += os.read(terminal, 4096).decode("utf-8", "replace")
        elif until in seen:
            break
    return seen
