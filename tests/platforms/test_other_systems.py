"""Windows and macOS: builds pass through, and what cannot be read there is never called clean."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from baseline_build.artifacts import building
from baseline_build.artifacts.reporter import Reporter
from baseline_build.artifacts.verifying import verify
from baseline_build.config.model import Settings
from baseline_build.errors import UnprovenError
from baseline_build.toolchain import CompileLog, Mode
from tests.tools import missing

from .building import ROOT

SOURCE = """
int DllMainCRTStartup(void *module, unsigned reason, void *reserved) { return 1; }
double PyInit_module(double value) { return value * 3; }
"""
SYSTEMS = [
    ("x86_64-windows-gnu", "pkg/module.cp311-win_amd64.pyd", "win_amd64", "a Windows program or library"),
    ("aarch64-macos", "pkg/module.cpython-311-darwin.so", "macosx_11_0_arm64", "a macOS program or library"),
    ("x86_64-macos", "pkg/module.cpython-311-darwin.so", "macosx_11_0_x86_64", "a macOS program or library"),
]


@pytest.fixture(scope="module")
def zig() -> str:
    program = shutil.which("zig")
    package = importlib.util.find_spec("ziglang")
    for place in (package.submodule_search_locations or ()) if package else ():
        program = program or str(Path(place) / "zig")
    return program or missing("zig is neither on PATH nor installed as ziglang")


def wheel_for(zig: str, folder: Path, target: str, member: str, platform: str) -> Path:
    """A wheel with a real library of another system."""
    (folder / "module.c").write_text(SOURCE)
    command = [zig, "cc", "-target", target, "-shared", "-nostdlib", "-O2", "module.c", "-o", "module.bin"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    wheel = folder / f"pkg-1-cp311-cp311-{platform}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(folder / "module.bin", member)
        archive.writestr("pkg-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n")
        archive.writestr("pkg-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: pkg\nVersion: 1\n")
        archive.writestr("pkg-1.dist-info/RECORD", "")
    return wheel


@pytest.mark.parametrize(("target", "member", "platform", "kind"), SYSTEMS)
def test_what_is_not_elf_is_undecided(
    zig: str, tmp_path: Path, target: str, member: str, platform: str, kind: str
) -> None:
    wheel = wheel_for(zig, tmp_path, target, member, platform)
    command = [sys.executable, "-m", "baseline_build", "scan", "--format", "json", str(wheel)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    (file,) = json.loads(done.stdout)["inputs"][0]["files"]
    assert (file["path"], file["verdict"]) == (member, "undecided")
    log = CompileLog(Mode.REPORT, (), (), ())
    with pytest.raises(UnprovenError, match=kind):
        verify(wheel, wheel, Settings(), Reporter([]), log)
    assert verify(wheel, wheel, Settings(unverifiable="accept"), Reporter([]), log).verdict.value == "undecided"


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_elsewhere_compilers_are_left_alone_and_it_is_said(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the switch is tried here: this machine cannot be another system."""
    said = []

    class Listening(Reporter):
        def note(self, text: str) -> None:
            said.append(text)

    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "pkg"\nversion = "1"\n')
    with building.job(tmp_path, None, Listening([])) as one:
        before = dict(building.os.environ)
        monkeypatch.setattr(building.sys, "platform", system)
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(building._enforced(one))()
            assert dict(building.os.environ) == before
        monkeypatch.undo()
    assert (log.mode, log.calls) == (Mode.REPORT, ())
    assert said == [f"on {system} nothing is enforced, and only ELF files can be verified"]
