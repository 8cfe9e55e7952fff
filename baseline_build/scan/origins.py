"""Where grafted libraries came from.

auditwheel and delvewheel copy libraries into ``NAME.libs/`` (or ``.NAME.libs``, ``NAME/.libs``, ``NAME/.dylibs``) and
put a piece of their hash into the file name: ``libfoo-1a2b3c4d.so.1``. The original name follows from that.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Optional

_FOLDER = re.compile(r"(?:.+)?\.libs$|^\.dylibs$")
_HASHED = re.compile(r"^(?P<stem>.+?)(?P<hashes>(?:-[0-9a-f]{8})+)(?P<rest>\.so(?:\..*)?)$")


def origin_of(path: str, soname: Optional[str]) -> Optional[str]:
    """The name the library at *path* of a wheel had where it was copied from; ``None`` for what is no grafted copy.

    :param soname: its DT_SONAME, which tells the name where the file name does not.
    """
    place = PurePosixPath(path)
    if not any(_FOLDER.match(part) for part in place.parts[:-1]):
        return None
    for name in (place.name, soname or ""):
        match = _HASHED.match(name)
        if match:
            return match["stem"] + match["rest"]
    return soname or place.name
