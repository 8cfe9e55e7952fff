"""Files people name by mistake, and a way to call the command as they do."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Optional, Sequence

import pytest

import baseline_build

ROOT = Path(baseline_build.__file__).parent.parent


@dataclass(frozen=True)
class Said:
    """What a call of the command printed and its exit status."""

    status: int
    out: str
    err: str


Call = Callable[..., Said]


def _wheel(members: Dict[str, bytes], name: str) -> bytes:
    told = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
        "RECORD": "",
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        for member, text in told.items():
            archive.writestr(f"{name}-1.0.dist-info/{member}", text)
    return stream.getvalue()


def _encrypted(archive: bytes) -> bytes:
    """*archive*, its headers saying that all files are encrypted (APPNOTE.TXT 4.4.4, bit 0)."""
    changed = bytearray(archive)
    for head, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = changed.find(head)
        while place >= 0:
            changed[place + flags] |= 1
            place = changed.find(head, place + 4)
    return bytes(changed)


PURE_WHEEL = _wheel({"pure/__init__.py": b""}, "pure")
_ZEROS = bytes(24 << 20)
BOMB = (len(zlib.compress(_ZEROS)) - 6, len(_ZEROS))  # packed (without zlib's header and checksum) and unpacked size
_BOMB_WHEEL = _wheel({"x/a.so": _ZEROS}, "bomb")


@pytest.fixture
def baseline(tmp_path: Path) -> Call:
    """Calls ``baseline-build`` as another process in a folder of its own: ``baseline("scan", "x.whl")``."""

    def call(
        *arguments: str, environ: Optional[Dict[str, str]] = None, data: bytes = b"", prefix: Sequence[str] = ()
    ) -> Said:
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **(environ or {})}
        for name in ("NO_COLOR", "FORCE_COLOR", "GITHUB_STEP_SUMMARY"):
            if name not in (environ or {}):
                variables.pop(name, None)
        done = subprocess.run(
            [*prefix, sys.executable, "-m", "baseline_build", *arguments],
            cwd=tmp_path, env=variables, input=data, capture_output=True, check=False,
        )  # fmt: skip
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in out + err
        return Said(done.returncode, out, err)

    return call


@pytest.fixture
def mistakes(tmp_path: Path) -> Path:
    """A folder with files that are not what their names say."""
    (tmp_path / "notes.txt").write_text("hello\n")
    (tmp_path / "empty.so").write_bytes(b"")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "folder-1.0-py3-none-any.whl").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "x-1.tar.gz").write_bytes(gzip.compress(b"x", mtime=0))
    (tmp_path / "bomb-1.0-py3-none-any.whl").write_bytes(_BOMB_WHEEL)
    (tmp_path / "secret-1.0-py3-none-any.whl").write_bytes(_encrypted(_wheel({"x/a.so": b"hello"}, "secret")))
    (tmp_path / "dots-1.0-py3-none-any.whl").write_bytes(_wheel({"../../evil.so": b"x"}, "dots"))
    (tmp_path / "u.whl").write_bytes(PURE_WHEEL)
    (tmp_path / "cut.so").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(30))
    with zipfile.ZipFile(tmp_path / "empty-1.0-py3-none-any.whl", "w"):
        pass
    (tmp_path / "pure-1.0-py3-none-any.whl").write_bytes(PURE_WHEEL)
    whole = (tmp_path / "pure-1.0-py3-none-any.whl").read_bytes()
    (tmp_path / "cut-1.0-py3-none-any.whl").write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(tmp_path / "mac-1.0-cp311-cp311-macosx_11_0_arm64.whl", "w") as archive:
        archive.writestr("mac/_x.so", b"\xcf\xfa\xed\xfe" + bytes(60))
        archive.writestr("mac-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: mac\nVersion: 1.0\n")
        archive.writestr("mac-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-macosx_11_0_arm64\n")
        archive.writestr("mac-1.0.dist-info/RECORD", "")
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "x"\nversion = "1"\n[tool.baseline-build]\nstrcit = true\n'
    )
    return tmp_path
