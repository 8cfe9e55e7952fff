"""The pin format, pip's configuration, and the pins of this very project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Dict

import pytest

from baseline_build import sources
from baseline_build.errors import SourceError
from baseline_build.sources import index as index_client
from baseline_build.sources.pipconfig import read_settings
from tests.tools import missing, require_tool, untar

from .conftest import Project, sdist, write_pin

ROOT = Path(sources.__file__).parents[2]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("schema = 1", "schema = 2", "schema must be 1"),
        ('name = "Demo"', "", "name is missing"),
        ('name = "Demo"', "name = 3", "name must be of type str"),
        ('name = "Demo"', 'nam = "Demo"', "nam is not a key"),
        ('file = "demo-1.0.tar.gz"', 'file = "../demo.tar.gz"', "archive.file"),
        ('file = "demo-1.0.tar.gz"', 'file = "demo-1.0.zip"', "archive.file"),
        ('sha256 = "', 'sha256 = "X', "archive.sha256"),
        ("size = ", "size = -", "archive.size"),
        ("size = ", "size = true #", "archive.size"),
        ('from = "src"', 'from = "/src"', "select\\[0\\].from must stay within"),
        ('from = "src"', 'from = "../src"', "select\\[0\\].from must stay within"),
        ('"LICENSE"]\n[archive]', '"../LICENSE"]\n[archive]', "licence-files must stay"),
        ("strip = 1", "strip = 99", "patch\\[0\\].strip"),
        ("[[select]]", "[[selekt]]", "selekt is not a key"),
        ("[archive]", "[archive", "cannot be read"),
    ],
)
def test_pins_that_cannot_be_used(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = write_pin(tmp_path / "demo-src", sdist({}), patches=[("a.patch", 1)])
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(SourceError, match=f"BB301.*source.toml.*{complaint}"):
        sources.pins(tmp_path)


def test_a_project_without_pins(tmp_path: Path) -> None:
    assert sources.pins(tmp_path) == ()
    assert sources.sync(tmp_path) == ()
    assert sources.requirements(tmp_path) == ()


def _pip_says(key: str, environ: Dict[str, str]) -> str:
    """What pip itself finds in the user's files."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    command = [sys.executable, "-m", "pip", "config", "get", f"global.{key}"]
    found = subprocess.run(command, env={**clean, **environ}, capture_output=True, text=True, check=True)
    return found.stdout.strip()


def test_configuration_files_count_as_for_pip(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".pip").mkdir()
    (tmp_path / "xdg" / "pip").mkdir(parents=True)
    (tmp_path / "chosen.conf").write_text("[global]\ntimeout = 11\n")
    (tmp_path / "xdg" / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = http://shared/\nretries = 1\nproxy = http://p/\n"
    )
    (home / ".pip" / "pip.conf").write_text("[global]\nindex-url = http://old/\nretries = 2\n")
    (home / ".config" / "pip" / "pip.conf").write_text("[global]\nindex_url = http://new/\ntimeout = 10\n")
    environ = {
        "HOME": str(home),
        "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
        "PIP_CONFIG_FILE": str(tmp_path / "chosen.conf"),
    }
    settings = read_settings(environ, prefix=tmp_path / "none")
    # The chosen file takes the place of the user's: `pip config debug` lists none then.
    assert settings.index_url == "http://shared/"
    assert settings.timeout == 11
    environ["PIP_CONFIG_FILE"] = str(tmp_path / "missing.conf")
    settings = read_settings(environ, prefix=tmp_path / "none")
    assert settings.index_url == _pip_says("index-url", environ) == "http://new/"
    assert settings.proxy == "http://p/"
    assert str(int(settings.timeout)) == _pip_says("timeout", environ) == "10"
    assert str(settings.retries) == _pip_says("retries", environ) == "2"
    assert read_settings({**environ, "PIP_INDEX_URL": "http://variable/"}).index_url == "http://variable/"
    assert read_settings({**environ, "PIP_CONFIG_FILE": os.devnull}).index_url is None


def test_sections_lists_and_the_environments_own_file(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\ntrusted-host = a\n  b:80\nextra-index-url =\n  http://x/\n  http://y/\nindex-url = http://general/\n"
        "[download]\nindex-url = http://special/\n[install]\nindex-url = http://ignored/\n"
    )
    settings = read_settings({"HOME": str(tmp_path / "none"), "PIP_FIND_LINKS": "/one ~/two"}, prefix=tmp_path)
    assert settings.trusted_hosts == ("a", "b:80")
    assert settings.extra_index_urls == ("http://x/", "http://y/")
    assert settings.index_url == "http://special/"
    assert settings.find_links == ("/one", os.path.expanduser("~/two"))


