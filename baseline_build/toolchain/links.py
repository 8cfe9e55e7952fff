"""What a link took in from elsewhere: archive members and objects that this build did not compile.

The linker's map names every file that gave a section. Those that no compiler call of the session has made are decoded:
code above the promised level that comes from a prebuilt archive is then told by the archive's and member's name, while
the scan of the finished file can only name the function. Under ``strict`` the link itself fails for it
(``python -IS links.py STATE MAP OUTPUT``, started by the shim once the linker is done).
"""

from __future__ import annotations

import os
import re
import sys
import types
from collections import Counter
from pathlib import Path
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

if __name__ == "__main__":
    _FOLDER = Path(__file__).resolve().parent
    for _name, _path in (
        ("baseline_build", _FOLDER.parent),
        ("baseline_build.toolchain", _FOLDER),
        ("baseline_build.scan", _FOLDER.parent / "scan"),
    ):
        _package = types.ModuleType(_name)
        _package.__path__ = [str(_path)]
        sys.modules[_name] = _package
    __package__ = "baseline_build.toolchain"

from ..errors import BaselineBuildError, EnforcementError
from .model import ArchiveMember
from .plan import Plan, load_plan
from .records import own_objects, read_records

# A line of a map that places a section: GNU ld and gold "ADDRESS SIZE FILE", lld "VMA LMA SIZE ALIGN FILE:(SECTION)",
# mold "ADDRESS SIZE ALIGN FILE:(SECTION)".
_PLACED = re.compile(r"^.*?(?:(?:\s+|^)(?:0x)?[0-9a-f]+){2,4}\s+(?P<file>\S.*?)(?::\([^()]*\))?$")
_MEMBER = re.compile(r"(?P<archive>.*)\((?P<member>[^()]+)\)\Z")


class Piece(NamedTuple):
    """A file that gave something to a link; ``member`` of an archive, ``None`` for an object."""

    path: str
    member: Optional[str]


class Look(NamedTuple):
    """What was found in the pieces of a link, and sentences on those that could not be looked at."""

    members: Tuple[ArchiveMember, ...]
    notes: Tuple[str, ...]


def pieces_of(text: str, directory: str) -> Tuple[Piece, ...]:
    """The archive members and objects in the linker's map *text*; relative names are meant from *directory*."""
    found: Dict[Piece, None] = {}
    for line in text.splitlines():
        placed = _PLACED.match(line)
        if placed is None:
            continue
        name = placed.group("file")
        member = _MEMBER.match(name)
        if member:
            found[Piece(os.path.join(directory, member.group("archive")), member.group("member"))] = None
        elif name.endswith((".o", ".obj", ".lo", ".oS")):
            found[Piece(os.path.join(directory, name), None)] = None
    return tuple(found)


def _functions_above(data: bytes, name: str, plan: Plan) -> Tuple[Tuple[str, str, int], ...]:
    """(function, features, count) of the code in the object *data* above its machine's level."""
    from ..elf import parse
    from ..scan.code import decodable, decode_image
    from .tables import level_of

    image = parse(data, name)
    machine = image.machine.value
    level = plan.level(machine)
    if level is None or not decodable(image.machine):
        return ()
    counts: Counter[Tuple[str, str]] = Counter()
    promised = level_of(machine, level)
    for mark in decode_image(image).marks_above(promised):
        counts[image.label(mark.address), "+".join(sorted(mark.features - promised.features))] += 1
    return tuple((function, features, count) for (function, features), count in sorted(counts.items()))


def _bodies(path: str, wanted: FrozenSet[str]) -> Dict[str, bytes]:
    """The members *wanted* of the archive *path*; several of one name are told apart by a number."""
    from ..elf.archive import members

    bodies: Dict[str, bytes] = {}
    for member in members(Path(path).read_bytes(), path):
        if member.name in wanted:
            name = member.name if member.name not in bodies else f"{member.name}#{len(bodies)}"
            bodies[name] = bytes(member.data)
    return bodies


def look_at(plan: Plan, pieces: Sequence[Piece], output: str, own: FrozenSet[str]) -> Look:
    """Decode *pieces* of the link that made *output*, but for the objects *own* that this build has compiled.

    A piece that is gone (a compiler's temporary object) was this build's; one that cannot be read becomes a note: the
    scan of the finished file judges its code all the same.
    """
    found: List[ArchiveMember] = []
    notes: List[str] = []
    archives: Dict[str, List[str]] = {}
    for piece in pieces:
        path = os.path.realpath(piece.path)
        if path not in own and os.path.isfile(path):
            archives.setdefault(path, []).extend([piece.member] if piece.member else [])
    for path, wanted in archives.items():
        members, note = _look_into(plan, path, frozenset(wanted), output)
        found.extend(members)
        notes.extend(note)
    return Look(tuple(found), tuple(notes))


def _look_into(plan: Plan, path: str, wanted: FrozenSet[str], output: str) -> Look:
    found: List[ArchiveMember] = []
    try:
        bodies = _bodies(path, wanted) if wanted else {"": Path(path).read_bytes()}
        for member, data in bodies.items():
            functions = _functions_above(data, f"{path}({member})" if member else path, plan)
            if functions:
                found.append(ArchiveMember(path, member or None, output, functions))
    except (BaselineBuildError, OSError) as error:
        return Look(tuple(found), (f"{path}, linked into {output}, could not be looked at: {error}",))
    return Look(tuple(found), ())


def refuse_foreign(state: str, map_file: str, output: str) -> None:
    """Raise EnforcementError BB607 where the link that made *output* took in code above the level."""
    plan = load_plan(state)
    text = Path(map_file).read_text(encoding="utf-8", errors="surrogateescape")
    look = look_at(plan, pieces_of(text, os.getcwd()), output, own_objects(read_records(Path(state))))
    if look.members:
        named = "; ".join(
            f"{member.name}: " + ", ".join(f"{feature} in {function}" for function, feature, _ in member.functions[:3])
            for member in look.members
        )
        raise EnforcementError(
            "BB607",
            f"code above the promised level was linked in: {named}",
            where=output,
            why="The archive or object was compiled elsewhere, for a higher level, and strict allows no dispatch.",
            fix="Build that library within the project, link another one, or set strict = false.",
        )


def main(words: Sequence[str]) -> int:
    """Entry of the script; on refusal the output is removed, as linkers do on errors."""
    state, map_file, output = words
    try:
        refuse_foreign(state, map_file, output)
    except EnforcementError as error:
        sys.stderr.write(f"{error}\n")
        Path(output).unlink(missing_ok=True)
        Path(state, "refused", f"link-{os.getpid()}").write_text(f"{error.where}: {error.what}\n", encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
