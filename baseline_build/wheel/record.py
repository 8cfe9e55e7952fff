"""RECORD: the list of a wheel's files with their hashes and sizes (PEP 376, PEP 427)."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from dataclasses import dataclass
from typing import Dict, Iterable, List, Tuple

from ..errors import BrokenInputError
from .archive import WheelFile

SIGNATURES = ("RECORD.jws", "RECORD.p7s")
_WEAK = frozenset(("md5", "sha1"))


@dataclass(frozen=True)
class Entry:
    """A row of RECORD; ``digest`` is ``sha256=…`` in urlsafe base64 without padding, empty for RECORD itself."""

    name: str
    digest: str
    size: int


def dist_info_of(names: Iterable[str], where: str) -> str:
    """The name of the one ``*.dist-info`` folder. Raises BrokenInputError BB440 unless there is exactly one."""
    found = sorted(
        {name.split("/", 1)[0] for name in names if name.split("/", 1)[0].endswith(".dist-info") and "/" in name}
    )
    if len(found) != 1:
        raise BrokenInputError(
            "BB440",
            f"{len(found)} .dist-info folders: {', '.join(found)}" if found else "no .dist-info folder",
            where=where,
            why="A wheel has exactly one, it says what the wheel is (PEP 427).",
            fix="Build the wheel again with a PEP 517 backend.",
        )
    return found[0]


def parse(text: str, where: str) -> Tuple[Entry, ...]:
    """The rows of a RECORD. Raises BrokenInputError BB441 for a row that is none."""
    entries: List[Entry] = []
    seen: Dict[str, int] = {}
    try:
        rows = list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise _malformed(where, f"it is no list of comma-separated values: {error}") from error
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        if len(row) != 3 or not (row[2] == "" or (row[2].isascii() and row[2].isdigit())):
            raise _malformed(where, f"line {number} is not name, hash, size")
        if row[0] in seen:
            raise _malformed(where, f"line {number} lists {row[0]!r} again")
        seen[row[0]] = number
        entries.append(Entry(row[0], row[1], int(row[2] or 0)))
    return tuple(entries)


def _malformed(where: str, what: str) -> BrokenInputError:
    return BrokenInputError(
        "BB441", f"RECORD cannot be read: {what}", where=where, why="RECORD lists every file of the wheel (PEP 427).",
        fix="Build the wheel again, or repack it: `wheel unpack`, then `wheel pack`.",
    )  # fmt: skip


def problems(wheel: WheelFile) -> Tuple[str, ...]:
    """One sentence for each way in which RECORD and the files disagree. Raises BrokenInputError BB430, BB440, BB441."""
    names = [member.name for member in wheel.members]
    folder = dist_info_of(names, wheel.path.name)
    record = f"{folder}/RECORD"
    if record not in wheel:
        return (f"{record} is missing",)
    try:
        text = wheel.read(record).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed(f"{wheel.path.name}!{record}", f"it is not UTF-8: {error}") from error
    entries = {entry.name: entry for entry in parse(text, f"{wheel.path.name}!{record}")}
    exempt = {record, *(f"{folder}/{name}" for name in SIGNATURES)}
    found = [f"{name} is not listed in RECORD" for name in names if name not in entries and name not in exempt]
    found += [f"{name} is listed in RECORD and missing" for name in entries if name not in wheel]
    for name in names:
        if name in entries and name not in exempt:
            found += _differences(wheel, entries[name])
    return tuple(found)


def _differences(wheel: WheelFile, entry: Entry) -> List[str]:
    algorithm, _, expected = entry.digest.partition("=")
    if not expected or algorithm in _WEAK or algorithm not in hashlib.algorithms_guaranteed:
        return [f"{entry.name} has no hash in RECORD that can be trusted ({entry.digest or 'none'})"]
    digest = hashlib.new(algorithm)
    for piece in wheel.chunks(entry.name):
        digest.update(piece)
    if encoded(digest.digest()) != expected.rstrip("="):
        return [f"{entry.name} differs from its hash in RECORD"]
    return []


def verify(wheel: WheelFile) -> None:
    """Nothing when RECORD and the files agree. Raises BrokenInputError BB442 with all disagreements."""
    found = problems(wheel)
    if found:
        more = f" (and {len(found) - 5} more)" if len(found) > 5 else ""
        raise BrokenInputError(
            "BB442",
            "; ".join(found[:5]) + more,
            where=wheel.path.name,
            why="A file was changed after the wheel was packed, or the packer has a defect.",
            fix="Build or download the wheel again; after a deliberate change repack it with `wheel pack`.",
        )


def encoded(digest: bytes) -> str:
    """*digest* as RECORD writes it."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def render(entries: Iterable[Entry], record: str) -> str:
    """The text of RECORD: the rows as given, and RECORD itself (called *record*) without hash as the last one."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for entry in entries:
        writer.writerow((entry.name, entry.digest, entry.size))
    writer.writerow((record, "", ""))
    return stream.getvalue()
