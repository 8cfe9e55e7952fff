"""A CPython on musl, made of Debian's source packages: none can be downloaded from where these tests fetch things.

For this machine Debian's ``musl-gcc`` compiles it, for ARM64 zig does. It has no ssl, no ctypes and nothing else that
needs a library of its own, apart from zlib, which pip wants; its modules are inside the program.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Sequence

from tests.cibuildwheel.images import mirror
from tests.tools import missing, require_tool, untar

SUITE = "bookworm"
VERSION = "3.11"
# Package, file and digest of what its authors published; Debian's own patches are left out.
SOURCES = {
    "python3.11": (
        "python3.11_3.11.2.orig.tar.gz",
        "2411c74bda5bbcfcddaf4531f66d1adc73f247f529aee981b029513aefdbf849",
    ),
    "zlib": ("zlib_1.2.13.dfsg.orig.tar.bz2", "71feb7947e3c00ef125f83b79a4e529bde31171e5babe48b391f06758d1ab0a1"),
}
_DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
# Not the way the machine has it: glibc's headers and libraries are near, and configure must not find them.
_SETTINGS = (
    *("--disable-ipv6", "--without-ensurepip", "--without-doc-strings", "--disable-test-modules"),
    *("PKG_CONFIG=false", "MODULE_BUILDTYPE=static", "OPT=-DNDEBUG -fwrapv -O1", "READELF=/usr/bin/readelf"),
    *("ac_cv_file__dev_ptmx=yes", "ac_cv_file__dev_ptc=no", "py_cv_module__crypt=n/a"),
    # In zig's musl, and not yet in Debian's, whose loader runs it.
    *("ac_cv_func_preadv2=no", "ac_cv_func_pwritev2=no"),
)


def musl_python(home: Path, machine: str) -> Path:
    """The root folder of a CPython for musl on *machine* below *home*, with ``usr/bin/python3.11``, made once."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = home / f"root-{machine}"
        complete = home / f"complete-{machine}"
        recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
        if not complete.exists() or complete.read_text(encoding="ascii") != recipe:
            shutil.rmtree(root, ignore_errors=True)
            _make(home, machine, root)
            complete.write_text(recipe, encoding="ascii")
    return root


def _make(home: Path, machine: str, root: Path) -> None:
    apt = _apt(home, machine)
    folders = {package: _source(home, apt, package) for package in SOURCES}
    scratch = home / f"build-{machine}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    compiler = _compiler(machine, scratch)
    zlib = _zlib(folders["zlib"], compiler, scratch)
    source, build = folders["python3.11"], scratch / "python"
    build.mkdir()
    settings = [*_SETTINGS, f"CC={compiler}", f"ZLIB_CFLAGS=-I{folders['zlib']}", f"ZLIB_LIBS={zlib}"]
    # 3.11 goes by the *building* system when it asks whether names shall say gnu or musl.
    settings += ["--build=x86_64-linux-musl", f"--host={machine}-linux-musl"]
    if machine != "x86_64":
        settings += [f"--with-build-python={_build_python()}"]
    _run([str(source / "configure"), *settings], build, home / f"configure-{machine}.log")
    listed = (build / "Modules" / "Setup.stdlib").read_text(encoding="utf-8")
    assert "\nzlib " in listed, "configure did not find zlib"
    (build / "Modules" / "Setup.local").write_text(listed.partition("\n*shared*\n")[0], encoding="utf-8")
    _run(["make", f"-j{os.cpu_count()}", "python", "pybuilddir.txt"], build, home / f"make-{machine}.log")
    _lay_out(source, build, root)
    if machine != "x86_64":  # this machine's loader is installed: musl-gcc needs it
        _run([*apt, "download", f"musl:{_DEBIAN[machine]}"], home, home / "musl.log")
        (package,) = home.glob(f"musl_*_{_DEBIAN[machine]}.deb")
        _run(["dpkg-deb", "-x", str(package), str(root)], home, home / "musl.log")
    shutil.rmtree(scratch)


