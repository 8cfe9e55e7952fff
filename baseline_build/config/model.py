"""The one truth about settings: what exists, its type, its default and its meaning.

The reader, the JSON schema and the option tables of the documentation are all derived from these classes, so a setting
is added by adding a field here and nowhere else. A field's TOML key is its name with ``-`` for ``_`` (a trailing ``_``
of a Python keyword falls away); a few fields state another key in their metadata.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any, Optional, Tuple, Union

ENVIRONMENT_PREFIX = "BASELINE_BUILD_"

NOT_SETTINGS = ("BASELINE_BUILD_ENGINE", "BASELINE_BUILD_TEST_")
"""Beginnings of variables under our prefix that are not settings: the scanner's engine, our own tests."""


def option(
    doc: str,
    *,
    default: Any = dataclasses.MISSING,
    key: Optional[str] = None,
    choices: Optional[Tuple[str, ...]] = None,
) -> Any:
    """A dataclass field with the facts that reader, schema and documentation need.

    :param doc: meaning, one or more sentences, for people.
    :param default: the default; a field without one is required.
    :param key: the TOML key where it is not derived from the field's name.
    :param choices: the only values allowed for a text.
    """
    metadata = {"doc": doc, "key": key, "choices": choices}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def key_of(field: dataclasses.Field[Any]) -> str:
    """The TOML key of a model's field."""
    return field.metadata.get("key") or field.name.rstrip("_").replace("_", "-")


class Enforce(str, enum.Enum):
    """What happens when a compiler call carries a foreign ISA flag."""

    FILTER = "filter"
    REFUSE = "refuse"
    REPORT = "report"


@dataclass(frozen=True)
class Levels:
    """The level promised for each machine; machines that are not named promise their ABI's own baseline."""

    x86_64: str = option("Level of x86-64: x86-64, x86-64-v2, x86-64-v3 or x86-64-v4.", default="x86-64", key="x86_64")
    i686: str = option("Level of 32-bit x86.", default="i686")
    aarch64: str = option("Level of ARM64: armv8-a, armv8.1-a, … armv9-a.", default="armv8-a")

    def of(self, machine: str) -> Optional[str]:
        """The level for *machine*, named as in a wheel's tag or an ELF report; ``None`` where none is kept."""
        names = {"x86_64": self.x86_64, "amd64": self.x86_64, "aarch64": self.aarch64, "arm64": self.aarch64}
        names.update(dict.fromkeys(("i386", "i486", "i586", "i686", "x86"), self.i686))
        return names.get(machine.lower().replace("-", "_"))


DEFAULT_LEVELS = Levels()


@dataclass(frozen=True)
class Executable:
    """A program that is compiled from a source folder and shipped inside the package."""

    name: str = option("File name of the program in the package.")
    source: str = option("Folder with the sources, relative to the project; a pinned source is fetched first.")
    destination: str = option("Folder of the package that receives it, relative to the wheel's root.")
    build: str = option("Build system of the sources.", default="cmake", choices=("cmake",))
    target: str = option("Target of the build system; empty means the program's name.", default="")
    options: Tuple[str, ...] = option(
        "Arguments handed to the configuring command, for instance -DNAME=VALUE.", default=()
    )
    configuration: str = option("CMAKE_BUILD_TYPE.", default="Release")


@dataclass(frozen=True)
class Data:
    """Files copied into the package as they are."""

    from_: str = option("File or folder to copy, relative to the project.")
    to: str = option("Where it lands, relative to the wheel's root.")
    include: Tuple[str, ...] = option("Globs of files to take from a folder.", default=("**",))
    exclude: Tuple[str, ...] = option("Globs of files to leave out.", default=("**/__pycache__/**",))


@dataclass(frozen=True)
class Kernel:
    """Source files that may be compiled above the baseline, because the code asks the CPU before it runs them."""

    sources: Tuple[str, ...] = option("Globs of source files, relative to the project.")
    level: str = option("Level these files are compiled for.")
    reason: str = option("Why this is safe: who tests the CPU before.")


@dataclass(frozen=True)
class Waiver:
    """A finding that is known, cannot be proven, and is accepted for a stated reason."""

    file: str = option("Glob of the file inside the wheel.")
    function: str = option("Glob of the function; hashes that compilers put into names do not count.")
    features: Tuple[str, ...] = option("Features allowed there, a ceiling: any other feature stays a finding.")
    reason: str = option("Why it is safe.")


