"""Requirements that are only sometimes needed, asked for only when the machine has nothing suitable."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

from ..config.model import Settings
from .programs import MINIMUM_CMAKE, find_cmake

MINIMUM_PATCHELF = (0, 14)
_CMAKE = f"cmake>={'.'.join(str(part) for part in MINIMUM_CMAKE)}"


def for_wheel(project_dir: Path, settings: Settings) -> Tuple[str, ...]:
    """What building a wheel needs on this machine beyond ``build-system.requires``."""
    return (
        *for_sources(project_dir),
        *_for_native(settings),
        *_for_repair(settings),
        *_for_sbom(project_dir, settings),
    )


def for_sources(project_dir: Path) -> Tuple[str, ...]:
    """What fetching the pinned sources needs, as long as one of them is not there."""
    from ..sources import requirements

    return tuple(requirements(project_dir))


def _for_native(settings: Settings) -> Tuple[str, ...]:
    asked: List[str] = []
    if settings.cffi_modules and sys.implementation.name != "pypy" and not importlib.util.find_spec("cffi"):
        asked.append("cffi>=1.17")
    if any(executable.build == "cmake" for executable in settings.executables):
        asked += [] if find_cmake() else [_CMAKE]
        asked += [] if shutil.which("ninja") else ["ninja"]
    if settings.toolchain == "zig" and not (shutil.which("zig") or importlib.util.find_spec("ziglang")):
        asked.append("ziglang>=0.13")
    return tuple(asked)


def _for_repair(settings: Settings) -> Tuple[str, ...]:
    if settings.repair is False or not sys.platform.startswith("linux"):
        return ()
    asked: List[str] = []
    if not (shutil.which("auditwheel") or importlib.util.find_spec("auditwheel")):
        asked.append("auditwheel>=6.1")
    if not _has_patchelf():
        asked.append("patchelf>=0.14")
    return tuple(asked)


def _for_sbom(project_dir: Path, settings: Settings) -> Tuple[str, ...]:
    from ..sources import pins

    if not settings.sbom or not pins(project_dir) or importlib.util.find_spec("cyclonedx"):
        return ()
    return ("cyclonedx-python-lib>=8",)


def _has_patchelf() -> bool:
    path = shutil.which("patchelf")
    if path is None:
        return False
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"(\d+)\.(\d+)", answer.stdout)
    return found is not None and tuple(int(part) for part in found.groups()) >= MINIMUM_PATCHELF
