"""Last touches to the ELF files of a wheel: symbols and debug information off, the interpreter's RUNPATH off.

Some interpreters bake their own library folder into every extension module through LDSHARED. It means nothing on
another machine, tells the world about the build machine, and is looked through by the loader first.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from ..elf.headers import read_header, read_sections, section_data
from ..errors import BrokenInputError, ToolError
from ..toolchain.target import strip_command
from .reporter import Reporter
from .running import run_tool

_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 15, 29
_PT_LOAD, _PT_DYNAMIC = 1, 2
_ET_EXEC, _ET_DYN = 2, 3
# Machines as reports name them -> as GNU triples do, where the two differ.
_GNU_MACHINES = {"x86-64": "x86_64", "i386": "i686", "ppc64le": "powerpc64le"}
_COMMENTS = (
    ("gcc", re.compile(rb"GCC: \([^)]*\) (\d+[\d.]*)")),
    ("clang", re.compile(rb"clang version (\d+[\d.]*)")),
    ("rustc", re.compile(rb"rustc version (\d+[\d.]*)")),
)


@dataclass(frozen=True)
class _Layout:
    """How the fields of one ELF class lie (gABI, chapters "Program Header" and "Dynamic Section")."""

    header: str  # from e_type on
    program: str
    dynamic: str
    program_fields: Tuple[int, int, int, int]  # type, offset, address, file size


_LAYOUTS = {
    1: _Layout("HHIIIIIHHH", "IIIIIIII", "iI", (0, 1, 2, 4)),
    2: _Layout("HHIQQQIHHH", "IIQQQQQQ", "qQ", (0, 2, 3, 5)),
}


def is_linked_elf(data: bytes) -> bool:
    """Whether *data* begins as an ELF program or shared object."""
    if len(data) < 20 or data[:4] != b"\x7fELF":
        return False
    order = "<" if data[5] == 1 else ">"
    return struct.unpack_from(f"{order}H", data, 16)[0] in {_ET_EXEC, _ET_DYN}


def strip(path: Path, tool: Sequence[str], *, log: Path, reporter: Reporter, keep: Sequence[str] = ()) -> None:
    """Take symbols and debug information off the file at *path*, in place, with the command *tool*.

    :param keep: names of symbols that stay, of those the file has.
    :raises ToolError: BB701 or BB702.
    """
    mode = path.stat().st_mode
    stripped = path.with_name(path.name + ".stripped")
    # --strip-all keeps what the dynamic loader needs; -D gives equal bytes for equal input.
    kept = [f"--keep-symbol={name}" for name in keep]
    run_tool([*tool, "--strip-all", *kept, "-o", str(stripped), str(path)], log=log, reporter=reporter)
    os.chmod(stripped, mode)
    os.replace(stripped, path)


def find_strip(machine: str, environ: Mapping[str, str]) -> Tuple[str, ...]:
    """The strip program for files of *machine*, as reports name it, see :func:`..toolchain.target.strip_command`.

    :raises ToolError: BB703 when there is none.
    """
    command = strip_command(_GNU_MACHINES.get(machine, machine), environ)
    if not command:
        raise ToolError(
            "BB703",
            f"no strip program for {machine} is on PATH",
            where="strip",
            fix="install binutils for that machine, name one in STRIP, or set strip = false to ship symbols and debug"
            " information",
        )
    return command


def remove_foreign_runpath(data: bytearray, name: str) -> Tuple[str, ...]:
    """Drop the absolute folders of RPATH and RUNPATH from an ELF file, in place; those that were dropped.

    Folders that begin with ``$ORIGIN`` stay: they are how a wheel finds libraries of its own.

    :raises BrokenInputError: BB720 when the dynamic section lies outside the file.
    """
    with _readable(name):
        dynamic = _dynamic(data)
        return _drop_runpath(data, dynamic) if dynamic else ()


def remove_second_libc(data: bytearray, name: str) -> bool:
    """Drop ``libc.so`` from the libraries an ELF file needs, in place, where it needs musl by its own name as well.

    zig calls musl ``libc.so``; a link that names ``libc.musl-MACHINE.so.1`` too leaves both (PEP 656).

    :returns: whether there was something to drop.
    :raises BrokenInputError: BB720 when the dynamic section lies outside the file.
    """
    with _readable(name):
        dynamic = _dynamic(data)
        needed = dynamic.needed(data) if dynamic else ()
        if dynamic is None or "libc.so" not in needed or not any(one.startswith("libc.musl-") for one in needed):
            return False
        kept = [
            (tag, value)
            for tag, value in dynamic.entries
            if tag != _DT_NEEDED or _string(data, dynamic.strings + value) != "libc.so"
        ]
        dynamic.write(data, kept)
        return True


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (struct.error, IndexError, ValueError, KeyError) as error:
        raise BrokenInputError("BB720", f"the dynamic section cannot be read: {error}", where=name) from error


@dataclass(frozen=True)
class _Dynamic:
    """The dynamic section of a file: format and file offset of its entries, and where its strings begin."""

    entry: str
    start: int
    entries: Tuple[Tuple[int, int], ...]
    strings: int

    def needed(self, data: bytearray) -> Tuple[str, ...]:
        """The libraries the file names."""
        return tuple(_string(data, self.strings + value) for tag, value in self.entries if tag == _DT_NEEDED)

    def write(self, data: bytearray, kept: Sequence[Tuple[int, int]]) -> None:
        """Put *kept* in the place of the entries; what is left of the room ends the table."""
        size = struct.calcsize(self.entry)
        filled = [*kept, *[(_DT_NULL, 0)] * (len(self.entries) - len(kept))]
        for number, (tag, value) in enumerate(filled):
            struct.pack_into(self.entry, data, self.start + number * size, tag, value)


def _dynamic(data: bytearray) -> Optional[_Dynamic]:
    layout = _LAYOUTS[data[4]]
    order = "<" if data[5] == 1 else ">"
    _, _, _, _, table, _, _, _, size, count = struct.unpack_from(order + layout.header, data, 16)
    headers = [struct.unpack_from(order + layout.program, data, table + i * size) for i in range(count)]
    kind, offset, address, length = layout.program_fields
    loads = [(h[address], h[offset], h[length]) for h in headers if h[kind] == _PT_LOAD]
    for header in headers:
        if header[kind] == _PT_DYNAMIC:
            entry, start = order + layout.dynamic, header[offset]
            entries = _entries(data, entry, start, header[length])
            return _Dynamic(entry, start, entries, _file_offset(dict(entries).get(_DT_STRTAB, 0), loads))
    return None


def _entries(data: bytearray, entry: str, start: int, length: int) -> Tuple[Tuple[int, int], ...]:
    entries: List[Tuple[int, int]] = []
    for position in range(start, start + length, struct.calcsize(entry)):
        tag, value = struct.unpack_from(entry, data, position)
        entries.append((tag, value))
        if tag == _DT_NULL:
            break
    return tuple(entries)


def _drop_runpath(data: bytearray, dynamic: _Dynamic) -> Tuple[str, ...]:
    dropped: List[str] = []
    kept: List[Tuple[int, int]] = []
    for tag, value in dynamic.entries:
        if tag not in {_DT_RPATH, _DT_RUNPATH}:
            kept.append((tag, value))
            continue
        text = _string(data, dynamic.strings + value)
        folders = text.split(":")
        own = [folder for folder in folders if folder.startswith(("$ORIGIN", "${ORIGIN}"))]
        dropped += [folder for folder in folders if folder not in own]
        if own:
            kept.append((tag, _shortened(data, dynamic.strings, value, text, ":".join(own))))
    if dropped:
        dynamic.write(data, kept)
    return tuple(dropped)


def _string(data: bytearray, offset: int) -> str:
    return data[offset : data.index(0, offset)].decode("utf-8", "surrogateescape")


def _shortened(data: bytearray, strings: int, value: int, text: str, wanted: str) -> int:
    """The string table index at which *wanted* stands after *text* was shortened to it.

    The linker merges a string that ends another one, so bytes at the end may be in use by others and stay as they are.
    """
    if text.endswith(wanted):
        return value + len(text.encode("utf-8", "surrogateescape")) - len(wanted.encode("utf-8", "surrogateescape"))
    encoded = wanted.encode("utf-8", "surrogateescape") + b"\0"
    data[strings + value : strings + value + len(encoded)] = encoded
    return value


def _file_offset(address: int, loads: List[Tuple[int, int, int]]) -> int:
    for start, offset, length in loads:
        if start <= address < start + length:
            return address - start + offset
    raise ValueError(f"no segment holds the address {address:#x}")


def machine_of(path: Path) -> str:
    """The machine of the ELF file at *path*, under the name reports use."""
    header, _ = read_header(path.read_bytes(), path.name)
    return header.machine.value


def compilers_of(files: Sequence[Path]) -> Tuple[Tuple[str, str], ...]:
    """Name and version of the compilers that *files* say they were made by, sorted.

    Compilers leave their name in the section ``.comment``; files that come from elsewhere (start files, static
    libraries) name theirs as well.
    """
    found: Set[Tuple[str, bytes]] = set()
    for path in files:
        header, window = read_header(path.read_bytes(), path.name)
        for section in read_sections(header, window):
            if section.name == ".comment":
                text = section_data(window, section)
                found.update((name, match) for name, pattern in _COMMENTS for match in pattern.findall(text))
    return tuple(sorted((name, version.decode("ascii")) for name, version in found))


def linked_files(folder: Path) -> Tuple[Path, ...]:
    """The ELF programs and shared objects below *folder*, sorted."""
    found: Dict[str, Path] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                if is_linked_elf(stream.read(20)):
                    found[path.as_posix()] = path
    return tuple(found[key] for key in sorted(found))
