"""Packing: the same files give the same bytes, RECORD is right, permissions are two."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import List

import pytest

from baseline_build.errors import BrokenInputError, ConfigError
from baseline_build.wheel import names, open_wheel, pack, record, repack, unpack
from tests.wheel import builders


def modes(path: Path) -> dict[str, int]:
    with zipfile.ZipFile(path) as archive:
        return {info.filename: stat.S_IMODE(info.external_attr >> 16) for info in archive.infolist()}


def order(path: Path) -> List[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "unpacked"
    unpack(builders.honest(tmp_path, {"zlast.py": b"", "sample/_bin/tool": b"\x7fELF"}), place)
    (place / "sample" / "_bin" / "tool").chmod(0o775)
    (place / "zlast.py").chmod(0o600)
    return place


def test_the_same_bytes_whatever_the_disk_says(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / builders.NAME, tmp_path / "b" / builders.NAME
    first.parent.mkdir()
    second.parent.mkdir()
    pack(folder, first, epoch=1_700_000_000)
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    (folder / "zlast.py").chmod(0o644)
    pack(folder, second, epoch=1_700_000_000)
    assert first.read_bytes() == second.read_bytes()
    third = tmp_path / builders.NAME
    pack(folder, third, epoch=1_700_000_100)
    assert third.read_bytes() != first.read_bytes()


def test_order_and_modes(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / builders.NAME
    target.parent.mkdir()
    pack(folder, target)
    found = order(target)
    assert found[-1] == f"{builders.INFO}/RECORD"
    split = next(i for i, name in enumerate(found) if name.startswith(builders.INFO))
    assert found[:split] == sorted(found[:split])
    assert all(name.startswith(builders.INFO) for name in found[split:])
    assert modes(target) == {name: 0o755 if name.endswith("tool") else 0o644 for name in found}
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_record_is_right_by_another_reader(folder: Path, tmp_path: Path) -> None:
    """``wheel unpack`` checks every hash of RECORD."""
    (folder / "sample" / "__init__.py").write_text("x = 2\n")
    target = tmp_path / "out" / builders.NAME
    target.parent.mkdir()
    pack(folder, target)
    with open_wheel(target) as wheel:
        assert record.problems(wheel) == ()
    command = [sys.executable, "-m", "wheel", "unpack", "-d", str(tmp_path / "other"), str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "other" / "sample-1.0" / "sample" / "__init__.py").read_text() == "x = 2\n"


def test_installed_program_stays_executable(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / builders.NAME
    target.parent.mkdir()
    pack(folder, target)
    place = tmp_path / "site"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        str(place),
        str(target),
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert os.access(place / "sample" / "_bin" / "tool", os.X_OK)
    assert os.stat(place / "zlast.py").st_mode & 0o111 == 0


@pytest.mark.parametrize("value", ["yesterday", "-1", "1.5", "", "99999999999", "²"])
def test_bad_source_date_epoch(folder: Path, tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
    with pytest.raises(ConfigError) as caught:
        pack(folder, tmp_path / builders.NAME.replace("1.0", "2.0"))
    assert caught.value.code == "BB221"
    assert not (tmp_path / builders.NAME.replace("1.0", "2.0")).exists()
    assert not list(tmp_path.glob(".sample*")), "a scratch file was left behind"


def test_source_date_epoch_is_used(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    target = tmp_path / "out.d" / builders.NAME
    target.parent.mkdir()
    pack(folder, target)
    with zipfile.ZipFile(target) as archive:
        assert {info.date_time for info in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
    pack(folder, target, epoch=5)
    with zipfile.ZipFile(target) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_links_in_the_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "sample" / "link.py").symlink_to("__init__.py")
    with pytest.raises(BrokenInputError) as caught:
        pack(folder, tmp_path / "x" / builders.NAME)
    assert caught.value.code == "BB436"


def test_repack_replaces_and_retags(tmp_path: Path) -> None:
    name = "sample-1.0-cp311-cp311-linux_x86_64.whl"
    source = builders.honest(tmp_path, {"sample/_x.so": b"old", f"{builders.INFO}/RECORD.jws": b"{}"}, name)
    target = repack(
        source,
        tmp_path,
        replace={"sample/_x.so": b"new", "sample/more.py": b"y = 1\n"},
        remove=["sample/__init__.py"],
        platform="manylinux_2_17_x86_64.manylinux2014_x86_64",
        verified=False,
    )
    assert target.name == "sample-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    with open_wheel(target) as wheel:
        record.verify(wheel)
        assert wheel.read("sample/_x.so") == b"new"
        assert "sample/__init__.py" not in wheel
        assert f"{builders.INFO}/RECORD.jws" not in wheel
        text = wheel.read(f"{builders.INFO}/WHEEL").decode()
    assert [line for line in text.splitlines() if line.startswith("Tag:")] == [
        "Tag: cp311-cp311-manylinux_2_17_x86_64",
        "Tag: cp311-cp311-manylinux2014_x86_64",
    ]
    assert "Root-Is-Purelib: true" in text


def test_repack_in_place_and_twice_gives_the_same(tmp_path: Path) -> None:
    source = builders.honest(tmp_path)
    first = repack(source, source, environ={}).read_bytes()
    assert repack(source, source, environ={}).read_bytes() == first


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda files: {**files, "sample/__init__.py": b"x = 3\n"}, "differs from its hash"),
        (lambda files: {**files, "sample/extra.py": b""}, "is not listed"),
        (lambda files: {n: d for n, d in files.items() if n != "sample/__init__.py"}, "listed in RECORD and missing"),
        (lambda files: {n: d for n, d in files.items() if not n.endswith("RECORD")}, "is missing"),
        (
            lambda files: {
                **files,
                f"{builders.INFO}/RECORD": files[f"{builders.INFO}/RECORD"].replace(b"sha256=", b"md5="),
            },
            "no hash in RECORD that can be trusted",
        ),
    ],
)
def test_a_changed_wheel_is_not_given_a_fresh_record(tmp_path: Path, change, sentence: str) -> None:
    source = builders.write(tmp_path, change(builders.contents()))
    with pytest.raises(BrokenInputError) as caught:
        repack(source, tmp_path / "out.whl")
    assert caught.value.code == "BB442"
    assert sentence in caught.value.what


@pytest.mark.parametrize(
    ("text", "code"),
    [("a,b\n", "BB441"), ("a,sha256=x,many\n", "BB441"), ("a,,1\na,,1\n", "BB441"), ('"a,,\n', "BB441")],
)
def test_malformed_record(text: str, code: str) -> None:
    with pytest.raises(BrokenInputError) as caught:
        record.parse(text, "sample.whl")
    assert caught.value.code == code


@pytest.mark.parametrize("extra", [{"other-2.0.dist-info/METADATA": b""}, None])
def test_dist_info_must_be_one(tmp_path: Path, extra) -> None:
    files = builders.contents(extra) if extra else {"sample/__init__.py": b""}
    with pytest.raises(BrokenInputError) as caught:
        repack(builders.write(tmp_path, files), tmp_path / "x" / builders.NAME)
    assert caught.value.code == "BB440"


@pytest.mark.parametrize(
    "name", ["sample.whl", "sample-1.0.whl", "sample-1.0-py3-none.whl", "sample-x!-py3-none-any.whl", "a.zip"]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(BrokenInputError) as caught:
        names.parse(name)
    assert caught.value.code == "BB443"


def test_names_keep_their_parts() -> None:
    name = names.parse("sample_pkg-1.0-2-cp39.cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    assert (name.project, name.version, name.build) == ("sample_pkg", "1.0", "2")
    assert len(name.tags) == 4
    assert str(name) == "sample_pkg-1.0-2-cp39.cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    assert str(names.retagged(name, platform="linux_x86_64")) == "sample_pkg-1.0-2-cp39.cp310-abi3-linux_x86_64.whl"
