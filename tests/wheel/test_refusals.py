"""One hostile archive for each refusal, and the exact code it is refused with."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Callable

import pytest

from baseline_build.errors import BrokenInputError
from baseline_build.wheel import Limits, open_wheel, unpack
from tests.wheel import builders

DEFAULT = Limits()


def read_all(path: Path, limits: Limits) -> None:
    with open_wheel(path, limits) as wheel:
        for member in wheel.members:
            wheel.read(member.name)


def refused(path: Path, limits: Limits = DEFAULT) -> BrokenInputError:
    """The error with which *path* is refused, while it is opened or while all of it is read."""
    with pytest.raises(BrokenInputError) as caught:
        read_all(path, limits)
    assert caught.value.where
    assert caught.value.why
    assert caught.value.fix
    return caught.value


def test_an_honest_wheel_is_read(tmp_path: Path) -> None:
    with open_wheel(builders.honest(tmp_path)) as wheel:
        assert wheel.read("sample/__init__.py") == b"x = 1\n"
        assert wheel.head("sample/__init__.py", 3) == b"x ="
        assert [member.name for member in wheel.members] == list(builders.contents())
        assert "sample/other.py" not in wheel


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"<html>not found</html>",
        lambda raw: b"",
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw.replace(b"PK\x03\x04", b"PK\x07\x08", 1),
        lambda raw: raw[:50] + bytes([raw[50] ^ 0xFF]) + raw[51:],
    ],
    ids=["page", "empty", "truncated", "header", "bit"],
)
def test_damaged(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = builders.honest(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert refused(path).code in ("BB430", "BB439")


def test_wrong_checksum(tmp_path: Path) -> None:
    path = tmp_path / builders.NAME
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("sample/data.bin", b"A" * 1000)
    path.write_bytes(path.read_bytes().replace(b"A" * 1000, b"A" * 999 + b"B"))
    assert refused(path).code == "BB430"


def test_too_many_members(tmp_path: Path) -> None:
    assert refused(builders.honest(tmp_path), Limits(members=3)).code == "BB431"


def test_member_too_large(tmp_path: Path) -> None:
    path = builders.honest(tmp_path, {"sample/large.bin": bytes(range(256)) * 100})
    assert refused(path, Limits(member_size=25_000)).code == "BB432"


def test_all_together_too_large(tmp_path: Path) -> None:
    path = builders.honest(tmp_path, {f"sample/{n}.bin": bytes(range(256)) * 10 for n in range(20)})
    assert refused(path, Limits(total_size=50_000)).code == "BB432"


def test_bomb(tmp_path: Path) -> None:
    path = builders.honest(tmp_path, {"sample/zeros.bin": bytes(20 << 20)})
    assert refused(path).code == "BB433"


def test_a_size_that_lies_is_noticed_while_reading(tmp_path: Path) -> None:
    """The index claims few bytes, the stream holds many: reading stops at the claim."""
    path = builders.honest(tmp_path, {"sample/lie.bin": b"0123456789" * 5000})
    raw = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = -1
        while True:
            at = raw.find(magic, at + 1)
            if at < 0:
                break
            name = raw[at + (46 if magic == b"PK\x01\x02" else 30) :][:15]
            if name == b"sample/lie.bin"[:15] or name.startswith(b"sample/lie.bin"):
                struct.pack_into("<I", raw, at + offset, 10)
    path.write_bytes(raw)
    assert refused(path).code == "BB430"


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../outside.py",
        "sample/../../outside.py",
        "C:/windows.py",
        "sample\\backslash.py",
        "sample//empty.py",
        "sample/./dot.py",
        "sample/new\nline.py",
        "sample/tab\t.py",
        "a" * 2000,
    ],
)
def test_unsafe_name(tmp_path: Path, name: str) -> None:
    assert refused(builders.honest(tmp_path, {name: b""})).code == "BB434"


def test_name_cut_at_a_nul_byte(tmp_path: Path) -> None:
    path = builders.honest(tmp_path, {"sample/hidden.py.so": b""})
    path.write_bytes(path.read_bytes().replace(b"sample/hidden.py.so", b"sample/hidden.py\0so"))
    assert refused(path).code == "BB434"


def test_duplicate_name(tmp_path: Path) -> None:
    path = builders.honest(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("sample/__init__.py", b"x = 2\n")
    assert refused(path).code == "BB435"


def test_metadata_that_differs_by_case(tmp_path: Path) -> None:
    assert refused(builders.honest(tmp_path, {f"{builders.INFO}/record": b""})).code == "BB435"


def test_a_file_that_is_also_a_folder(tmp_path: Path) -> None:
    assert refused(builders.honest(tmp_path, {"sample/__init__.py/inner.py": b""})).code == "BB435"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR], ids=["link", "pipe", "device"])
def test_link_or_device(tmp_path: Path, kind: int) -> None:
    path = builders.honest(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("sample/link.so")
        info.create_system = 3
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert refused(path).code == "BB436"


def test_encrypted(tmp_path: Path) -> None:
    path = builders.honest(tmp_path)
    raw = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = raw.find(magic)
        raw[at + offset] |= 1
    path.write_bytes(raw)
    assert refused(path).code == "BB437"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression(tmp_path: Path, method: int) -> None:
    path = builders.honest(tmp_path)
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr("sample/packed.bin", b"data" * 100)
    assert refused(path).code == "BB438"


def test_two_names_for_one_file(tmp_path: Path) -> None:
    """The file's own header names another file than the index: readers that stream see something else."""
    path = builders.honest(tmp_path, {"sample/first.so": b"1"})
    raw = path.read_bytes()
    at = raw.find(b"sample/first.so")
    path.write_bytes(raw[:at] + b"sample/other.so" + raw[at + 15 :])
    assert refused(path).code == "BB439"


