"""The corpus: real wheels with the truth about them, downloaded by name and hash.

``wheels.json`` holds facts only: file name, sha256, whether the wheel dies with SIGILL on the baseline CPU
(``violation``), runs there although it holds code above the baseline (``dispatched``) or has nothing above it
(``clean``, by another decoder), where SIGILL was seen, and when. Each was imported and used under
``qemu-x86_64 -cpu Opteron_G1,-sse3`` or ``qemu-aarch64 -cpu cortex-a53``. A row with ``quick`` belongs to the slice
that fits into a few minutes: ``pytest tests/corpus -m corpus_slice``.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from tests.tools import missing

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Crash:
    """Where the program died: file (its end), address, function."""

    file: str
    address: int
    function: str


@dataclass(frozen=True)
class Wheel:
    """One row of ``wheels.json``.

    :param group: ``first`` (the wheels of which most dispatched code must be proven) or ``further``.
    :param seen: day on which the truth was seen.
    :param quick: whether it belongs to the slice.
    """

    file: str
    project: str
    requirement: str
    sha256: str
    machine: str
    truth: str
    group: str
    seen: str
    crash: Optional[Crash] = None
    quick: bool = False

    @property
    def title(self) -> str:
        return f"{self.project}-{self.machine}"


def listed() -> Tuple[Wheel, ...]:
    rows = json.loads((HERE / "wheels.json").read_text(encoding="utf-8"))
    return tuple(Wheel(**{**row, "crash": Crash(**row["crash"]) if "crash" in row else None}) for row in rows)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def fetched(wheel: Wheel, cache: Path) -> Path:
    """The wheel in *cache*, or in the folder ``BASELINE_BUILD_TEST_CORPUS`` names; downloaded when it is not there."""
    folder = Path(os.environ.get("BASELINE_BUILD_TEST_CORPUS", cache / "corpus"))
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / wheel.file
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _download(wheel, folder)
    if not place.exists():
        missing(f"{wheel.file} could not be downloaded")
    assert _digest(place) == wheel.sha256, f"{wheel.file} is not the file the corpus is about"
    return place


def _download(wheel: Wheel, folder: Path) -> None:
    """Ask for the last of the wheel's platforms alone first: a release may have several wheels that fit them all."""
    python, abi, tags = wheel.file[: -len(".whl")].split("-")[-3:]
    version = "311" if abi == "abi3" else python.replace("cp", "")
    platforms = tags.split(".")
    for asked in (platforms[-1:], platforms):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        command += ["-d", str(folder), "--python-version", version]
        command += [word for platform in asked for word in ("--platform", platform)]
        subprocess.run([*command, wheel.requirement], check=False, capture_output=True, text=True)
        if (folder / wheel.file).exists():
            return
