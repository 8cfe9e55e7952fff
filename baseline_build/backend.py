"""The hooks of PEP 517 and PEP 660, and nothing else.

``build-backend = "baseline_build"`` finds them there. What a hook cannot do ends it with one message on standard error
and the exit status of the error's class, never with a traceback.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

from .artifacts import building, requirements
from .artifacts.enforcing import held
from .artifacts.reporter import Reporter, reporting
from .config.model import Settings
from .config.reader import ConfigSettings
from .errors import BaselineBuildError

Given = Optional[ConfigSettings]

OPTIONAL = (
    "get_requires_for_build_wheel",
    "get_requires_for_build_sdist",
    "get_requires_for_build_editable",
    "prepare_metadata_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "build_editable",
)
"""Hooks that PEP 517 and 660 let a backend leave out."""


@contextlib.contextmanager
def _hook(config_settings: Given) -> Iterator[building.Job]:
    """The frame of every hook: settings, work folder, progress, and errors as one message."""
    with reporting(os.environ, verbose=bool(os.environ.get("PIP_VERBOSE"))) as reporter:
        try:
            with building.job(Path.cwd(), config_settings, reporter) as one:
                yield one
        except BaselineBuildError as error:
            if error.__cause__ is not None:
                reporter.detail("".join(traceback.format_exception(None, error, error.__traceback__)))
            reporter.fail(str(error))
            raise SystemExit(error.exit_code) from error


def get_requires_for_build_wheel(config_settings: Given = None) -> List[str]:
    """What a wheel needs that ``build-system.requires`` does not say."""
    with _hook(config_settings) as one:
        with held(one):
            wrapped = one.wrapped().requires("get_requires_for_build_wheel", one.resolved.passed_on)
        return [*wrapped, *requirements.for_wheel(one.project_dir, one.settings)]


def get_requires_for_build_editable(config_settings: Given = None) -> List[str]:
    """What an editable install needs that ``build-system.requires`` does not say."""
    with _hook(config_settings) as one:
        with held(one):
            wrapped = one.wrapped().requires("get_requires_for_build_editable", one.resolved.passed_on)
        return [*wrapped, *requirements.for_wheel(one.project_dir, one.settings)]


def get_requires_for_build_sdist(config_settings: Given = None) -> List[str]:
    """What an sdist needs that ``build-system.requires`` does not say."""
    with _hook(config_settings) as one:
        with held(one):
            wrapped = one.wrapped().requires("get_requires_for_build_sdist", one.resolved.passed_on)
        return [*wrapped, *requirements.for_sources(one.project_dir)]


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Given = None) -> str:
    """Write the ``.dist-info`` folder; nothing is fetched, and of our own nothing compiled."""
    with _hook(config_settings) as one:
        hook = "prepare_metadata_for_build_wheel"
        with held(one):
            name = one.wrapped().call(hook, Path(metadata_directory), one.resolved.passed_on)
        _declare(one, Path(metadata_directory, name))
        return name


def prepare_metadata_for_build_editable(metadata_directory: str, config_settings: Given = None) -> str:
    """Write the ``.dist-info`` folder; nothing is fetched, and of our own nothing compiled."""
    with _hook(config_settings) as one:
        hook = "prepare_metadata_for_build_editable"
        with held(one):
            return one.wrapped().call(hook, Path(metadata_directory), one.resolved.passed_on)


def build_wheel(wheel_directory: str, config_settings: Given = None, metadata_directory: Optional[str] = None) -> str:
    """Build a wheel, prove it, and only then put it into *wheel_directory*."""
    with _hook(config_settings) as one:
        return building.build_wheel(one, Path(wheel_directory), metadata_directory, building.Rooms(_repair, _describe))


def build_editable(
    wheel_directory: str, config_settings: Given = None, metadata_directory: Optional[str] = None
) -> str:
    """Build in place, with the baseline enforced, and a wheel that points there."""
    with _hook(config_settings) as one:
        return building.build_editable(one, Path(wheel_directory), metadata_directory)


def build_sdist(sdist_directory: str, config_settings: Given = None) -> str:
    """Build an sdist that can be built without a network."""
    with _hook(config_settings) as one:
        return building.build_sdist(one, Path(sdist_directory))


def hook_named(name: str) -> Callable[..., Any]:
    """The hook called *name* for the project in the working folder.

    :raises AttributeError: when the wrapped backend leaves this hook out, which frontends ask by ``hasattr``.
    """
    hooks: Dict[str, Callable[..., Any]] = {key: value for key, value in globals().items() if key in HOOKS}
    if name in OPTIONAL:
        with _hook(None) as one:
            if not name.startswith("get_requires") and not one.wrapped().has(name):
                raise AttributeError(f"the wrapped backend {one.settings.backend} has no {name}")
    return hooks[name]


def _repair(wheel: Path, folder: Path, settings: Settings, reporter: Reporter) -> Path:
    from .artifacts.verifying import scan_options
    from .repair import RepairOptions, repair_wheel

    options = RepairOptions(plat=str(settings.repair), fix_marker=settings.fix_marker, scan=scan_options(settings))
    return repair_wheel(wheel, folder, options, reporter=reporter).wheel


def _describe(dist_info: Path, contents: building.Contents) -> None:
    from email.parser import HeaderParser

    from . import sbom

    metadata = HeaderParser().parsestr((dist_info / "METADATA").read_text(encoding="utf-8"))
    material = sbom.Material(
        name=str(metadata["Name"]),
        version=str(metadata["Version"]),
        licence=metadata["License-Expression"],
        trees=contents.trees,
        compilers=tuple(sbom.Compiler(name, version) for name, version in contents.compilers),
        levels=contents.levels,
        moment=contents.moment,
    )
    sbom.write(dist_info, material)


def _declare(one: building.Job, dist_info: Path) -> None:
    """Let prepared metadata say what the wheel's will; the pins tell, so nothing is fetched."""
    from . import sbom
    from .sources import pins

    vendored = pins(one.project_dir) if one.settings.sbom else ()
    if vendored:
        sbom.declare(dist_info, vendored)


HOOKS = (*OPTIONAL, "build_wheel", "build_sdist")
