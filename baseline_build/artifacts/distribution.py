"""Our part of a setuptools build: CFFI modules, programs and data become outputs of its ``build`` command.

setuptools asks entry points of the group ``setuptools.finalize_distribution_options`` to complete a distribution
(its documentation, "Creating ``distutils`` Extensions"). A folder that holds nothing but such an entry point is put
on ``sys.path`` while a hook runs, so that nothing has to be installed when the backend lives inside the project.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Dict, Iterator, List, Optional, Tuple

from setuptools import Command

from ..config.model import Settings
from ..errors import ConfigError, InternalError
from .programs import require_compiler

_GROUP = "setuptools.finalize_distribution_options"
COMMAND = "build_baseline_files"


@dataclass(frozen=True)
class Output:
    """A file for the wheel: where it is, its path from the wheel's root (POSIX), and whether it is a program."""

    source: Path
    target: str
    executable: bool


@dataclass(frozen=True)
class Additions:
    """What one build adds to the project's own setuptools configuration.

    :param cffi_modules: as in the settings.
    :param outputs: files that are ready to be packed.
    :param build_base: folder for everything setuptools builds, instead of ``build/`` in the project, where files of
        an earlier build would get into the wheel.
    """

    cffi_modules: Tuple[str, ...]
    outputs: Tuple[Output, ...]
    build_base: Path


class _Current:
    """The additions of the hook that is running; setuptools gives an entry point no way to hand them over."""

    additions: Optional[Additions] = None
    applied = False


@contextlib.contextmanager
def added(additions: Additions) -> Iterator[None]:
    """Let every setuptools distribution made in the block have *additions*.

    :raises InternalError: BB910 when none was made with them: a wheel without its native parts must never come out.
    """
    with tempfile.TemporaryDirectory(prefix="baseline-build-") as folder:
        info = Path(folder, "baseline_build_session-0.dist-info")
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: baseline-build-session\nVersion: 0\n")
        (info / "entry_points.txt").write_text(f"[{_GROUP}]\nbaseline_build = {__name__}:complete\n")
        _Current.additions, _Current.applied = additions, False
        sys.path.append(folder)
        try:
            yield
        finally:
            sys.path.remove(folder)
            _Current.additions = None
    if not _Current.applied:
        raise InternalError(
            "BB910",
            "setuptools did not ask for our part of the build",
            fix="report this with the version of setuptools",
        )


