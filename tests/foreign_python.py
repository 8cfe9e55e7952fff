"""An interpreter of another machine, unpacked from Debian's packages; nothing is installed."""

from __future__ import annotations

import fcntl
import re
import subprocess
from pathlib import Path

from tests.tools import missing, require_tool

# Python's own, and what every Debian has besides: the run-time libraries of gcc and g++.
_LIBRARIES = ("libc6", "zlib1g", "libexpat1", "libgcc-s1", "libstdc++6")


def unpacked_python(home: Path) -> Path:
    """The root folder of Debian's ARM64 Python below *home*, fetched with apt at first use."""
    require_tool("apt-get")
    require_tool("dpkg-deb")
    home.mkdir(parents=True, exist_ok=True)
    root = home / "root"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        complete = home / "complete"
        if not complete.exists() or complete.read_text(encoding="ascii") != " ".join(_LIBRARIES):
            _unpack(home, root)
            complete.write_text(" ".join(_LIBRARIES), encoding="ascii")
    return root


def _unpack(home: Path, root: Path) -> None:
    for name in ("lists/partial", "cache/archives/partial", "debs"):
        (home / name).mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures::": "arm64",
        "Dir::State::lists": home / "lists",
        "Dir::State::status": home / "status",
        "Dir::Cache": home / "cache",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    options = [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]

    def apt(*command: str) -> str:
        done = subprocess.run([*command, *options], cwd=home / "debs", capture_output=True, text=True, check=False)
        if done.returncode != 0:
            missing(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1:]}")
        return done.stdout

    apt("apt-get", "update")
    match = re.search(r"python3\.(\d+)-minimal", apt("apt-cache", "show", "python3-minimal:arm64"))
    assert match is not None
    version = f"3.{match.group(1)}"
    packages = [*_LIBRARIES, f"python{version}-minimal"]
    packages += [f"libpython{version}-{part}" for part in ("minimal", "stdlib", "dev")]
    apt("apt-get", "download", *(f"{name}:arm64" for name in packages))
    for package in sorted((home / "debs").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
