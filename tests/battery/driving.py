"""Builds a case twice and looks at what comes out, with the project's scan and with objdump."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Optional, Tuple

from tests.toolchain.disassembly import foreign_lines

from .case import Case

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "tests" / "packages"
_SECONDS = 900

# What a frontend does in the process of a hook: the backend's folder on the path, then the hook.
_CALL = """
import importlib, json, os, sys
place, name, folder = sys.argv[1:]
sys.path[:0] = json.loads(place)
module, _, path = name.partition(":")
backend = importlib.import_module(module)
for part in filter(None, path.split(".")):
    backend = getattr(backend, part)
print("wheel:", backend.build_wheel(folder, None))
"""


@dataclass(frozen=True)
class Built:
    """What a build gave.

    :param wheel: ``None`` where the build failed.
    :param foreign: lines of objdump above the baseline, over all native members.
    :param marked: a member declares a level above the baseline.
    """

    wheel: Optional[Path]
    output: str
    foreign: Tuple[str, ...] = ()
    marked: bool = False


def missing_tools(case: Case) -> List[str]:
    """Programs and Python packages *case* needs and this machine lacks."""
    lacking = [tool for tool in case.tools if shutil.which(tool, path=_path()) is None]
    modules = {
        "cython": "Cython",
        "cython_header": "Cython",
        "cffi": "cffi",
        "pybind11": "pybind11",
        "meson_python": "mesonpy",
        "scikit_build": "scikit_build_core",
        "hatch_hook": "hatchling",
        "setuptools_rust": "setuptools_rust",
        "maturin": "maturin",
    }
    module = modules.get(case.project)
    if module and importlib.util.find_spec(module) is None:
        lacking.append(f"Python package {module}")
    return lacking


def _path() -> str:
    """PATH with the programs of this environment (meson, ninja, maturin), and zig where the Python package has it."""
    folders = [str(Path(sys.executable).parent)]
    spec = importlib.util.find_spec("ziglang")
    if spec is not None and spec.origin is not None:
        folders.append(str(Path(spec.origin).parent))
    return os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])


def copy_project(case: Case, target: Path) -> None:
    """A copy of the project of *case* with its options filled in."""
    shutil.copytree(PACKAGES / case.project, target)
    for source in (PACKAGES / "_sources").iterdir():
        if not (target / source.name).exists():
            shutil.copy2(source, target / source.name)
    (target / "work").mkdir(exist_ok=True)
    (target / "work" / "__init__.py").write_text('"""Built by the battery."""\n', encoding="utf-8")
    values = {"@FLAGS@": case.flags, "@COMPILER@": case.compiler, "@GENERATOR@": case.generator}
    for path in target.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            for placeholder, value in values.items():
                text = text.replace(placeholder, value)
            path.write_text(text, encoding="utf-8")


def backend_of(project: Path) -> str:
    """The build backend named in the project's pyproject.toml."""
    found = re.search(
        r'^build-backend = "([^"]+)"', (project / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert found is not None
    return found.group(1)


def build(case: Case, folder: Path, *, enforced: bool, extra: Optional[Mapping[str, str]] = None) -> Built:
    """Build *case* in *folder*: with its own backend, or with that one wrapped."""
    project, output = folder / "project", folder / "wheels"
    copy_project(case, project)
    output.mkdir()
    backend = backend_of(project)
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("BASELINE_BUILD_", "PIP_"))}
    environ.update({"PATH": _path(), "HOME": str(folder), "CCACHE_DIR": str(folder / "ccache"), "ICECC_VERSION": ""})
    environ.update({"CARGO_HOME": os.environ.get("CARGO_HOME", str(Path.home() / ".cargo")), **case.environ})
    environ.setdefault("RUSTUP_HOME", str(Path.home() / ".rustup"))
    # what these two compile of their own run-time libraries is the same for every case
    caches = Path.home() / ".cache" / "baseline-build-tests"
    environ.update({"GOCACHE": str(caches / "go"), "ZIG_GLOBAL_CACHE_DIR": str(caches / "zig")})
    # a server of its own for each build, which goes away with it
    environ.update({"SCCACHE_SERVER_UDS": str(folder / "sccache"), "SCCACHE_IDLE_TIMEOUT": "5"})
    environ.update({"SCCACHE_DIR": str(folder / "sccache-files")})
    places: List[str] = []
    if enforced:
        environ.update({"BASELINE_BUILD_BACKEND": backend, "BASELINE_BUILD_CACHE": "off", **(extra or {})})
        environ["BASELINE_BUILD_STRICT"] = "true" if case.strict else "false"
        backend, places = "baseline_build", [str(ROOT)]
    command = [sys.executable, "-c", _CALL, json.dumps(places), backend, str(output)]
    done = subprocess.run(
        command, cwd=project, env=environ, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    text = done.stdout + done.stderr
    wheels = sorted(output.glob("*.whl"))
    if done.returncode or not wheels:
        return Built(None, text)
    foreign, marked = _examine(wheels[0], folder / "unpacked", case.functions)
    return Built(wheels[0], text, foreign, marked)


def _examine(wheel: Path, folder: Path, functions: str) -> Tuple[Tuple[str, ...], bool]:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    lines: List[str] = []
    marked = False
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
            lines += foreign_lines(path, functions=functions)
            notes = subprocess.run(["readelf", "-nW", str(path)], capture_output=True, text=True, check=True).stdout
            marked = marked or re.search(r"x86 ISA needed:.*x86-64-v[2-9]", notes) is not None
    assert any(path.suffix == ".so" for path in folder.rglob("*")), "the wheel has no native member"
    return tuple(lines), marked
