"""Emulators that cannot be used, and the message each gets: exact text."""

from __future__ import annotations

from pathlib import Path

import pytest

from baseline_build import emulate
from baseline_build.errors import ToolError


def emulator_that_says(folder: Path, text: str, more: str = "") -> Path:
    """A program with qemu's name that answers ``--version`` with *text*."""
    path = folder / "qemu-x86_64"
    path.write_text(f"#!/bin/sh\necho '{text}'\n{more}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    with pytest.raises(ToolError) as caught:
        emulate.run(["/bin/true"], "x86-64", cwd=folder)
    return str(caught.value)


def test_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = emulator_that_says(tmp_path, "qemu-x86_64 version 4.2.1 (Debian 1:4.2-3)")
    assert refused(tmp_path, monkeypatch) == (
        f"BB513: {path}: version 4.2.1 is older than 6.0\n"
        "  why: old versions of qemu crash at random in programs with threads\n"
        "  fix: install a newer qemu-user"
    )


def test_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = emulator_that_says(tmp_path, "hello")
    assert refused(tmp_path, monkeypatch) == f"BB513: {path}: it does not tell its version: 'hello\\n'"


def test_gone_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = emulator_that_says(tmp_path, "qemu-x86_64 version 9.1.0", 'rm "$0"')
    said = refused(tmp_path, monkeypatch)
    assert said == f"BB514: {path}: the emulator did not start: [Errno 2] No such file or directory: '{path}'"