def complete(distribution: Any) -> None:
    """Entry point: have the additions applied once the distribution knows its pyproject.toml.

    pyproject.toml replaces what is set now (``ext-modules``, ``cmdclass``), so this waits for it.
    """
    additions = _Current.additions
    if additions is None or "parse_config_files" in vars(distribution):
        return
    original = distribution.parse_config_files

    def parse_config_files(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        del distribution.parse_config_files
        _apply(distribution, additions)
        _Current.applied = True

    distribution.parse_config_files = parse_config_files


def _apply(distribution: Any, additions: Additions) -> None:
    build_options = distribution.get_option_dict("build")
    build_options["build_base"] = ("baseline-build", str(additions.build_base))
    distribution.get_option_dict("bdist")["bdist_base"] = ("baseline-build", str(additions.build_base))
    others = bool(distribution.ext_modules or distribution.has_c_libraries())
    _add_cffi_modules(distribution, additions)
    if distribution.ext_modules and os.name == "posix":
        require_compiler(f"{len(distribution.ext_modules)} extension module(s)", sysconfig.get_config_var("CC"))
    _add_outputs(distribution, additions)
    if additions.cffi_modules and not others:
        _limit_api(distribution)
    if any(output.executable for output in additions.outputs):
        _mark_native(distribution, tied_to_python=bool(distribution.ext_modules or others))


def _add_cffi_modules(distribution: Any, additions: Additions) -> None:
    if not additions.cffi_modules:
        return
    try:
        from cffi import setuptools_ext
    except ImportError as error:
        raise ConfigError(
            "BB712",
            "cffi-modules are set, but cffi is not installed",
            fix="add \"cffi>=1.17; platform_python_implementation != 'PyPy'\" to build-system.requires",
        ) from error
    distribution.cffi_modules = list(additions.cffi_modules)
    for module in additions.cffi_modules:
        path = module.partition(":")[0]
        if not Path(path).is_file():
            raise ConfigError(
                "BB712", "names a file that is not there", where=f"cffi-modules: {module!r}", fix=f"create {path}"
            )
    setuptools_ext.cffi_modules(distribution, "cffi_modules", list(additions.cffi_modules))


def _add_outputs(distribution: Any, additions: Additions) -> None:
    build_class = distribution.get_command_class("build")
    distribution.cmdclass[COMMAND] = type(COMMAND, (BuildBaselineFiles,), {"additions": additions})
    distribution.cmdclass["build"] = type(
        "build", (build_class,), {"sub_commands": [*build_class.sub_commands, (COMMAND, None)]}
    )


class BuildBaselineFiles(Command):  # type: ignore[misc, unused-ignore]
    """Puts programs and data into the build folder, in editable mode into the package's own folder.

    A sub-command of ``build`` (protocol ``setuptools.command.build.SubCommand``).
    """

    user_options: ClassVar[List[Tuple[str, str, str]]] = []
    additions: ClassVar[Additions]
    editable_mode: bool
    build_lib: Any

    def initialize_options(self) -> None:
        """Set the defaults; setuptools sets :attr:`editable_mode` later."""
        self.build_lib = None
        self.editable_mode = False

    def finalize_options(self) -> None:
        """Take the build folder from ``build``."""
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def run(self) -> None:
        """Copy every output."""
        for output in self.additions.outputs:
            place = self._in_place(output) if self.editable_mode else self._built(output)
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(output.source, place)
            os.chmod(place, 0o755 if output.executable else 0o644)

    def _built(self, output: Output) -> str:
        return os.path.join(self.build_lib, *output.target.split("/"))

    def _in_place(self, output: Output) -> str:
        package, _, rest = output.target.partition("/")
        folder = self.get_finalized_command("build_py").get_package_dir(package)
        return os.path.join(folder, *rest.split("/")) if rest else package

    def get_outputs(self) -> List[str]:
        """The files in the build folder."""
        return [self._built(output) for output in self.additions.outputs]

    def get_output_mapping(self) -> Dict[str, str]:
        """In editable mode: file in the build folder -> file in the package's own folder."""
        if not self.editable_mode:
            return {}
        return {self._built(output): self._in_place(output) for output in self.additions.outputs}

    def get_source_files(self) -> List[str]:
        """Nothing for the sdist: it carries the sources of what is put here."""
        return []


def _limit_api(distribution: Any) -> None:
    """Tag the wheel for the stable ABI when CFFI made every extension module for it."""
    options = distribution.get_option_dict("bdist_wheel")
    limited = distribution.ext_modules and all(getattr(e, "py_limited_api", False) for e in distribution.ext_modules)
    if "py_limited_api" in options or not limited or sys.implementation.name != "cpython":
        return
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return
    options["py_limited_api"] = ("baseline-build", f"cp3{lowest_minor(distribution.python_requires)}")


def lowest_minor(requires_python: Any) -> int:
    """The lowest minor version of Python 3 that *requires_python* (a specifier set or ``None``) allows.

    Without a lower bound it is this interpreter's: nothing says that the package works on older ones.
    """
    own = sys.version_info[1]
    if not requires_python:
        return own
    for minor in range(2, own + 1):
        # The bound may name a patch release (">=3.9.2"): any release of the series will do.
        if any(requires_python.contains(f"3.{minor}.{patch}") for patch in range(40)):
            return minor if not requires_python.contains("3.1.99") else own
    return own


def _mark_native(distribution: Any, *, tied_to_python: bool) -> None:
    """Keep a wheel with programs from being called pure, which would tag it ``any``."""
    if tied_to_python:
        return
    distribution.has_ext_modules = lambda: True
    base = distribution.get_command_class("bdist_wheel")

    def get_tag(self: Any) -> Tuple[str, str, str]:
        # Programs depend on the platform, but on no Python.
        return ("py3", "none", base.get_tag(self)[2])

    distribution.cmdclass["bdist_wheel"] = type("bdist_wheel", (base,), {"get_tag": get_tag})


def needs_setuptools(settings: Settings) -> bool:
    """Whether the settings ask for something that only the setuptools integration builds."""
    return bool(settings.cffi_modules or settings.executables or settings.data)