@dataclass(frozen=True)
class Selector:
    """When an override applies: every key given must match, each with any of its values."""

    machine: Tuple[str, ...] = option("Machines: x86_64, i686, aarch64, ppc64le, …", default=())
    implementation: Tuple[str, ...] = option("Python implementations: cpython, pypy.", default=())
    libc: Tuple[str, ...] = option("C libraries: glibc, musl.", default=())


@dataclass(frozen=True)
class Platform:
    """What a build is for, the facts that overrides select by.

    :param machine: as in a wheel's tag: ``x86_64``, ``i686``, ``aarch64``.
    :param implementation: ``sys.implementation.name``.
    :param libc: ``glibc``, ``musl`` or ``unknown``.
    """

    machine: str
    implementation: str
    libc: str


@dataclass(frozen=True)
class Settings:
    """All settings of ``[tool.baseline-build]``."""

    level: Levels = option(  # noqa: RUF009 - a field like the others, though its type is ours
        "The level every file must keep to: a table by machine, or one level that names its machine itself.",
        default=DEFAULT_LEVELS,
    )
    strict: bool = option(
        "The package declares no run-time dispatch: the assembler refuses every instruction above the level "
        "where it stands in the source, and code that is merely guarded fails the scan too.",
        default=False,
    )
    enforce: str = option(
        "What happens to a foreign ISA flag: filter removes it, refuse stops the build and names its origin, report "
        "only writes it into the compile report.",
        default=Enforce.FILTER.value,
        choices=tuple(mode.value for mode in Enforce),
    )
    repair: Union[bool, str] = option(
        'Hand the wheel to auditwheel: false, "auto" for the best platform tag, or a platform tag.', default=False
    )
    fix_marker: bool = option(
        "Clear a declared ISA level above the promise in the ELF notes once the machine code is proven to keep it.",
        default=True,
    )
    backend: str = option("The PEP 517 backend that is wrapped.", default="setuptools.build_meta")
    cffi_modules: Tuple[str, ...] = option('CFFI modules to build, each "path/to/build.py:variable".', default=())
    executables: Tuple[Executable, ...] = option("Programs to compile into the package.", default=())
    data: Tuple[Data, ...] = option("Files to copy into the package.", default=())
    kernels: Tuple[Kernel, ...] = option(
        "Source files that may be compiled above the level; the scan demands that their functions are guarded.",
        default=(),
    )
    waivers: Tuple[Waiver, ...] = option("Findings that are accepted for a stated reason.", default=())
    compile_report: Union[bool, str] = option(
        "Write the compile report as JSON: true for a file beside the wheel, or the path of the file (frontends that "
        "build into a folder of their own, like pip, keep only the wheel of it).",
        default=False,
    )
    strip: bool = option("Take symbols and debug information off the native files of the wheel.", default=True)
    sbom: bool = option("Put a CycloneDX list of the vendored components into the wheel (PEP 770).", default=True)
    target: str = option(
        "Build for another machine: a GNU triple, with zig also one with a glibc version (x86_64-linux-gnu.2.17).",
        default="",
    )
    toolchain: str = option("Where the compilers come from.", default="system", choices=("system", "zig"))
    jobs: int = option("Compilers that run at once; 0 means one for each CPU this process may use.", default=0)
    cache: str = option(
        "Folder in which compiled programs are kept for the next interpreter's build; empty means the user's cache "
        'folder, "off" keeps nothing.',
        default="",
    )
    cache_limit: int = option("Size limit of that folder in MiB; the entries unused for longest go first.", default=512)
    unverifiable: str = option(
        "What to do with native files that cannot be verified because they are not ELF (macOS, Windows).",
        default="refuse",
        choices=("refuse", "accept"),
    )
    verbose: bool = option("Write the compile log in full, and the output of the tools.", default=False)


@dataclass(frozen=True)
class Origin:
    """Where a setting's value came from.

    :param key: the TOML key, dotted for the parts of a table.
    :param source: ``default``, ``pyproject.toml``, ``-C`` or ``environment``.
    :param place: ``pyproject.toml:12``, ``-C strict=…``, ``BASELINE_BUILD_STRICT``; empty for a default.
    """

    key: str
    source: str
    place: str


@dataclass(frozen=True)
class Resolved:
    """The settings of one project for one platform, and how they came about.

    :param origins: one for each setting, in the order of the model.
    :param passed_on: config settings that are not ours, as the frontend gave them, for the wrapped backend.
    """

    settings: Settings
    origins: Tuple[Origin, ...]
    platform: Platform
    passed_on: Tuple[Tuple[str, Union[str, bool, Tuple[str, ...]]], ...] = ()
