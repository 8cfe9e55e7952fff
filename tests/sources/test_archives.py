"""Archives from strangers: what must never be written, and that nothing is left behind."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import Dict

import pytest

from baseline_build import sources
from baseline_build.errors import SourceError
from baseline_build.sources import archive as archives

from .conftest import DEFAULT, Index, Member, Project, environment, sdist, write_pin


def _header(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type = kind
    header.linkname = target
    header.size = size
    return header


def _refused(project: Project, index: Index, archive: bytes, code: str, patches: bool = False) -> str:
    index.files["demo-1.0.tar.gz"] = archive
    write_pin(project.tree, archive, patches=[("fix.patch", 2)] if patches else [])
    outside = sorted(path for path in project.path.parent.rglob("*") if project.path not in path.parents)
    with pytest.raises(SourceError) as caught:
        sources.sync(project.path, environ=environment(index))
    assert caught.value.code == code
    assert project.fetched() == []
    assert outside == sorted(path for path in project.path.parent.rglob("*") if project.path not in path.parents)
    return str(caught.value)


HOSTILE: Dict[str, Dict[str, Member]] = {
    "a name that climbs": {"../../evil.c": b"x"},
    "a name that climbs from within": {"src/../../../evil.c": b"x"},
    "a name with a backslash": {"src\\evil.c": b"x"},
    "a second top folder": {"": _header("other/evil.c", tarfile.REGTYPE)},
    "an absolute name": {"": _header("/tmp/evil.c", tarfile.REGTYPE)},
    "a drive": {"": _header("c:/evil.c", tarfile.REGTYPE)},
    "a wanted symbolic link": {"src/evil.c": _header("demo-1.0/src/evil.c", tarfile.SYMTYPE, "/etc/passwd")},
    "a wanted hard link": {"src/evil.c": _header("demo-1.0/src/evil.c", tarfile.LNKTYPE, "demo-1.0/src/one.c")},
    "a device": {"src/evil": _header("demo-1.0/src/evil", tarfile.CHRTYPE)},
    "a pipe": {"src/evil": _header("demo-1.0/src/evil", tarfile.FIFOTYPE)},
    "a link in the way of a folder": {
        "src/deep": _header("demo-1.0/src/deep.c", tarfile.SYMTYPE, "/tmp"),
        "src/deep.c/evil.c": b"x",
    },
    "a file where a folder is": {"src/deep.h/evil.c": b"x", "src/deep.h": b"y"},
    "a doubled file": {"src/one.c": b"first", "src//one.c": b"second"},
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_members(project: Project, index: Index, members: Dict[str, Member]) -> None:
    _refused(project, index, sdist({**DEFAULT, **members}), "BB306")


def test_the_same_name_twice(project: Project, index: Index) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for content in (b"a", b"b"):
            tar.addfile(_header("demo-1.0/src/one.c", tarfile.REGTYPE, size=1), io.BytesIO(content))
    assert "two members" in _refused(project, index, gzip.compress(raw.getvalue()), "BB306")


def test_links_that_are_not_wanted_do_no_harm(project: Project, index: Index) -> None:
    members: Dict[str, Member] = {
        **DEFAULT,
        "docs/link.md": _header("demo-1.0/docs/link.md", tarfile.SYMTYPE, "/etc/passwd"),
    }
    archive = sdist(members)
    index.files["demo-1.0.tar.gz"] = archive
    write_pin(project.tree, archive)
    sources.sync(project.path, environ=environment(index))
    assert project.fetched() == ["LICENSE", "deep/two.h", "one.c", "run.sh", "stamp.json"]


@pytest.mark.parametrize(
    ("archive", "code"),
    [
        (b"this is no archive", "BB306"),
        (gzip.compress(b"this is no tar"), "BB306"),
        (sdist(DEFAULT)[:-30], "BB306"),
        (gzip.compress(gzip.decompress(sdist(DEFAULT))[: 1024 + 512 + 10]), "BB306"),
        # The tar format cannot tell this from an end: what is missing is noticed by name.
        (gzip.compress(gzip.decompress(sdist(DEFAULT))[: 1024 + 100]), "BB307"),
    ],
    ids=["not compressed", "not a tar", "compression cut off", "content cut off", "header cut off"],
)
def test_damaged_archives(project: Project, index: Index, archive: bytes, code: str) -> None:
    _refused(project, index, archive, code)


def test_sizes_are_bounded(project: Project, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 1000)
    assert "limits" in _refused(project, index, sdist({**DEFAULT, "src/big.c": b"x" * 1001}), "BB306")
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 1500)
    padded = {**DEFAULT, "other/1": b"x" * 900, "other/2": b"x" * 900}
    assert "limits" in _refused(project, index, sdist(padded), "BB306")
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    assert "members" in _refused(project, index, sdist(DEFAULT), "BB306")


def test_a_header_that_claims_too_much_is_refused_before_memory_is_taken(project: Project, index: Index) -> None:
    raw = io.BytesIO()
    header = _header("demo-1.0/src/one.c", tarfile.REGTYPE, size=1 << 40)
    raw.write(header.tobuf(tarfile.GNU_FORMAT))
    assert "limits" in _refused(project, index, gzip.compress(raw.getvalue()), "BB306")


def test_a_wanted_file_that_is_missing(project: Project, index: Index) -> None:
    members = {name: content for name, content in DEFAULT.items() if not name.endswith(".h")}
    assert "src/**/*.h" in _refused(project, index, sdist(members), "BB307")


def test_a_missing_patch(project: Project, index: Index) -> None:
    members = {name: content for name, content in DEFAULT.items() if name != "fix.patch"}
    assert "fix.patch" in _refused(project, index, sdist(members), "BB307", patches=True)


def test_a_missing_licence(project: Project, index: Index) -> None:
    archive = sdist(DEFAULT)
    index.files["demo-1.0.tar.gz"] = archive
    write_pin(project.tree, archive, licence="COPYING")
    with pytest.raises(SourceError, match=r"BB307.*COPYING"):
        sources.sync(project.path, environ=environment(index))
    assert project.fetched() == []


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.c", "a.c", True),
        ("*.c", "b/a.c", False),
        ("**/*.c", "a.c", True),
        ("**/*.c", "b/c/a.c", True),
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a.c", "abc", False),
        ("a[b].c", "ab.c", False),
        ("*", "a\n", True),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    assert bool(archives.compile_pattern(pattern).match(path)) is matches


def test_permissions_are_reduced_to_executable_or_not(project: Project, index: Index, tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in DEFAULT.items():
            header = tarfile.TarInfo(f"demo-1.0/{name}")
            header.size, header.mode, header.uid = len(content), 0o6777 if name.endswith(".sh") else 0o666, 4711
            tar.addfile(header, io.BytesIO(content))
    archive = gzip.compress(raw.getvalue())
    index.files["demo-1.0.tar.gz"] = archive
    write_pin(project.tree, archive)
    sources.sync(project.path, environ=environment(index))
    modes = {path.name: path.stat().st_mode & 0o7777 for path in project.tree.glob("*.*")}
    assert modes["run.sh"] == 0o755
    assert modes["one.c"] == 0o644
    assert (project.tree / "one.c").stat().st_uid != 4711


def test_a_name_longer_than_the_file_system_takes(project: Project, index: Index) -> None:
    name = "x" * 300 + ".c"
    said = _refused(project, index, sdist({**DEFAULT, f"src/{name}": b"int x;\n"}), "BB311")
    what, _, fix = said.partition("\n")
    assert what.startswith("BB311: demo-src: cannot write /")
    assert what.endswith(
        f"{name}: [Errno 36] File name too long: '{what[len('BB311: demo-src: cannot write ') :].split(': [')[0]}'"
    )
    assert fix == "  fix: make room, or check the permissions"
