"""Wheels made by hand, honest and hostile."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Dict, Mapping, Optional

NAME = "sample-1.0-py3-none-any.whl"
INFO = "sample-1.0.dist-info"

WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
METADATA = "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"


def contents(extra: Optional[Mapping[str, bytes]] = None) -> Dict[str, bytes]:
    """The files of an honest wheel, RECORD included."""
    files = {
        "sample/__init__.py": b"x = 1\n",
        f"{INFO}/METADATA": METADATA.encode(),
        f"{INFO}/WHEEL": WHEEL.encode(),
        **(extra or {}),
    }
    rows = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}"
        for name, data in files.items()
    ]
    return {**files, f"{INFO}/RECORD": "\n".join([*rows, f"{INFO}/RECORD,,"]).encode() + b"\n"}


def write(folder: Path, files: Mapping[str, bytes], name: str = NAME) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return path


def honest(folder: Path, extra: Optional[Mapping[str, bytes]] = None, name: str = NAME) -> Path:
    return write(folder, contents(extra), name)
