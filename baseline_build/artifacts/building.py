"""The way of a build: settings, sources, enforcement, artifacts, finishing, verification, output."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, List, Mapping, Optional, Tuple

from ..config.model import Executable, Resolved, Settings
from ..config.reader import SETUPTOOLS, ConfigSettings, resolve
from ..errors import ToolError
from ..sources import Tree, sync
from ..toolchain import CompileLog
from ..toolchain.target import Target, read_target, require_machines
from ..wheel import pack, unpack
from .archiving import moment_of, normalise_sdist, publish
from .caching import cache_of, key_of
from .copying import inside, select
from .enforcing import enforced, held
from .exposure import verify_editable
from .interruption import ended_cleanly
from .losses import require_native
from .programs import build_program, processors
from .reporter import Reporter
from .stripping import (
    compilers_of,
    find_strip,
    linked_files,
    machine_of,
    remove_foreign_runpath,
    remove_second_libc,
    strip,
)
from .verifying import promised_levels, verify, waived_names
from .wrapping import Wrapped

if TYPE_CHECKING:
    from .distribution import Output


@dataclass(frozen=True)
class Contents:
    """What a bill of materials tells of a wheel.

    :param compilers: (name, version) of what compiled its native files, as these say themselves.
    :param levels: (machine, level) promised for them.
    :param moment: seconds of the Unix clock.
    """

    trees: Tuple[Tree, ...]
    compilers: Tuple[Tuple[str, str], ...]
    levels: Tuple[Tuple[str, str], ...]
    moment: int


@dataclass(frozen=True)
class Rooms:
    """What stands above this room and has its turn in a build; the hook hands it in.

    :param repair: repairs a wheel into a folder and gives back the new one.
    :param describe: writes the bill of materials and the vendored licences into an unpacked ``.dist-info``.
    """

    repair: Callable[[Path, Path, Settings, Reporter], Path]
    describe: Callable[[Path, Contents], None]


@dataclass(frozen=True)
class Job:
    """One call of a hook.

    :param work_dir: a folder that goes away with the call.
    :param environ: the variables as the frontend set them.
    :param moment: time of archive members, seconds of the Unix clock.
    """

    project_dir: Path
    resolved: Resolved
    work_dir: Path
    reporter: Reporter
    moment: int
    environ: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        """The settings of the project."""
        return self.resolved.settings

    @property
    def jobs(self) -> int:
        """Compilers at once."""
        return self.settings.jobs or processors()

    @property
    def flags(self) -> Tuple[str, ...]:
        """Compiler options of every call: no path of this machine in them, and line numbers for the findings."""
        root, work = self.project_dir.resolve(), self.work_dir.resolve()
        if os.name != "posix":
            return ()
        return ("-g1", f"-ffile-prefix-map={work}=build", f"-ffile-prefix-map={root}=.")

    @property
    def target(self) -> Optional[Target]:
        """The machine built for, ``None`` for an ordinary build."""
        return read_target(self.settings.target, self.settings.toolchain)

    def wrapped(self) -> Wrapped:
        """The backend that knows the project's files."""
        return Wrapped(self.settings.backend)


@contextlib.contextmanager
def job(project_dir: Path, config_settings: Optional[ConfigSettings], reporter: Reporter) -> Iterator[Job]:
    """Read the settings and make a work folder for one call of a hook."""
    resolved = resolve(project_dir, config_settings)
    reporter.verbose = reporter.verbose or resolved.settings.verbose
    moment = moment_of(os.environ)
    with ended_cleanly(), tempfile.TemporaryDirectory(prefix="baseline-build-") as folder:
        yield Job(project_dir, resolved, Path(folder), reporter, moment, dict(os.environ))


