"""What this build is for: machine, Python implementation and C library."""

from __future__ import annotations

import os
import sys
import sysconfig
from typing import Mapping, Optional

from .model import Platform

_ALIASES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "i386": "i686",
    "i486": "i686",
    "i586": "i686",
    "armv6l": "armv7l",
    "ppc64le": "ppc64le",
    "powerpc64le": "ppc64le",
}


def machine_name(name: str) -> str:
    """*name* of a machine in the form of wheel tags (``AMD64`` -> ``x86_64``)."""
    plain = name.lower().replace("-", "_")
    return _ALIASES.get(plain, plain)


def current(target: str = "", environ: Optional[Mapping[str, str]] = None) -> Platform:
    """The platform of a build for *target* (a triple, empty for this machine).

    The machine of a build without target is the one the interpreter was built for, not the kernel's: a 32-bit Python
    on a 64-bit kernel builds 32-bit modules. ``_PYTHON_HOST_PLATFORM`` is CPython's own word for a cross build.
    """
    environ = os.environ if environ is None else environ
    implementation = sys.implementation.name
    if target:
        machine, _, rest = target.partition("-")
        libc = "musl" if "musl" in rest else "glibc" if "gnu" in rest else "unknown"
        return Platform(machine_name(machine), implementation, libc)
    platform = environ.get("_PYTHON_HOST_PLATFORM") or sysconfig.get_platform()
    machine = platform.rpartition("-")[2]
    if sys.maxsize <= 2**32 and machine_name(machine) in {"x86_64", "aarch64"}:
        machine = {"x86_64": "i686", "aarch64": "armv7l"}[machine_name(machine)]
    return Platform(machine_name(machine), implementation, _libc())


def _libc() -> str:
    if not sys.platform.startswith("linux"):
        return "unknown"
    triple = str(sysconfig.get_config_var("HOST_GNU_TYPE") or getattr(sys.implementation, "_multiarch", ""))
    if "musl" in triple:
        return "musl"
    try:
        version = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        version = None
    if version and version.startswith("glibc"):
        return "glibc"
    from packaging.tags import sys_tags

    return "musl" if any("musllinux" in tag.platform for tag in sys_tags()) else "unknown"
