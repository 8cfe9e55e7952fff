"""Programs compiled from source folders with CMake.

What was built is never started here: in a cross build it could not run.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import List, Mapping, Optional, Tuple

from ..config.model import Executable
from ..errors import ToolError
from .copying import inside
from .reporter import Reporter
from .running import run_tool

MINIMUM_CMAKE = (3, 16)


def processors() -> int:
    """How many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def find_cmake() -> Optional[str]:
    """A CMake on PATH that is new enough, or ``None``."""
    path = shutil.which("cmake")
    if path is None:
        return None
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"version (\d+)\.(\d+)", answer.stdout)
    new_enough = found is not None and tuple(int(part) for part in found.groups()) >= MINIMUM_CMAKE
    return path if answer.returncode == 0 and new_enough else None


def require_compiler(purpose: str, usual: Optional[str]) -> None:
    """See to it that there is a C compiler before a build stops somewhere in the middle for want of one.

    :param purpose: what it is needed for.
    :param usual: the command that is used where CC is not set.
    :raises ToolError: BB705 when there is none.
    """
    words = shlex.split(os.environ.get("CC") or usual or "cc") or ["cc"]
    if any(shutil.which(word) for word in words):  # a launcher may stand before it
        return
    # Under enforcement CC names a shim in our work folder; whoever reads this knows the compiler by its own name.
    name = os.path.basename(words[0]) if "/baseline-build-" in words[0] else words[0]
    raise ToolError(
        "BB705",
        f"the C compiler {name!r} is not there",
        where=purpose,
        why="nothing of this name is on PATH" + (" (the variable CC names it)" if os.environ.get("CC") else ""),
        fix="install a compiler (Debian: apt-get install gcc g++; Alpine: apk add build-base), or set CC to one",
    )


def build_program(
    executable: Executable,
    *,
    project_dir: Path,
    work_dir: Path,
    jobs: int,
    definitions: Mapping[str, str],
    reporter: Reporter,
) -> Path:
    """Compile *executable* and give back the program's path below *work_dir*.

    :param jobs: compilers at once.
    :param definitions: CMake cache entries of the toolchain (``CMAKE_SYSTEM_NAME``, …), before the project's options.
    :raises ToolError: BB701/BB702 for a failing tool, BB703 without CMake, BB704 when no such program comes out.
    """
    source = inside(project_dir, executable.source, "source")
    target = executable.target or executable.name
    build_dir = work_dir / executable.name
    programs = build_dir / "programs"
    build_dir.mkdir(parents=True)
    log = work_dir / f"{executable.name}.log"
    cmake, generator = _tools(executable.name)
    if os.name == "posix":
        require_compiler(f"executable {executable.name!r}", next(filter(shutil.which, ("cc", "gcc", "clang")), "cc"))
    entries = {
        "CMAKE_BUILD_TYPE": executable.configuration,
        "CMAKE_RUNTIME_OUTPUT_DIRECTORY": str(programs),
        # The program is installed by copying, so what is linked must already be what is shipped.
        "CMAKE_SKIP_RPATH": "ON",
        **definitions,
    }
    configure = [cmake, "-S", str(source), "-B", str(build_dir), "-G", generator]
    configure += [f"-D{key}={value}" for key, value in entries.items()]
    run_tool([*configure, *executable.options], log=log, reporter=reporter)
    compile_command = [cmake, "--build", str(build_dir), "--target", target, "--parallel", str(jobs)]
    run_tool(compile_command, log=log, reporter=reporter)
    return _find_program(build_dir, programs, executable)


def _tools(name: str) -> Tuple[str, str]:
    cmake = find_cmake()
    if cmake is None:
        needed = ".".join(str(part) for part in MINIMUM_CMAKE)
        raise ToolError(
            "BB703",
            f"no cmake {needed} or newer is on PATH",
            where=f"executable {name!r}",
            why="the build runs without build isolation, or the requirement could not be installed",
            fix="install cmake and ninja, or build with isolation and a reachable package index",
        )
    if shutil.which("ninja"):
        return cmake, "Ninja"
    if shutil.which("make"):
        return cmake, "Unix Makefiles"
    raise ToolError(
        "BB703", "neither ninja nor make is on PATH", where=f"executable {name!r}", fix="install ninja or make"
    )


def _find_program(build_dir: Path, programs: Path, executable: Executable) -> Path:
    names = {executable.name, executable.target or executable.name}
    candidates: List[Path] = [programs / name for name in sorted(names)]
    # A project may give its target an output folder of its own, which wins over the variable.
    candidates += sorted(path for name in sorted(names) for path in build_dir.rglob(name))
    for path in candidates:
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise ToolError(
        "BB704",
        f"no program {' or '.join(sorted(names))} came out of the build",
        where=f"executable {executable.name!r}",
        why="the target builds something else, or gives its output another name",
        fix="set target to the CMake target that links the program, and name to the file's name",
    )