def build_wheel(one: Job, wheel_directory: Path, metadata_directory: Optional[str], rooms: Rooms) -> str:
    """Build, finish, verify and only then publish a wheel; its file name.

    Every failure is an error of :mod:`baseline_build.errors`, and then *wheel_directory* is as it was.
    """
    trees = _fetch(one)
    built = one.work_dir / "built"
    built.mkdir()
    with enforced(one) as read_log:
        name = _call_wrapped(one, "build_wheel", built, metadata_directory)
        log = read_log()
    with one.reporter.stage("finish"):
        final = _finish(one, built / name, trees, rooms)
    with one.reporter.stage("verify"):
        report = verify(final, built / name, one.settings, one.reporter, log)
        require_native(report, log, name, one.reporter)
    if one.settings.repair is not False and report.inputs and report.verdict.value != "not-applicable":
        with one.reporter.stage("repair"):
            final = rooms.repair(final, one.work_dir / "repaired", one.settings, one.reporter)
    published = publish(final, wheel_directory)
    _write_report(one, published, log)
    one.reporter.note(f"{published.name}: {report.verdict.value}")
    return published.name


def _write_report(one: Job, wheel: Path, log: CompileLog) -> None:
    wanted = one.settings.compile_report
    if wanted:
        path = Path(f"{wheel}.compile-report.json") if wanted is True else one.project_dir / wanted
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(log.to_json(), encoding="utf-8")


def build_editable(one: Job, wheel_directory: Path, metadata_directory: Optional[str]) -> str:
    """Build in place with the baseline enforced and verified; the file name of the wheel that points there."""
    _fetch(one)
    built = one.work_dir / "built"
    built.mkdir()
    since = built.stat().st_mtime_ns
    with enforced(one) as read_log:
        name = _call_wrapped(one, "build_editable", built, metadata_directory)
        log = read_log()
    with one.reporter.stage("verify"):
        report = verify_editable(built / name, one.project_dir, since, one.settings, one.reporter, log)
        require_native(report, log, name, one.reporter)
    return publish(built / name, wheel_directory).name


def build_sdist(one: Job, sdist_directory: Path) -> str:
    """Build an sdist that carries the fetched trees, and this backend when it lives inside the project."""
    trees = _fetch(one)
    built = one.work_dir / "built"
    built.mkdir()
    with one.reporter.stage("sdist"), held(one):
        name = one.wrapped().call("build_sdist", built, one.resolved.passed_on)
        more = {**_tree_files(one.project_dir, trees), **_own_files(one.project_dir)}
        target = one.work_dir / name
        normalise_sdist(built / name, target, one.moment, more)
    return publish(target, sdist_directory).name


def _fetch(one: Job) -> Tuple[Tree, ...]:
    from ..sources import pins

    if not pins(one.project_dir):
        return ()
    with one.reporter.stage("sources"):
        return sync(one.project_dir, report=one.reporter.detail)


def _call_wrapped(one: Job, hook: str, folder: Path, metadata_directory: Optional[str]) -> str:
    """Build the artifacts, then let the wrapped backend build the wheel around them."""
    wrapped = one.wrapped()
    if one.settings.backend != SETUPTOOLS:
        with one.reporter.stage(one.settings.backend):
            return wrapped.call(hook, folder, one.resolved.passed_on, metadata_directory)
    from .distribution import Additions, added

    outputs = _outputs(one)
    additions = Additions(one.settings.cffi_modules, outputs, one.work_dir / "setuptools")
    with one.reporter.stage("setuptools"), added(additions):
        return wrapped.call(hook, folder, one.resolved.passed_on, metadata_directory)


def _outputs(one: Job) -> Tuple[Output, ...]:
    from .distribution import Output

    outputs: List[Output] = []
    for executable in one.settings.executables:
        program = _program(one, executable)
        outputs.append(Output(program, f"{executable.destination.rstrip('/')}/{executable.name}", executable=True))
    for data in one.settings.data:
        outputs += [Output(path, target, executable=False) for path, target in select(one.project_dir, data)]
    return tuple(outputs)