def _lay_out(source: Path, build: Path, root: Path) -> None:
    library = root / "usr" / "lib" / f"python{VERSION}"
    shutil.copytree(source / "Lib", library, ignore=shutil.ignore_patterns("test", "tests", "idlelib", "tkinter"))
    (library / "lib-dynload").mkdir()
    for data in (build / (build / "pybuilddir.txt").read_text(encoding="ascii")).glob("_sysconfigdata_*.py"):
        shutil.copy(data, library)
    (root / "usr" / "bin").mkdir()
    shutil.copy(build / "python", root / "usr" / "bin" / f"python{VERSION}")


def _compiler(machine: str, folder: Path) -> str:
    """A compiler for dynamic programs with musl, that does not tell configure how glibc's Debian names the machine."""
    if machine == "x86_64":
        command = require_tool("musl-gcc")
    else:
        package = importlib.util.find_spec("ziglang")
        places = list(package.submodule_search_locations or ()) if package else []
        zig = shutil.which("zig") or next((f"{place}/zig" for place in places), "")
        if not zig:
            missing("zig is neither on PATH nor installed as ziglang")
        # zig makes an error of __DATE__, which Python says when it starts.
        options = "-mcpu=generic -fno-sanitize=undefined -dynamic -Wno-date-time -w"
        command = f"{zig} cc -target {machine}-linux-musl {options}"
    script = folder / "cc"
    script.write_text(
        f'#!/bin/sh\ncase $1 in --print-multiarch) exit 1 ;; esac\nexec {command} "$@"\n', encoding="ascii"
    )
    script.chmod(0o755)
    return str(script)


def _build_python() -> str:
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    return require_tool(f"python{VERSION}")


def _zlib(source: Path, compiler: str, scratch: Path) -> Path:
    objects: List[str] = []
    for path in sorted(source.glob("*.c")):
        if not path.name.startswith("gz"):  # those are for files
            objects.append(str(scratch / f"{path.stem}.o"))
            _run([compiler, "-O2", "-fPIC", "-c", str(path), "-o", objects[-1]], scratch, scratch / "zlib.log")
    archive = scratch / "libz.a"
    _run(["ar", "rcs", str(archive), *objects], scratch, scratch / "zlib.log")
    return archive


def _source(home: Path, apt: Sequence[str], package: str) -> Path:
    name, digest = SOURCES[package]
    archive = home / name
    if not archive.exists():
        command = [*apt, "source", "--download-only", "--only-source", "-t", SUITE, package]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
        if done.returncode or not archive.exists():
            missing(f"apt-get source {package} failed: {done.stderr.strip().splitlines()[-1:]}")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert found == digest, f"{archive} has the digest {found}, expected {digest}"
    folder = home / f"source-{package}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    untar(archive, folder)
    (inner,) = folder.iterdir()
    return inner


def _apt(home: Path, machine: str) -> List[str]:
    """``apt-get`` with Debian's sources and *machine*'s packages, in lists of its own."""
    require_tool("apt-get")
    require_tool("dpkg-deb")
    (home / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (home / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    lines = [f"{kind} {signed} {mirror()} {SUITE} main\n" for kind in ("deb", "deb-src")]
    (home / "sources.list").write_text("".join(lines), encoding="ascii")
    settings: Dict[str, object] = {
        "APT::Architecture": _DEBIAN[machine],
        "APT::Architectures::": _DEBIAN[machine],
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::Etc::sourcelist": home / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": home / "lists",
        "Dir::State::status": home / "status",
        "Dir::Cache": home / "cache",
    }
    apt = ["apt-get", *(part for key, value in settings.items() for part in ("-o", f"{key}={value}"))]
    done = subprocess.run([*apt, "update"], capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"apt-get update failed: {done.stderr.strip().splitlines()[-1:]}")
    return apt


def _run(command: Sequence[str], folder: Path, log: Path) -> None:
    with log.open("w") as handle:
        status = subprocess.run(command, cwd=folder, stdout=handle, stderr=subprocess.STDOUT, check=False).returncode
    if status:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise RuntimeError(f"{command[0]} ended with {status}; last lines of {log}:\n{tail}")
