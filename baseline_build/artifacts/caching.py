"""Compiled programs kept for the next build: a program does not depend on the interpreter that packs it.

In a release container the same sources are compiled once for each interpreter with the same result. An entry's key is
a digest of all that decides what comes out: the sources, the settings, the compilers, the flags, the target and the
rules of enforcement. What comes from the cache is scanned like everything else.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from ..config.model import Executable, Settings
from ..toolchain import zig
from ..toolchain.target import read_target
from .reporter import Reporter

_OFF = "off"
_UNFINISHED = ".new-"
# What compilers, linkers and CMake (cmake-env-variables(7)) read; SOURCE_DATE_EPOCH because it is what __DATE__ says.
_VARIABLES = (
    *("CC", "CXX", "CPP", "LD", "AR", "RANLIB", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS"),
    *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "SYSROOT"),
    *("PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "PKG_CONFIG_SYSROOT_DIR", "CCC_OVERRIDE_OPTIONS", "SOURCE_DATE_EPOCH"),
)
_PREFIX = "CMAKE_"
_MEBIBYTE = 1 << 20
_ABANDONED = 24 * 3600
"""Seconds after which what a build was writing when it was killed is taken for rubbish."""


def folder_of(settings: Settings, environ: Mapping[str, str]) -> Optional[Path]:
    """The cache folder of *settings*, ``None`` where nothing is to be kept."""
    if settings.cache == _OFF or sys.platform == "win32":
        return None
    if settings.cache:
        return Path(settings.cache).expanduser().resolve()
    home = environ.get("XDG_CACHE_HOME")
    base = Path(home) if home and Path(home).is_absolute() else Path(environ.get("HOME") or "~").expanduser() / ".cache"
    return base / "baseline-build"


def key_of(executable: Executable, source: Path, settings: Settings, environ: Mapping[str, str]) -> str:
    """The key of a program: equal keys, equal bytes.

    :param source: the folder with its sources.
    :param environ: the variables as the frontend set them, before enforcement: its shims are in :func:`_own_digest`.
    """
    facts: List[object] = [
        _own_digest(),
        repr(executable),
        _tree_digest(source),
        [repr(settings.level), settings.strict, settings.enforce, repr(settings.kernels)],
        [settings.target, settings.toolchain],
        {name: value for name, value in environ.items() if name in _VARIABLES or name.startswith(_PREFIX)},
        [_answer(command, environ) for command in _tools(settings, environ)],
        _system(),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8")).hexdigest()


def _tools(settings: Settings, environ: Mapping[str, str]) -> Sequence[Sequence[str]]:
    """The commands that ask everything that may compile or link for its version, and compilers for their machine."""
    target = read_target(settings.target, settings.toolchain)
    if target is not None and target.toolchain == "zig":
        return [[zig.find_zig(environ), "version"], ["cmake", "--version"]]
    prefix = f"{target.triple}-" if target else ""
    # CC may be a launcher and a compiler (`ccache clang -m64`): each word that is a program counts.
    named = [word for variable in ("CC", "CXX") for word in environ.get(variable, "").split() if word[:1] != "-"]
    compilers = [*named, f"{prefix}gcc", f"{prefix}g++", *(("cc", "c++") if not target else ())]
    versions = [[name, "--version"] for name in (*compilers, f"{prefix}ld", "cmake")]
    # One release of a distribution has one version for all its machines: a folder that two of them share needs both.
    return [*versions, *([name, "-dumpmachine"] for name in compilers)]


def _answer(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """What a tool says of itself; empty for one that is not there. Where it lies says nothing: isolated builds move."""
    path = shutil.which(command[0], path=environ.get("PATH"))
    if path is None:
        return ""
    answer = subprocess.run([path, *command[1:]], capture_output=True, text=True, check=False, env=dict(environ))
    return answer.stdout


def _system() -> str:
    """The machine, the distribution and its C library: headers and start files come from there."""
    release = Path("/etc/os-release")
    text = release.read_text(encoding="utf-8", errors="replace") if release.is_file() else sys.platform
    libc = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else ""
    return f"{sysconfig.get_platform()} {text} {libc}"


def _tree_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _own_digest() -> str:
    """A digest of the rules by which programs are compiled: ours, so that a changed filter makes a new program."""
    here = Path(__file__).parent
    building = hashlib.sha256((here / "programs.py").read_bytes()).hexdigest()
    return _tree_digest(here.parent / "toolchain") + building


class Cache:
    """Programs by key, in one folder, safe when several builds use it at once.

    :param limit: bytes that may stay; those unused for longest go first.
    """

    def __init__(self, folder: Path, limit: int, reporter: Reporter) -> None:
        self._folder = folder / "programs"
        self._limit = limit
        self._reporter = reporter

    def get(self, key: str, target: Path, make: Callable[[], Path]) -> Path:
        """The program of *key* as the file *target*, from the cache or else from *make*, which is then kept.

        Builds that want the same program wait for the one that makes it.
        """
        with self._locked(key):
            if self._take(key, target):
                return target
            made = make()
            self._keep(key, made)
        self._shrink(key)
        return made

    @contextlib.contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        import fcntl

        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{key}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._reporter.note("another build compiles the same program; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _take(self, key: str, target: Path) -> bool:
        entry = self._folder / key
        try:
            facts: Dict[str, str] = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
            data = gzip.decompress((entry / "program.gz").read_bytes())
        except FileNotFoundError:
            return False
        except (OSError, ValueError, EOFError) as error:
            self._reporter.note(f"an unreadable cache entry is thrown away ({error})")
            shutil.rmtree(entry, ignore_errors=True)
            return False
        if hashlib.sha256(data).hexdigest() != facts.get("sha256"):
            self._reporter.note("a damaged cache entry is thrown away")
            shutil.rmtree(entry, ignore_errors=True)
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o755)
        now = time.time()
        os.utime(entry, (now, now))
        self._reporter.note("found in the cache")
        return True

    def _keep(self, key: str, program: Path) -> None:
        """Put *program* into the cache whole or not at all; a full disk costs the entry, never the build."""
        data = program.read_bytes()
        scratch = Path(tempfile.mkdtemp(dir=self._folder, prefix=_UNFINISHED))
        try:
            (scratch / "program.gz").write_bytes(gzip.compress(data, 1, mtime=0))
            facts = {"sha256": hashlib.sha256(data).hexdigest(), "name": program.name}
            (scratch / "entry.json").write_text(json.dumps(facts), encoding="utf-8")
            os.replace(scratch, self._folder / key)
        except OSError as error:
            self._reporter.note(f"the program could not be kept in the cache: {error}")
            shutil.rmtree(scratch, ignore_errors=True)

    def _shrink(self, kept: str) -> None:
        """Remove the entries unused for longest until the limit is kept; *kept* is the one just made."""
        entries = []
        for entry in self._folder.iterdir():
            if entry.name.startswith(_UNFINISHED):
                with contextlib.suppress(FileNotFoundError):  # it was not abandoned: its build has just finished it
                    if entry.stat().st_mtime < time.time() - _ABANDONED:
                        shutil.rmtree(entry, ignore_errors=True)
            elif entry.is_dir():
                with contextlib.suppress(FileNotFoundError):  # another build has just removed it
                    size = sum(path.stat().st_size for path in entry.iterdir())
                    entries.append((entry.stat().st_mtime, size, entry))
        total = sum(size for _, size, _ in entries)
        for _, size, entry in sorted(entries, key=lambda item: item[0]):
            if total <= self._limit:
                return
            if entry.name != kept:
                shutil.rmtree(entry, ignore_errors=True)
                total -= size


def cache_of(settings: Settings, environ: Mapping[str, str], reporter: Reporter) -> Optional[Cache]:
    """The cache of *settings*, ``None`` where it is switched off or its folder cannot be made."""
    folder = folder_of(settings, environ)
    if folder is None:
        return None
    try:
        (folder / "programs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reporter.note(f"no program is kept: {folder} cannot be made ({error.strerror})")
        return None
    return Cache(folder, settings.cache_limit * _MEBIBYTE, reporter)
