"""A machine of the other byte order (s390x, emulated, with Debian's Python) says of a file what this one says."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List

import elftools
import packaging
import pytest

from tests.corpus import wheels
from tests.guard.dispatching import Build
from tests.guard.test_samples import AARCH64, X86
from tests.tools import missing, require_tool

from .building import ROOT

pytestmark = [pytest.mark.platforms, pytest.mark.long]

SUITE = "bookworm"
NAMES = ("table", "structure", "cached", "levels", "raw")
WHEELS = ("crc32c", "isal")


@pytest.fixture(scope="module")
def big_endian(shared_cache: Path) -> Path:
    """A folder with Debian's Python for s390x, its packages unpacked and nothing of them run."""
    folder = shared_cache / "s390x"
    with (shared_cache / "s390x.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "usr/bin/python3.11").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _unpack(folder)
    return folder


def _unpack(folder: Path) -> None:
    bootstrap = [require_tool("debootstrap"), "--foreign", "--arch=s390x", "--variant=minbase", "--include=python3"]
    done = subprocess.run([*bootstrap, SUITE, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"debootstrap gave no {SUITE} for s390x: {done.stdout.strip()[-300:]}")
    for package in sorted(folder.glob("var/cache/apt/archives/*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)


def scanned(command: List[str], folder: Path, **environment: str) -> Dict[str, Any]:
    """The report on all files and wheels of *folder*, each an input of its own."""
    paths = sorted(str(path) for path in folder.iterdir())
    words = [*command, "-m", "baseline_build", "scan", "--format", "json", "--exit-zero", *paths]
    environ = {**os.environ, **environment}
    done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: Dict[str, Any] = json.loads(done.stdout)
    return report


def samples(folder: Path) -> Iterator[Path]:
    """Programs of both machines, with and without relocations, right ones and broken ones."""
    for target in (X86, AARCH64):
        for kind in ("pie", "fixed"):
            for twin in ("good", "removed", "initialiser"):
                for name in NAMES:
                    build = folder / target.name / kind
                    build.mkdir(parents=True, exist_ok=True)
                    yield target.compiled(build, name, twin, Build("gcc", "-O2", kind), strip=True)


def test_verdicts_do_not_depend_on_the_byte_order(big_endian: Path, shared_cache: Path, tmp_path: Path) -> None:
    files, needed = tmp_path / "files", tmp_path / "needed"
    files.mkdir()
    needed.mkdir()
    for path in samples(tmp_path / "build"):
        path.rename(files / "-".join(path.relative_to(tmp_path / "build").parts))
    for wheel in wheels.listed():
        if wheel.project in WHEELS and wheel.machine == "aarch64":
            shutil.copy(wheels.fetched(wheel, shared_cache), files)
    for module in (elftools, packaging):
        assert module.__file__ is not None
        shutil.copytree(Path(module.__file__).parent, needed / module.__name__)
    python = [require_tool("qemu-s390x"), "-L", str(big_endian), str(big_endian / "usr/bin/python3.11")]
    subprocess.run([*python, "-c", "import sys; sys.exit(sys.byteorder != 'big')"], check=True)
    ours = scanned([sys.executable], files)
    verdicts = Counter(entry["verdict"] for entry in ours["inputs"])
    assert len(ours["inputs"]) == 2 * 2 * 3 * len(NAMES) + len(WHEELS)
    assert min(verdicts[one] for one in ("guarded", "unproven", "violation")) >= 10, verdicts
    assert scanned(python, files, PYTHONPATH=str(needed)) == ours