@pytest.mark.parametrize(
    "environ",
    [
        {"PIP_TIMEOUT": "soon"},
        {"PIP_RETRIES": "-1"},
        {"PIP_NO_INDEX": "perhaps"},
        {"PIP_CONFIG_FILE": __file__},
    ],
)
def test_a_configuration_that_cannot_be_used(environ: Dict[str, str]) -> None:
    with pytest.raises(SourceError, match="BB312"):
        read_settings({"HOME": "/nonexistent", **environ})


def test_every_error_is_explained() -> None:
    codes = set(
        re.findall(r'"(BB\d{3})"', "".join(path.read_text() for path in Path(sources.__file__).parent.glob("*.py")))
    )
    assert codes >= {f"BB{number}" for number in range(301, 313)}
    for code in codes:
        assert len((ROOT / "baseline_build" / "codes" / f"{code}.txt").read_text().splitlines()) >= 3


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project's own pins, fetched from the index the machine is configured for."""
    folder = tmp_path_factory.mktemp("real")
    for pin in sources.pins(ROOT):
        (folder / pin.tree).mkdir()
        (folder / pin.tree / "source.toml").write_bytes((ROOT / pin.tree / "source.toml").read_bytes())
    try:
        sources.sync(folder)
    except SourceError as error:
        if error.code == "BB303":
            missing(f"no package index is reachable: {error.what}")
        raise
    return folder


def test_the_pinned_projects(real: Path) -> None:
    trees = {state.pin.name: state.tree for state in sources.check(real)}
    assert set(trees) == {"LMDB", "FlatBuffers"}
    lmdb, flatbuffers = trees["LMDB"], trees["FlatBuffers"]
    assert lmdb is not None
    assert flatbuffers is not None
    assert {file.path for file in lmdb.files} == {"LICENSE", "lmdb.h", "mdb.c", "midl.c", "midl.h"}
    assert len(lmdb.pin.patches) == 25
    assert sum(len(patch.closes) for patch in lmdb.pin.patches) == 5
    paths = {file.path for file in flatbuffers.files}
    assert {"CMakeLists.txt", "LICENSE", "python/flatbuffers/builder.py", "reflection/reflection.bfbs"} <= paths
    digest = next(file.sha256 for file in flatbuffers.files if file.path == "reflection/reflection.bfbs")
    assert digest.startswith("99f444a0")


def test_all_patches_give_what_the_patch_program_gives(real: Path, tmp_path: Path) -> None:
    patch = require_tool("patch")
    pin = next(pin for pin in sources.pins(real) if pin.name == "LMDB")
    archive = tmp_path / pin.archive.file
    index_client.download(pin, read_settings(os.environ), archive, lambda _: None)
    untar(archive, tmp_path)
    top = tmp_path / "lmdb-3.0.0"
    for entry in pin.patches:
        command = [patch, "-N", "-s", f"-p{entry.strip}", "-d", str(top / "lib"), "-i", str(top / entry.file)]
        subprocess.run(command, check=True)
    for name in ("lmdb.h", "mdb.c", "midl.c", "midl.h"):
        assert (top / "lib" / name).read_bytes() == (real / "lmdb-src" / name).read_bytes()


def test_the_order_of_the_patches_is_that_of_the_project(real: Path, tmp_path: Path) -> None:
    pin = next(pin for pin in sources.pins(real) if pin.name == "LMDB")
    archive = tmp_path / pin.archive.file
    index_client.download(pin, read_settings(os.environ), archive, lambda _: None)
    with tarfile.open(archive) as tar:
        script = tar.extractfile("lmdb-3.0.0/setup.py")
        assert script is not None
        text = script.read().decode()
    names = re.search(r"name='v09'.*?patch_names=\[(.*?)\]", text, re.DOTALL)
    assert names
    ordered = re.findall(r"^\s*'([^']+)',", names.group(1), re.MULTILINE)
    assert [patch.file for patch in pin.patches] == [f"lib/py-lmdb/{name}.patch" for name in ordered]


def test_nothing_third_party_is_tracked(project: Project) -> None:
    del project
    listing = subprocess.run(
        [require_tool("git"), "ls-files", "lmdb-src", "flatbuffers-src"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip("this is not a checkout")
    tracked = set(listing.stdout.split())
    assert tracked == {
        f"{folder}/{name}" for folder in ("lmdb-src", "flatbuffers-src") for name in ("README.md", "source.toml")
    }
