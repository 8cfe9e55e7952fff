"""Response files (``@file``): read by GCC's rules, and written when a line grows too long for the kernel."""

from __future__ import annotations

import os
from typing import List, Optional, Sequence

from ..errors import EnforcementError

_DEPTH = 32
_BLANKS = frozenset(" \t\n\r\v\f")


def split_response(text: str) -> List[str]:
    """The arguments in *text*, by the rules of libiberty's ``buildargv`` (the GNU form clang uses on Linux too).

    White space separates; single and double quotes group and vanish; a backslash takes the next character as it is,
    inside quotes too.
    """
    arguments: List[str] = []
    current: Optional[List[str]] = None
    quote = ""
    characters = iter(text)
    for character in characters:
        if not quote and character in _BLANKS:
            if current is not None:
                arguments.append("".join(current))
                current = None
            continue
        current = [] if current is None else current
        if character == "\\":
            current.append(next(characters, ""))
        elif character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        else:
            current.append(character)
    if current is not None:
        arguments.append("".join(current))
    return arguments


def join_response(arguments: Sequence[str]) -> str:
    """Text that :func:`split_response` takes apart into *arguments* again."""
    return "\n".join('"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"' for argument in arguments) + "\n"


def read_response(path: str) -> List[str]:
    """The arguments in the file *path*. Raises EnforcementError BB602 when it cannot be read."""
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise EnforcementError(
            "BB602",
            f"the response file cannot be read: {error.strerror}",
            where=path,
            why="Options in it could not be looked at.",
            fix="Make the file readable for the build.",
        ) from error
    return split_response(os.fsdecode(data))


def expand_responses(arguments: Sequence[str], directory: str, depth: int = 0) -> List[str]:
    """*arguments* with every ``@file`` replaced by what stands in it, nested ones too.

    A name that is no file stays as it is, which is what compilers do. Names are relative to *directory*, the working
    folder, at every depth. Raises EnforcementError BB602 for files that cannot be read or never end.
    """
    expanded: List[str] = []
    for argument in arguments:
        path = os.path.join(directory, argument[1:])
        if not argument.startswith("@") or not os.path.isfile(path):
            expanded.append(argument)
            continue
        if depth >= _DEPTH:
            raise EnforcementError(
                "BB602",
                f"response files are nested more than {_DEPTH} deep",
                where=argument[1:],
                why="A response file probably names itself.",
                fix="Flatten the response files.",
            )
        expanded.extend(expand_responses(read_response(path), directory, depth + 1))
    return expanded
