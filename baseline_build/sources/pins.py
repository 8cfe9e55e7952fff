"""Reads the pins: one ``source.toml`` in a folder directly below the project.

The format, all keys required unless said otherwise::

    schema = 1
    name = "LMDB"                       # the component
    version = "0.9.36"
    purl = "pkg:github/lmdb/lmdb@..."
    licence = "OLDAP-2.8"               # SPDX expression
    licence-files = ["LICENSE"]         # within the tree

    [archive]
    project = "lmdb"                    # on the user's package index
    version = "3.0.0"
    file = "lmdb-3.0.0.tar.gz"
    sha256 = "..."
    size = 1202795

    [[select]]                          # at least one
    from = "lib"                        # below the archive's top folder
    to = "."                            # within the tree; optional, "." by default
    include = ["*.c", "*.h"]
    exclude = []                        # optional

    [[patch]]                           # optional, applied in this order
    file = "lib/fixes/one.patch"
    strip = 3                           # optional, 1 by default
    to = "."                            # optional
    closes = ["CVE-..."]                # optional
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Any, List, Mapping, Tuple

from ..errors import SourceError
from .model import Archive, Patch, Pin, Selection

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PIN_NAME = "source.toml"

_TOP = {"schema", "name", "version", "purl", "licence", "licence-files", "archive", "select", "patch"}
_ARCHIVE = {"project", "version", "file", "sha256", "size"}
_SELECT = {"from", "to", "include", "exclude"}
_PATCH = {"file", "strip", "to", "closes"}
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


def pins(project_dir: Path) -> Tuple[Pin, ...]:
    """The pins of the project, sorted by folder name; empty when it vendors nothing.

    Raises :class:`SourceError` BB301 for a file that is not a valid pin.
    """
    return tuple(read_pin(path) for path in sorted(Path(project_dir).glob(f"*/{PIN_NAME}")))


def read_pin(path: Path) -> Pin:
    """The pin in the file *path*. Raises :class:`SourceError` BB301."""
    table = _Table(path, "", _load(path))
    table.expect_only(_TOP)
    if table.value("schema", int) != 1:
        raise table.error("schema", "must be 1, the only version of this format")
    archive = _archive(_Table(path, "archive.", table.value("archive", dict)))
    selections = tuple(_selection(entry) for entry in table.tables("select"))
    if not selections:
        raise table.error("select", "must name at least one folder of the archive")
    patches = tuple(_patch(entry) for entry in table.tables("patch"))
    return Pin(
        tree=path.parent.name,
        name=table.text("name"),
        version=table.text("version"),
        purl=table.text("purl"),
        licence=table.text("licence"),
        licence_files=table.paths("licence-files"),
        archive=archive,
        selections=selections,
        patches=patches,
        digest=hashlib.sha256(json.dumps(table.content, sort_keys=True).encode()).hexdigest(),
    )


def _load(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(
            "BB301",
            f"the pin cannot be read: {error}",
            where=str(path),
            fix="mend the file, or take it again from the project's repository",
        ) from error


def _archive(table: _Table) -> Archive:
    table.expect_only(_ARCHIVE)
    file = table.text("file")
    if not file.endswith(".tar.gz") or not _WORD.match(file):
        raise table.error("file", "must be the plain name of a .tar.gz file")
    sha256 = table.text("sha256")
    if not _HASH.match(sha256):
        raise table.error("sha256", "must be 64 lower-case hexadecimal digits")
    size = table.value("size", int)
    if not 0 < size <= 1 << 30:
        raise table.error("size", "must be a number of bytes between 1 and 2**30")
    project, version = table.text("project"), table.text("version")
    if not _WORD.match(project):
        raise table.error("project", "must be a project name")
    return Archive(project=project, version=version, file=file, sha256=sha256, size=size)


def _selection(table: _Table) -> Selection:
    table.expect_only(_SELECT)
    include = table.paths("include")
    if not include:
        raise table.error("include", "must hold at least one pattern")
    return Selection(
        source=table.path("from"),
        target=table.path("to", "."),
        include=include,
        exclude=table.paths("exclude", []),
    )


def _patch(table: _Table) -> Patch:
    table.expect_only(_PATCH)
    strip = table.value("strip", int, 1)
    if not 0 <= strip <= 16:
        raise table.error("strip", "must be between 0 and 16")
    return Patch(file=table.path("file"), strip=strip, target=table.path("to", "."), closes=table.texts("closes", []))


class _Table:
    """One TOML table with typed access; every complaint names the file and the key."""

    def __init__(self, path: Path, prefix: str, content: Mapping[str, Any]) -> None:
        self.file = path
        self.prefix = prefix
        self.content = content

    def error(self, key: str, complaint: str) -> SourceError:
        return SourceError(
            "BB301",
            f"{self.prefix}{key} {complaint}",
            where=str(self.file),
            fix="correct the pin; docs of the format: baseline-build explain BB301",
        )

    def expect_only(self, known: set[str]) -> None:
        for key in self.content:
            if key not in known:
                raise self.error(key, f"is not a key of a pin; known here: {', '.join(sorted(known))}")

    def value(self, key: str, kind: type, default: Any = None) -> Any:
        found = self.content.get(key, default)
        if found is None:
            raise self.error(key, "is missing")
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            raise self.error(key, f"must be of type {kind.__name__}, found {type(found).__name__}")
        return found

    def text(self, key: str) -> str:
        found: str = self.value(key, str)
        if not found.strip() or any(ord(letter) < 32 for letter in found):
            raise self.error(key, "must be one line of text")
        return found

    def texts(self, key: str, default: Any = None) -> Tuple[str, ...]:
        found = self.value(key, list, default)
        if not all(isinstance(item, str) and item for item in found):
            raise self.error(key, "must be a list of texts")
        return tuple(found)

    def path(self, key: str, default: Any = None) -> str:
        return self._relative(key, self.value(key, str, default))

    def paths(self, key: str, default: Any = None) -> Tuple[str, ...]:
        return tuple(self._relative(key, item) for item in self.texts(key, default))

    def tables(self, key: str) -> List[_Table]:
        found = self.value(key, list, [])
        if not all(isinstance(item, dict) for item in found):
            raise self.error(key, "must be a list of tables")
        return [_Table(self.file, f"{key}[{number}].", item) for number, item in enumerate(found)]

    def _relative(self, key: str, text: str) -> str:
        path = PurePosixPath(text)
        if path.is_absolute() or ".." in path.parts or "\\" in text or ":" in text or "\0" in text:
            raise self.error(key, f"must stay within its folder, found {text!r}")
        return str(path)
