"""What is missing or wrong when people build, and the one message each gets: exact text, no wheel, no traceback."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest

from tests.tools import require_tool

from .conftest import Project

Copy = Callable[[str], Project]
NOWHERE = {"PIP_CONFIG_FILE": "/dev/null", "PIP_RETRIES": "0", "PIP_FIND_LINKS": ""}


def message(err: str) -> str:
    """What a hook wrote to stderr from the code on, without the lines on its progress."""
    start = err.index("BB")
    assert all(line.startswith(("baseline-build: ", "/", "  ")) or not line for line in err[:start].splitlines())
    return err[start:]


@pytest.fixture
def tools(tmp_path: Path) -> Callable[..., str]:
    """Makes a folder for PATH that holds nothing but the named programs."""

    def make(*names: str) -> str:
        folder = tmp_path / "tools"
        folder.mkdir()
        for name in names:
            (folder / name).symlink_to(require_tool(name))
        return str(folder)

    return make


def test_no_compiler(project: Copy, tools: Callable[..., str]) -> None:
    outcome = project("extension").refused(PATH=tools("sh", "uname"), CC="gcc")
    assert outcome.status == 5
    assert message(outcome.err) == (
        "BB705: 1 extension module(s): the C compiler 'gcc' is not there\n"
        "  why: nothing of this name is on PATH (the variable CC names it)\n"
        "  fix: install a compiler (Debian: apt-get install gcc g++; Alpine: apk add build-base), or set CC to one\n"
    )


def test_no_cmake_and_no_index(project: Copy, tools: Callable[..., str]) -> None:
    outcome = project("program").refused(PATH=tools("sh", "uname", "gcc", "cc", "g++"), PIP_NO_INDEX="1")
    assert outcome.status == 5
    assert message(outcome.err) == (
        "BB703: executable 'hello': no cmake 3.16 or newer is on PATH\n"
        "  why: the build runs without build isolation, or the requirement could not be installed\n"
        "  fix: install cmake and ninja, or build with isolation and a reachable package index\n"
    )


def test_misspelt_setting(project: Copy) -> None:
    one = project("extension")
    with (one.path / "pyproject.toml").open("a") as stream:
        stream.write("\n[tool.baseline-build]\nstrikt = true\nrepair = 3\n")
    outcome = one.refused()
    number = (one.path / "pyproject.toml").read_text().splitlines().index("strikt = true") + 1
    assert outcome.status == 2
    assert message(outcome.err) == (
        "BB200: 2 settings are wrong\n"
        "  why: each by its place:\n"
        f"    BB201: pyproject.toml:{number}: there is no setting 'strikt'\n"
        "      fix: did you mean 'strict'?\n"
        f"    BB202: pyproject.toml:{number + 1}: repair must be true, false or a text, not the whole number 3\n"
        "      fix: write repair = false\n"
        "  fix: mend all of them; each is found by its place above\n"
    )


PIN = """
schema = 1
name = "X"
version = "1"
purl = "pkg:generic/x@1"
licence = "MIT"
licence-files = ["LICENSE"]

[archive]
project = "thing"
version = "1.0"
file = "thing-1.0.tar.gz"
sha256 = "{digest}"
size = {size}

[[select]]
from = "."
include = ["LICENSE"]
"""


@pytest.fixture
def vendoring(project: Copy, tmp_path: Path) -> Tuple[Project, Path]:
    """A project with a pin, and the folder with the pinned archive."""
    one = project("extension")
    links = tmp_path / "links"
    links.mkdir()
    (tmp_path / "LICENSE").write_text("MIT\n")
    with tarfile.open(links / "thing-1.0.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "LICENSE", "thing-1.0/LICENSE")
    write_pin(one, links, hashlib.sha256((links / "thing-1.0.tar.gz").read_bytes()).hexdigest())
    return one, links


def write_pin(one: Project, links: Path, digest: str) -> None:
    folder = one.path / "x-src"
    folder.mkdir(exist_ok=True)
    size = (links / "thing-1.0.tar.gz").stat().st_size
    (folder / "source.toml").write_text(PIN.format(digest=digest, size=size))


def test_no_network(vendoring: Tuple[Project, Path]) -> None:
    one, _ = vendoring
    outcome = one.refused(**NOWHERE, PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert outcome.status == 5
    assert message(outcome.err) == (
        "BB303: x-src: cannot fetch thing-1.0.tar.gz: http://127.0.0.1:9/simple: [Errno 111] Connection refused\n"
        "  why: the network or the package index is not reachable from here, or refused the connection\n"
        "  fix: check index-url, proxy and certificates (`python -m pip config debug`); or put the file into a folder "
        "and set PIP_FIND_LINKS to it; or build from the sdist, which carries the sources\n"
    )
    assert left(one) == ["source.toml"]


def test_no_index(vendoring: Tuple[Project, Path], tmp_path: Path) -> None:
    one, _ = vendoring
    (tmp_path / "empty").mkdir()
    outcome = one.refused(**{**NOWHERE, "PIP_FIND_LINKS": str(tmp_path / "empty")}, PIP_NO_INDEX="1")
    assert outcome.status == 5
    assert message(outcome.err) == (
        f"BB304: x-src: thing-1.0.tar.gz was not found: {tmp_path / 'empty'}: no thing-1.0.tar.gz\n"
        "  why: the configured index does not carry this project or version, or only its wheels\n"
        "  fix: let your index mirror the file, or put it into a folder and set PIP_FIND_LINKS to it\n"
    )
    assert left(one) == ["source.toml"]


def test_wrong_hash(vendoring: Tuple[Project, Path]) -> None:
    one, links = vendoring
    write_pin(one, links, "0" * 64)
    actual = hashlib.sha256((links / "thing-1.0.tar.gz").read_bytes()).hexdigest()
    environ: Dict[str, str] = {**NOWHERE, "PIP_FIND_LINKS": str(links), "PIP_NO_INDEX": "1"}
    outcome = one.refused(**environ)
    assert outcome.status == 5
    assert message(outcome.err) == (
        f"BB305: x-src: thing-1.0.tar.gz is not the pinned file: its SHA-256 is {actual}, the pin says {'0' * 64}\n"
        "  why: a damaged or truncated download, a proxy that answers with a page of its own, or a replaced file\n"
        "  fix: try again; if it stays, find out why the index serves another file before you change the pin\n"
    )
    assert left(one) == ["source.toml"]


def left(one: Project) -> List[str]:
    """What lies in the folder of the pin."""
    return sorted(path.name for path in (one.path / "x-src").iterdir())
