"""Interpreters for the table's cells: this machine's own, and Debian trixie's in a root of its own, of two machines."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Optional, Tuple

from tests.cibuildwheel.images import Image, Workshop
from tests.tools import find_python

from .building import ROOT, Interpreter, RefusedError
from .cells import Cell

# This machine's folders keep their paths inside: what is built there is read here.
_ENTER = """
set -e
root=$1 folder=$PWD
shift
while [ "$1" != -- ]; do
  mkdir -p "$root$1" "$1"
  mount --rbind "$1" "$root$1"
  shift
done
shift
exec chroot "$root" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
# In x86-64's root: the emulator for the check, and what the rows need.
_MORE = ("qemu-user", "g++-aarch64-linux-gnu")


def of_cell(cell: Cell, cache: Path) -> Optional[Interpreter]:
    """The interpreter *cell* is built with, ``None`` where this machine has none.

    Native cells of ARM64, and PyPy 3.11, are of trixie's root, which is made below *cache* at first use.
    """
    native_arm = (cell.row.machine, cell.row.toolchain) == ("aarch64", "gcc")
    if not native_arm and cell.python != "pp311":
        path = find_python(cell.python)
        return Interpreter(path) if path else None
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        return None  # neither a root can be made, nor entered
    image = Image("trixie", "aarch64" if native_arm else "x86_64")
    if not any(one.partition("-")[0] == cell.python for one in image.pythons):
        return None
    root = Workshop(cache / "cibuildwheel").root(image)
    if not native_arm and not (root / "usr/bin/aarch64-linux-gnu-g++").exists():
        install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *_MORE]
        done = subprocess.run(["chroot", str(root), *install], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RefusedError(done.stderr.strip() or f"apt-get ended with {done.returncode}")
    (home,) = (root / "opt/python").glob(f"{cell.python}-*")
    variables = [f"PATH={_PATH}", *(["QEMU_CPU=cortex-a53"] if native_arm else [])]
    return Interpreter(str(Path("/opt/python") / home.name / "bin/python"), (*_enter(root), "env", *variables), root)


def _enter(root: Path) -> Tuple[str, ...]:
    """The words that run a command in *root*, with this project, its cache and temporary files where they are."""
    kept = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    places = ("/proc", "/dev", tempfile.gettempdir(), str(ROOT), kept)
    return ("unshare", "--mount", "sh", "-c", _ENTER, "enter", str(root), *dict.fromkeys(places), "--")
