"""What the operating system refuses, in our words."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Optional

from ..errors import BaselineBuildError, BrokenInputError, ConfigError, ToolError

_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
_OURS = ".baseline-build-"  # how working folders in a folder of the user's begin


def refusal(error: OSError, where: Optional[str] = None) -> BaselineBuildError:
    """*error* as a message: BB480 to BB483, on the file that the system names, else on *where*."""
    named = isinstance(error.filename, (str, bytes, os.PathLike))  # PyPy leaves a Path as it is
    where = os.fsdecode(error.filename) if named else where
    if where is not None and Path(where).name.startswith(_OURS):
        where = str(Path(where).parent)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ToolError(
            "BB481", "there is no space left on the disk", where=where, fix="free some space, or point TMPDIR elsewhere"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return BrokenInputError(
            "BB482", f"access was refused ({error.strerror})", where=where, fix="check the owner and the permissions"
        )
    if error.errno == errno.ENOTDIR:
        return BrokenInputError(
            "BB480", "a part of this path is a file, not a folder", where=where, fix="name a path below a folder"
        )
    if error.errno == errno.ENOENT:
        return BrokenInputError("BB480", "there is no such file", where=where, fix="check the spelling of the path")
    return BrokenInputError(
        "BB483",
        f"the operating system refused: {error.strerror or error}",
        where=where,
        fix="try with another file or folder whether the disk or the network share is at fault",
    )


def unwritable(error: OSError, path: Path) -> BaselineBuildError:
    """*error* met while the report was written to *path*: BB259 where another place helps, else as :func:`refusal`."""
    if error.errno not in _PLACE:
        return refusal(OSError(error.errno, error.strerror), str(path))
    return ConfigError(
        "BB259",
        f"the report cannot be written there ({error.strerror})",
        where=str(path),
        fix="correct -o, or check the owner and the permissions of the folder",
    )
