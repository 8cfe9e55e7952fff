"""Source distributions carry what a build without network needs, and are the same bytes for the same content."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Callable, Dict

import pytest

from baseline_build.artifacts.archiving import normalise_sdist
from baseline_build.errors import BrokenInputError
from tests.tools import untar, without_network

from .conftest import PROJECTS, ROOT, Project, members

Copy = Callable[[str], Project]


def upstream(folder: Path) -> Path:
    """The sdist of a project that the pinned source is cut from."""
    path = folder / "upstream-2.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("CMakeLists.txt", "hello.c"):
            archive.add(PROJECTS / "program" / "src" / name, f"upstream-2.0/{name}")
        licence = tarfile.TarInfo("upstream-2.0/LICENSE")
        licence.size = 5
        archive.addfile(licence, io.BytesIO(b"free\n"))
    return path


@pytest.fixture
def pinned(project: Copy, tmp_path: Path) -> Project:
    """A project with a pinned source, offered by a folder that pip's own setting names; the backend inside."""
    offered = tmp_path / "offered"
    offered.mkdir()
    archive = upstream(offered)
    one = project("pinned")
    (one.path / "vendored" / "source.toml").parent.mkdir(exist_ok=True)
    (one.path / "vendored" / "source.toml").write_text(
        f"""schema = 1
name = "Upstream"
version = "2.0"
purl = "pkg:generic/upstream@2.0"
licence = "MIT"
licence-files = ["LICENSE"]

[archive]
project = "upstream"
version = "2.0"
file = "{archive.name}"
sha256 = "{hashlib.sha256(archive.read_bytes()).hexdigest()}"
size = {archive.stat().st_size}

[[select]]
from = "."
include = ["CMakeLists.txt", "hello.c", "LICENSE"]
"""
    )
    left_out = shutil.ignore_patterns("__pycache__", "*.so", ".*_cache", "build", "*.egg-info")
    shutil.copytree(ROOT / "baseline_build", one.path / "baseline_build", ignore=left_out)
    one.environ.update({"PIP_FIND_LINKS": offered.as_uri(), "PIP_NO_INDEX": "1"})
    return one


def names(sdist: Path) -> Dict[str, tarfile.TarInfo]:
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2]: member for member in archive}


@pytest.mark.build
def test_the_sdist_carries_trees_and_backend_and_builds_without_network(pinned: Project, tmp_path: Path) -> None:
    outcome = pinned.call("build_sdist", str(pinned.output), None, root=pinned.path)
    assert outcome.status == 0, outcome.err
    sdist = pinned.output / outcome.answer
    found = names(sdist)
    own = {name for name in found if name.startswith("baseline_build/")}
    expected = {
        path.relative_to(pinned.path).as_posix()
        for path in (pinned.path / "baseline_build").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert own == expected
    assert {name for name in found if "egg-info" not in name} - own == {
        "PKG-INFO",
        "pkg/__init__.py",
        "pyproject.toml",
        "setup.cfg",
        "vendored/CMakeLists.txt",
        "vendored/LICENSE",
        "vendored/hello.c",
        "vendored/source.toml",
        "vendored/stamp.json",
    }
    assert {member.mtime for member in found.values()} == {315532800}
    assert {(member.uid, member.gid, member.uname) for member in found.values()} == {(0, 0, "")}

    untar(sdist, tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    code = "import baseline_build, sys; print(baseline_build.build_wheel(sys.argv[1]))"
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "BASELINE_BUILD_"))}
    result = subprocess.run(
        [*without_network(), sys.executable, "-c", code, str(tmp_path / "wheels")],
        cwd=unpacked,
        env={**environ, "BASELINE_BUILD_CACHE": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    assert members(wheel) == ["pkg/__init__.py", "pkg/_bin/hello"]


@pytest.mark.build
def test_two_sdists_are_the_same_bytes(pinned: Project) -> None:
    first = pinned.call("build_sdist", str(pinned.output), None, root=pinned.path)
    data = (pinned.output / first.answer).read_bytes()
    for path in pinned.path.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    again = pinned.call("build_sdist", str(pinned.output), None, root=pinned.path)
    assert (pinned.output / again.answer).read_bytes() == data


@pytest.mark.build
def test_without_network_and_trees_there_is_one_clear_error(pinned: Project) -> None:
    outcome = pinned.refused(PIP_FIND_LINKS="", PIP_NO_INDEX="1")
    assert outcome.status == 5
    assert outcome.err.count("BB3") == 1


def write_tar(path: Path, **contents: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in contents.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(data)
            info.mode = 0o775
            archive.addfile(info, io.BytesIO(data))
    return path


def test_more_files_never_replace_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("other")
    source = write_tar(tmp_path / "s.tar.gz", p__a=b"mine")
    target = tmp_path / "t.tar.gz"
    normalise_sdist(source, target, 1_700_000_000, {"a": tmp_path / "other", "b": tmp_path / "other"})
    with tarfile.open(target) as archive:
        read = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
        assert read == {"p/a": b"mine", "p/b": b"other"}
        assert {member.mtime for member in archive} == {1_700_000_000}


def test_sdists_that_are_none(tmp_path: Path) -> None:
    target = tmp_path / "t.tar.gz"
    with pytest.raises(BrokenInputError, match=r"BB721.*2 top folders"):
        normalise_sdist(write_tar(tmp_path / "two.tar.gz", a__x=b"", b__x=b""), target, 0, {})
    (tmp_path / "no.tar.gz").write_bytes(b"nothing of the kind")
    with pytest.raises(BrokenInputError, match="BB721"):
        normalise_sdist(tmp_path / "no.tar.gz", target, 0, {})
    with tarfile.open(tmp_path / "link.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("p/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(BrokenInputError, match="no plain file"):
        normalise_sdist(tmp_path / "link.tar.gz", target, 0, {})
    assert not target.exists()


@pytest.mark.build
def test_the_wheel_tells_what_was_vendored_and_carries_its_licence(pinned: Project) -> None:
    pytest.importorskip("cyclonedx")
    wheel = pinned.wheel(PIP_FIND_LINKS=pinned.environ["PIP_FIND_LINKS"])
    with zipfile.ZipFile(wheel) as archive:
        licence = archive.read("pinned-1.0.dist-info/licenses/vendored/LICENSE")
        document = json.loads(archive.read("pinned-1.0.dist-info/sboms/baseline-build.cdx.json"))
    assert licence == b"free\n"
    (component,) = document["components"]
    assert (component["name"], component["version"], component["purl"]) == (
        "Upstream",
        "2.0",
        "pkg:generic/upstream@2.0",
    )
    tools = {tool["name"] for tool in document["metadata"]["tools"]["components"]}
    assert {"baseline-build", "gcc"} <= tools
    assert pinned.wheel({"sbom": "false"}).exists()