def test_overlapping_files(tmp_path: Path) -> None:
    """Two rows of the index that lead to the same bytes, as in bombs that do without nesting."""
    path = builders.honest(tmp_path, {"sample/a.bin": b"A" * 50, "sample/b.bin": b"B" * 50})
    raw = bytearray(path.read_bytes())
    first = raw.find(b"PK\x01\x02")
    offsets = {}
    while first >= 0:
        length = struct.unpack_from("<H", raw, first + 28)[0]
        offsets[bytes(raw[first + 46 : first + 46 + length])] = first
        first = raw.find(b"PK\x01\x02", first + 1)
    target = struct.unpack_from("<I", raw, offsets[b"sample/a.bin"] + 42)[0]
    struct.pack_into("<I", raw, offsets[b"sample/b.bin"] + 42, target)
    path.write_bytes(raw)
    assert refused(path).code == "BB439"


def test_nothing_is_unpacked_from_a_refused_wheel(tmp_path: Path) -> None:
    path = builders.honest(tmp_path, {"../outside.py": b"boo"})
    folder = tmp_path / "inner" / "folder"
    with pytest.raises(BrokenInputError):
        unpack(path, folder)
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "inner" / "outside.py").exists()


def test_unpacking_wants_an_empty_folder(tmp_path: Path) -> None:
    path = builders.honest(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "sample").symlink_to(tmp_path)
    with pytest.raises(FileExistsError):
        unpack(path, folder)
    assert not (tmp_path / "__init__.py").exists()


def test_large_members_are_mapped_and_equal(tmp_path: Path) -> None:
    data = bytes(range(256)) * (70 << 10)
    path = builders.honest(tmp_path, {"sample/large.bin": data})
    with open_wheel(path, Limits(ratio=5000)) as wheel, wheel.buffer("sample/large.bin") as mapped:
        assert not isinstance(mapped, bytes)
        assert bytes(mapped) == data
        assert io.BytesIO(mapped).read(4) == bytes(range(4))
