"""File names and tags of wheels (PEP 427, PEP 425, PEP 600); ``packaging`` knows the rules, we give the errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable, Optional, Tuple

from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion

from ..errors import BrokenInputError


@dataclass(frozen=True)
class WheelName:
    """The parts of a wheel's file name, as they are written in it; ``build`` is empty where there is none."""

    project: str
    version: str
    build: str
    python: str
    abi: str
    platform: str

    def __str__(self) -> str:
        parts = [self.project, self.version, self.build, self.python, self.abi, self.platform]
        return "-".join(part for part in parts if part) + ".whl"

    @property
    def platforms(self) -> Tuple[str, ...]:
        """The platform tags, as in the name."""
        return tuple(self.platform.split("."))

    @property
    def tags(self) -> Tuple[str, ...]:
        """Every tag the name stands for, in the order in which WHEEL lists them."""
        return tuple(
            f"{python}-{abi}-{platform}"
            for python in self.python.split(".")
            for abi in self.abi.split(".")
            for platform in self.platform.split(".")
        )


def parse(name: str) -> WheelName:
    """The parts of the file name *name*. Raises BrokenInputError BB443."""
    try:
        parse_wheel_filename(name)
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise BrokenInputError(
            "BB443",
            f"this is not the name of a wheel: {error}",
            where=name,
            why="A wheel is called NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl (PEP 427).",
            fix="Give the file the name its builder gave it.",
        ) from error
    parts = name[: -len(".whl")].split("-")
    build = parts[2] if len(parts) == 6 else ""
    return WheelName(parts[0], parts[1], build, *parts[-3:])


def retagged(name: WheelName, *, platform: Optional[str] = None, python: Optional[str] = None) -> WheelName:
    """*name* with another platform or Python tag (dotted sets allowed). Raises BrokenInputError BB443."""
    changed = WheelName(
        name.project, name.version, name.build, python or name.python, name.abi, platform or name.platform
    )
    return parse(str(changed))


def wheel_metadata(text: str, tags: Iterable[str]) -> str:
    """The WHEEL file *text* with its ``Tag`` lines replaced by *tags*."""
    head = [line for line in text.splitlines() if line.strip() and not re.match(r"tag\s*:", line, re.IGNORECASE)]
    return "\n".join([*head, *(f"Tag: {tag}" for tag in tags)]) + "\n"


def expanded(tag: str) -> Tuple[Tag, ...]:
    """The single tags of a compressed tag set, sorted."""
    return tuple(sorted(parse_tag(tag), key=str))