def _program(one: Job, executable: Executable) -> Path:
    """The program of *executable*, compiled now or taken from the cache."""
    work_dir = one.work_dir / "programs"

    def make() -> Path:
        with one.reporter.stage(f"{executable.name} ({executable.build}, {one.jobs} at once)"):
            return build_program(
                executable,
                project_dir=one.project_dir,
                work_dir=work_dir,
                jobs=one.jobs,
                definitions=one.target.definitions() if one.target else {},
                reporter=one.reporter,
            )

    cache = cache_of(one.settings, one.environ, one.reporter)
    if cache is None:
        return make()
    source = inside(one.project_dir, executable.source, "source")
    with one.reporter.stage(f"{executable.name} (cache)"):
        key = key_of(executable, source, one.settings, one.environ)
        return cache.get(key, work_dir / "cached" / executable.name, make)


def _finish(one: Job, wheel: Path, trees: Tuple[Tree, ...], rooms: Rooms) -> Path:
    """Strip, drop foreign RUNPATHs, add licences and bill of materials, and pack reproducibly."""
    folder = one.work_dir / "unpacked"
    unpack(wheel, folder)
    files = linked_files(folder)
    if one.settings.sbom and trees:
        levels = promised_levels(one.settings.level)
        machines = sorted({machine_of(path) for path in files} & set(levels))
        kept = tuple((machine, levels[machine]) for machine in machines)
        contents = Contents(trees, compilers_of(files), kept, one.moment)
        rooms.describe(next(folder.glob("*.dist-info")), contents)
    target = one.target
    if files:
        by_file = {path.relative_to(folder).as_posix(): machine_of(path) for path in files}
        require_machines(wheel.stem.rpartition("-")[2], by_file)
    if files and one.settings.strip and not (target and target.links_stripped):
        for path in files:
            tool = find_strip(machine_of(path), one.environ)
            # A waiver knows a function by its name; whoever scans the finished wheel needs that name too.
            keep = waived_names(path, path.relative_to(folder).as_posix(), one.settings)
            strip(path, tool, log=one.work_dir / "strip.log", reporter=one.reporter, keep=keep)
    for path in files:
        _correct_needs(path, path.relative_to(folder).as_posix(), one.reporter)
    if files and "-any.whl" in wheel.name:
        raise ToolError(
            "BB731",
            "the wrapped backend tagged a wheel with native files for any platform",
            where=wheel.name,
            why=f"it holds {', '.join(path.relative_to(folder).as_posix() for path in files[:5])}",
            fix="have the backend mark the wheel as platform specific",
        )
    packed = one.work_dir / "final"
    packed.mkdir()
    pack(folder, packed / wheel.name, epoch=one.moment)
    return packed / wheel.name


def _correct_needs(path: Path, name: str, reporter: Reporter) -> None:
    """Leave in the ELF file *path* no folder of this machine, and no name of a library that only the linker knows."""
    data = bytearray(path.read_bytes())
    dropped = remove_foreign_runpath(data, name)
    if dropped:
        reporter.detail(f"{name}: RUNPATH {':'.join(dropped)} removed")
    second = remove_second_libc(data, name)
    if second:
        reporter.detail(f"{name}: needs musl by its own name, libc.so removed")
    if dropped or second:
        path.write_bytes(data)


def _tree_files(project_dir: Path, trees: Tuple[Tree, ...]) -> Mapping[str, Path]:
    root = project_dir.resolve()
    found = {}
    for tree in trees:
        base = tree.path.resolve().relative_to(root).as_posix()
        found.update({f"{base}/{member}": tree.path / member for member in tree.members})
    return found


def _own_files(project_dir: Path) -> Mapping[str, Path]:
    """This package's files where it lives inside the project (``backend-path``): an sdist has to carry its backend."""
    package = Path(__file__).resolve().parents[1]
    root = project_dir.resolve()
    if root not in package.parents:
        return {}
    left_out = {"__pycache__", "build", "dist"}
    return {
        path.relative_to(root).as_posix(): path
        for path in package.rglob("*")
        if path.is_file()
        and not any(part in left_out or part.startswith(".") for part in path.relative_to(package).parts)
        and path.suffix not in {".so", ".pyc", ".o"}
        and ".egg-info" not in path.as_posix()
    }
