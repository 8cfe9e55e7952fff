"""Native code in archives that a wheel carries."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path
from typing import Dict

import pytest

from baseline_build.scan import Report, Verdict, nested, scan_path
from tests.scan import compiling


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compiling.library(tmp_path_factory.mktemp("bad"), "bad", compiling.AVX2, "-mavx2").read_bytes()


def zipped(files: Dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def scanned(folder: Path, name: str, data: bytes) -> Report:
    place = folder / "content"
    place.write_bytes(data)
    return scan_path(compiling.wheel(folder, {f"sample/{name}": place}))


def found(report: Report) -> Dict[str, Verdict]:
    return {file.path: file.verdict for file in report.inputs[0].files}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", ["x.whl", "plugin.zip", "content.dat"])
def test_a_zip_archive(tmp_path: Path, bad: bytes, name: str, method: int) -> None:
    data = zipped({"lib/bad.so": bad, "lib/readme.txt": b"nothing"}, method)
    report = scanned(tmp_path, name, data)
    assert found(report) == {f"sample/{name}!lib/bad.so": Verdict.VIOLATION}
    assert report.inputs[0].files[0].features["avx2"]


def test_a_zip_archive_behind_a_script(tmp_path: Path, bad: bytes) -> None:
    data = b"#!/usr/bin/env python3\n" + zipped({"bad.so": bad})
    assert found(scanned(tmp_path, "tool.pyz", data)) == {"sample/tool.pyz!bad.so": Verdict.VIOLATION}


@pytest.mark.parametrize(
    ("name", "pack", "inner"),
    [
        ("bad.so.gz", gzip.compress, "bad.so"),
        ("blob", bz2.compress, "blob"),
        ("bad.so.xz", lzma.compress, "bad.so"),
    ],
)
def test_a_packed_library(tmp_path: Path, bad: bytes, name: str, pack: object, inner: str) -> None:
    assert callable(pack)
    assert found(scanned(tmp_path, name, pack(bad))) == {f"sample/{name}!{inner}": Verdict.VIOLATION}


def test_a_packed_tar_archive(tmp_path: Path, bad: bytes) -> None:
    data = gzip.compress(tarred("lib/bad.so", bad))
    assert found(scanned(tmp_path, "libs.tgz", data)) == {"sample/libs.tgz!libs.tar!lib/bad.so": Verdict.VIOLATION}


def test_archives_in_archives(tmp_path: Path, bad: bytes) -> None:
    data = zipped({"inner.tar": tarred("deep.zip", zipped({"bad": bad}))})
    assert found(scanned(tmp_path, "outer.zip", data)) == {"sample/outer.zip!inner.tar!deep.zip!bad": Verdict.VIOLATION}


def test_too_many_in_each_other_are_undecided(tmp_path: Path, bad: bytes) -> None:
    data = bad
    for _ in range(nested.DEPTH + 1):
        data = zipped({"a.zip": data})
    report = scanned(tmp_path, "outer.zip", data)
    assert report.verdict is Verdict.UNDECIDED
    assert report.inputs[0].files[0].notes == (
        "BB444: more than 4 archives lie in each other; the innermost was not looked at",
    )


def test_too_much_is_undecided(tmp_path: Path, bad: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nested, "TOTAL", 1000)
    report = scanned(tmp_path, "outer.zip", zipped({"bad.so": bad}))
    assert report.verdict is Verdict.UNDECIDED
    assert "BB444: the archives unpack to more than" in report.inputs[0].files[0].notes[0]


def test_too_many_files_are_undecided(tmp_path: Path, bad: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nested, "MEMBERS", 1)
    report = scanned(tmp_path, "outer.zip", zipped({"a.txt": b"a", "bad.so": bad}))
    assert report.verdict is Verdict.UNDECIDED
    assert "BB444: there are more than 1 files in archives" in report.inputs[0].files[0].notes[0]


def test_a_damaged_archive_is_undecided(tmp_path: Path, bad: bytes) -> None:
    data = gzip.compress(tarred("first", b"x" * 2000) + bad)
    report = scanned(tmp_path, "libs.tar.gz", data[: len(data) // 2])
    assert report.verdict is Verdict.UNDECIDED
    assert report.inputs[0].files[0].notes[0].startswith("BB444: not all of this archive can be unpacked: ")


def test_an_encrypted_file_is_undecided(tmp_path: Path, bad: bytes) -> None:
    data = bytearray(zipped({"bad.so": bad}))
    data[6] |= 1  # the flag in the file's own header and in the archive's index
    data[data.index(b"PK\x01\x02") + 8] |= 1
    report = scanned(tmp_path, "outer.zip", bytes(data))
    assert report.verdict is Verdict.UNDECIDED
    assert "encrypted" in report.inputs[0].files[0].notes[0]


@pytest.mark.parametrize(
    "data", [b"\x1f\x8b\x08" + b"no gzip" * 99, b"PK\x03\x04" + b"no zip" * 99, b"BZh" + b"x" * 99]
)
def test_what_only_begins_like_an_archive_is_data(tmp_path: Path, data: bytes) -> None:
    report = scanned(tmp_path, "data.bin", data)
    assert report.verdict is Verdict.NOT_APPLICABLE


def test_zstd_is_remarked(tmp_path: Path) -> None:
    report = scanned(tmp_path, "data.zst", b"\x28\xb5\x2f\xfd" + bytes(99))
    assert report.inputs[0].notes == ("sample/data.zst is packed by zstd; what it holds was not looked at",)


def test_in_a_folder(tmp_path: Path, bad: bytes) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "plugin.zip").write_bytes(zipped({"bad.so": bad}))
    assert found(scan_path(folder)) == {"plugin.zip!bad.so": Verdict.VIOLATION}
