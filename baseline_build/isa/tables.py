"""Loads ``features-*.txt`` and ``levels-*.txt``.

Both are plain text, one row a line, columns separated by ``|``, ``#`` starts a comment:

* ``features-FAMILY.txt``: name | features it implies, separated by blanks | title
* ``levels-FAMILY.txt``: name | parent level or ``-`` | features it adds, separated by blanks | first CPUs
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, FrozenSet, List, Optional, Set, Tuple

from ..errors import InternalError
from .model import Feature, Isa, Level, Machine

_HERE = Path(__file__).parent


def read_rows(path: Path, columns: int) -> List[Tuple[str, ...]]:
    """The rows of the text table *path*. Raises InternalError BB901 for a row with another number of columns."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        cells = tuple(cell.strip() for cell in text.split("|"))
        if len(cells) != columns:
            place = f"{path.parent.name}/{path.name}:{number}"
            raise InternalError("BB901", f"expected {columns} columns, found {len(cells)}", where=place)
        rows.append(cells)
    return rows


def _closure(direct: Dict[str, Set[str]], name: str) -> FrozenSet[str]:
    closed: Set[str] = set()
    waiting = list(direct[name])
    while waiting:
        current = waiting.pop()
        if current not in closed:
            closed.add(current)
            waiting.extend(direct[current])
    return frozenset(closed)


def load(family: str) -> Isa:
    """The tables of *family*. Raises :class:`~baseline_build.errors.InternalError` (BB901) on a damaged row."""
    rows = read_rows(_HERE / f"features-{family}.txt", 3)
    direct = {name: set(implies.split()) for name, implies, _ in rows}
    features = {name: Feature(name, _closure(direct, name), title) for name, _, title in rows}
    levels: Dict[str, Level] = {}
    for name, parent, adds, cpus in read_rows(_HERE / f"levels-{family}.txt", 4):
        own = frozenset(adds.split())
        names = own.union(*(features[n].implies for n in own)) if own else own
        inherited = levels[parent].features if parent != "-" else frozenset()
        levels[name] = Level(name, names | inherited, cpus)
    return Isa(family, features, tuple(levels.values()))


X86 = load("x86")
AARCH64 = load("aarch64")

_FAMILY = {Machine.X86_64: X86, Machine.I386: X86, Machine.AARCH64: AARCH64}
_BASELINE = {Machine.X86_64: "x86-64", Machine.I386: "i686", Machine.AARCH64: "armv8-a"}


def isa_of(machine: Machine) -> Optional[Isa]:
    """The instruction set of *machine*, or ``None`` where the project has no decoder for it."""
    return _FAMILY.get(machine)


def baseline_of(machine: Machine) -> Optional[Level]:
    """The level every CPU of *machine* has, or ``None`` where the project has no decoder for it."""
    isa = isa_of(machine)
    return isa.level(_BASELINE[machine]) if isa else None
