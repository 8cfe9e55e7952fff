"""RUNPATHs of real linked files, and what stays of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build.artifacts.stripping import is_linked_elf, linked_files, remove_foreign_runpath
from baseline_build.errors import BrokenInputError
from tests.tools import require_tool


def link(folder: Path, *options: str) -> Path:
    source = folder / "lib.c"
    source.write_text("int answer(void) { return 42; }\n")
    library = folder / "lib.so"
    command = [require_tool("gcc"), "-shared", "-fPIC", str(source), "-o", str(library), *options]
    subprocess.run(command, check=True)
    return library


def dynamic(path: Path) -> str:
    command = [require_tool("readelf"), "-dW", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def use(library: Path) -> None:
    import ctypes

    assert ctypes.CDLL(str(library)).answer() == 42


@pytest.mark.parametrize(
    ("given", "dropped", "kept"),
    [
        ("/usr/somewhere/lib", ("/usr/somewhere/lib",), ""),
        ("/a:/b", ("/a", "/b"), ""),
        ("/a:$ORIGIN/../x.libs", ("/a",), "$ORIGIN/../x.libs"),
        ("$ORIGIN/../x.libs:/a", ("/a",), "$ORIGIN/../x.libs"),
        ("/a:${ORIGIN}/y:/b", ("/a", "/b"), "${ORIGIN}/y"),
        ("$ORIGIN/y", (), "$ORIGIN/y"),
    ],
)
@pytest.mark.parametrize("tags", ["--enable-new-dtags", "--disable-new-dtags"])
def test_only_folders_of_the_wheel_stay(
    tmp_path: Path, given: str, dropped: tuple[str, ...], kept: str, tags: str
) -> None:
    library = link(tmp_path, f"-Wl,-rpath,{given}", f"-Wl,{tags}")
    data = bytearray(library.read_bytes())
    size = len(data)
    assert remove_foreign_runpath(data, "lib.so") == dropped
    assert len(data) == size
    library.write_bytes(data)
    told = dynamic(library)
    assert ("PATH" in told) == bool(kept)
    assert f"[{kept}]" in told or not kept
    assert "Shared library: [libc.so.6]" in told or "NEEDED" not in told
    use(library)


def test_a_file_without_any_is_left_alone(tmp_path: Path) -> None:
    library = link(tmp_path)
    data = bytearray(library.read_bytes())
    assert remove_foreign_runpath(data, "lib.so") == ()
    assert bytes(data) == library.read_bytes()


def test_a_damaged_dynamic_section_is_one_error(tmp_path: Path) -> None:
    data = bytearray(link(tmp_path, "-Wl,-rpath,/a").read_bytes())
    with pytest.raises(BrokenInputError, match=r"BB720: lib\.so"):
        remove_foreign_runpath(data[: len(data) // 8], "lib.so")


def test_which_files_are_linked(tmp_path: Path) -> None:
    library = link(tmp_path)
    subprocess.run([require_tool("gcc"), "-c", str(tmp_path / "lib.c"), "-o", str(tmp_path / "lib.o")], check=True)
    (tmp_path / "text.so").write_text("GROUP ( libc.so.6 )")
    (tmp_path / "empty.so").write_bytes(b"")
    assert linked_files(tmp_path) == (library,)
    assert not is_linked_elf((tmp_path / "lib.o").read_bytes()[:20])
