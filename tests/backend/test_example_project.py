"""The exact contents of this project's own sdist and wheel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Set

import pytest

from baseline_build import sources
from tests.tools import missing

from .conftest import ROOT, Project

pytestmark = pytest.mark.build

TREES = ("lmdb-src", "flatbuffers-src")


def files(*arguments: str) -> Set[str]:
    """What git knows or would add, as far as it is there."""
    command = ["git", "ls-files", "-co", "--exclude-standard", *arguments]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listing.splitlines() if (ROOT / name).is_file()}


@pytest.fixture
def clone(tmp_path: Path) -> Project:
    """The project as a fresh clone has it, with the fetched trees where this checkout has them."""
    folder = tmp_path / "clone"
    for name in files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    for state in sources.check(ROOT):
        if state.tree is not None:
            for member in state.tree.members:
                target = folder / state.pin.tree / member
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(state.path / member, target)
    try:
        import unearth  # noqa: F401
    except ImportError:
        if sources.requirements(folder):
            missing("the pinned sources are not here, and unearth, which fetches them, is not installed")
    output = tmp_path / "output"
    output.mkdir()
    return Project(folder, output)


def test_the_wheel_holds_exactly_this(example_wheel: Path, clone: Project) -> None:
    with zipfile.ZipFile(example_wheel) as archive:
        names = set(archive.namelist())
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
        wheel = archive.read(next(name for name in names if name.endswith(".dist-info/WHEEL"))).decode()
        bill = json.loads(archive.read(next(name for name in names if name.endswith(".cdx.json"))))
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    sources.sync(clone.path)
    runtime = clone.path / "flatbuffers-src" / "python"
    expected = {name for name in files("example_pkg") if name.endswith(".py")}
    expected |= {
        f"example_pkg/{path.relative_to(runtime).as_posix()}"
        for path in (runtime / "flatbuffers").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    expected |= {"example_pkg/_bin/flatc", "example_pkg/reflection.bfbs", "example_pkg/reflection.fbs"}
    info = {
        *("METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE"),
        *(f"licenses/{tree}/LICENSE" for tree in TREES),
        "sboms/baseline-build.cdx.json",
    }
    native = {name for name in names if re.fullmatch(r"example_pkg/_lmdb_cffi\.[^/]*\.so", name)}
    assert len(native) == 1
    assert {name for name in names if ".dist-info/" not in name} - native == expected
    assert {name.partition(".dist-info/")[2] for name in names if ".dist-info/" in name} == info
    licences = re.findall(r"^License-File: (.*)$", metadata, re.MULTILINE)
    assert sorted(licences) == sorted(name[len("licenses/") :] for name in info if name.startswith("licenses/"))
    assert modes["example_pkg/_bin/flatc"] == 0o755
    assert "Root-Is-Purelib: false" in wheel
    assert "-any" not in wheel
    assert {component["name"] for component in bill["components"]} == {"LMDB", "FlatBuffers"}


def test_the_sdist_holds_what_a_build_needs_and_nothing_else(clone: Project) -> None:
    outcome = clone.call("build_sdist", str(clone.output), None, root=clone.path)
    assert outcome.status == 0, outcome.err
    with tarfile.open(clone.output / outcome.answer) as archive:
        found = {member.name.partition("/")[2] for member in archive}
    trees = {f"{tree.pin.tree}/{member}" for tree in sources.sync(clone.path, offline=True) for member in tree.members}
    needed = {name for name in files("example_pkg", "baseline_build") if not name.endswith((".so", ".md"))}
    needed |= trees | {"pyproject.toml", "README.md", "LICENSE"}
    assert needed <= found, sorted(needed - found)
    made = {"PKG-INFO", "setup.cfg", *(name for name in found if name.startswith("example_pkg.egg-info/"))}
    assert found - files() - trees - made == set()


def test_metadata_of_the_project_needs_neither_network_nor_compiler(
    clone: Project, tmp_path: Path, example_wheel: Path
) -> None:
    for tree in TREES:
        for path in (clone.path / tree).iterdir():
            if path.name not in {"source.toml", "README.md"}:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    folder = tmp_path / "metadata"
    folder.mkdir()
    nowhere = {"PIP_NO_INDEX": "1", "PATH": str(Path(sys.executable).parent), "CC": "/bin/false"}
    outcome = clone.call("prepare_metadata_for_build_wheel", str(folder), None, root=clone.path, environ=nowhere)
    assert outcome.status == 0, outcome.err
    assert outcome.answer == "example_pkg-0.1.0.dist-info"
    assert sorted(path.name for path in (clone.path / "lmdb-src").iterdir()) == ["README.md", "source.toml"]
    with zipfile.ZipFile(example_wheel) as archive:
        assert (folder / outcome.answer / "METADATA").read_bytes() == archive.read(f"{outcome.answer}/METADATA")
