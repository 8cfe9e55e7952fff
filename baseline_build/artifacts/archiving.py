"""Source distributions with the same bytes for the same content, and output that appears whole or not at all.

Order, times, owners and permissions of an archive say nothing about the content, so they are fixed: members sorted,
the time from SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/), permissions 0644, and 0755
for what may be executed.
"""

from __future__ import annotations

import calendar
import gzip
import io
import os
import tarfile
from pathlib import Path
from typing import Dict, Mapping, Tuple

from ..errors import BrokenInputError
from ..wheel import timestamp


def moment_of(environ: Mapping[str, str]) -> int:
    """The time of every member of an archive, in seconds of the Unix clock. Raises ConfigError BB221."""
    return calendar.timegm((*timestamp(environ), 0, 0, 0))


def normalise_sdist(source: Path, target: Path, moment: int, more: Mapping[str, Path]) -> None:
    """Write the sdist *target* from the sdist *source* and *more* files (path below its top folder -> file).

    A file that *source* has already stays as it is there.

    :raises BrokenInputError: BB721 when *source* is no sdist with one top folder.
    """
    members: Dict[str, Tuple[bytes, bool]] = {}
    try:
        with tarfile.open(source, "r:gz") as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None:
                    members[member.name] = (stream.read(), bool(member.mode & 0o111))
                elif not member.isdir():
                    raise BrokenInputError("BB721", f"the member {member.name!r} is no plain file", where=source.name)
    except tarfile.TarError as error:
        raise BrokenInputError("BB721", f"is not a tar file: {error}", where=source.name) from error
    tops = {name.split("/", 1)[0] for name in members}
    if len(tops) != 1:
        raise BrokenInputError("BB721", f"has {len(tops)} top folders instead of one", where=source.name)
    top = tops.pop()
    for name, path in more.items():
        members.setdefault(f"{top}/{name}", (path.read_bytes(), os.access(path, os.X_OK)))
    _write_tar(target, members, moment)


def _write_tar(target: Path, members: Mapping[str, Tuple[bytes, bool]], moment: int) -> None:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(members):
            data, executable = members[name]
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), moment, 0o755 if executable else 0o644
            archive.addfile(info, io.BytesIO(data))
    # No file name in gzip's header: the temporary one would differ from build to build.
    with target.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=moment) as packed:
        packed.write(tar.getvalue())


def publish(finished: Path, folder: Path) -> Path:
    """Move a finished file into the output folder so that it appears there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / finished.name
    # The temporary name lies in the same folder: a rename within one file system is atomic.
    waiting = folder / f".{finished.name}.{os.getpid()}.part"
    try:
        waiting.write_bytes(finished.read_bytes())
        os.replace(waiting, target)
    finally:
        waiting.unlink(missing_ok=True)
    return target
