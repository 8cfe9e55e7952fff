"""Windows and macOS: builds pass through, and what cannot be read there is never called clean."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from baseline_build.artifacts import building, enforcing
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


# Real wheels of one release: platform tag, file, digest, its native file, what that is.
RELEASED = [
    (
        "win_amd64",
        "MarkupSafe-3.0.2-cp311-cp311-win_amd64.whl",
        "70a87b411535ccad5ef2f1df5136506a10775d267e197e4cf531ced10537bd6b",
        "markupsafe/_speedups.cp311-win_amd64.pyd",
        "a Windows program or library",
    ),
    (
        "win32",
        "MarkupSafe-3.0.2-cp311-cp311-win32.whl",
        "6c89876f41da747c8d3677a2b540fb32ef5715f97b66eeb0c6b66f5e3ef6f59d",
        "markupsafe/_speedups.cp311-win32.pyd",
        "a Windows program or library",
    ),
    (
        "macosx_11_0_arm64",
        "MarkupSafe-3.0.2-cp311-cp311-macosx_11_0_arm64.whl",
        "93335ca3812df2f366e80509ae119189886b0f3c2b81325d39efdb84a1e2ae93",
        "markupsafe/_speedups.cpython-311-darwin.so",
        "a macOS program or library",
    ),
    (
        "macosx_10_9_universal2",
        "MarkupSafe-3.0.2-cp311-cp311-macosx_10_9_universal2.whl",
        "9025b4018f3a1314059769c7bf15441064b2207cb3f065e6ea1e7359cb46db9d",
        "markupsafe/_speedups.cpython-311-darwin.so",
        "a macOS universal file",
    ),
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


def released(cache: Path, platform: str, name: str, digest: str) -> Path:
    """The wheel *name* of the package index, fetched once."""
    folder = cache / "other-systems"
    if not (folder / name).exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        command += ["--python-version", "3.11", "--platform", platform, "-d", str(folder), "markupsafe==3.0.2"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            missing(f"{name} cannot be had: {done.stderr.strip()[-300:]}")
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    return folder / name


@pytest.mark.parametrize(("platform", "name", "digest", "member", "kind"), RELEASED, ids=[one[0] for one in RELEASED])
def test_released_wheels_of_other_systems(
    shared_cache: Path, tmp_path: Path, platform: str, name: str, digest: str, member: str, kind: str
) -> None:
    """Scanned they are undecided, by name; repair makes nothing of them; a build passes them on only when told to."""
    wheel = released(shared_cache, platform, name, digest)
    command = [sys.executable, "-m", "baseline_build"]
    scanned = subprocess.run([*command, "scan", str(wheel)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert scanned.returncode == 3, scanned.stderr
    told = " ".join(scanned.stdout.split())
    assert f"{member} undecided" in told, told
    assert f"{kind}" in told, told
    repair = [*command, "repair", str(wheel), "-w", str(tmp_path / "out")]
    repaired = subprocess.run(repair, cwd=ROOT, capture_output=True, text=True, check=False)
    assert repaired.returncode == 3, repaired.stderr
    assert not list((tmp_path / "out").glob("*.whl"))
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
        monkeypatch.setattr(enforcing.sys, "platform", system)
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(enforcing.enforced(one))()
            assert dict(building.os.environ) == before
        monkeypatch.undo()
    assert (log.mode, log.calls) == (Mode.REPORT, ())
    assert said == [f"on {system} nothing is enforced, and only ELF files can be verified"]
