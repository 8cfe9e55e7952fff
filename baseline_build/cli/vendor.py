"""``baseline-build vendor``: the pinned third-party sources of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence

from ..errors import EXIT_TOOL
from .console import Console
from .options import Arguments as Shared
from .options import Parser, one_of

_ACTIONS = ("sync", "check", "list")


class Arguments(Shared):
    """Options of ``vendor``."""

    action: str
    name: Optional[str]
    project: str
    offline: bool
    force: bool


def parser() -> Parser:
    """The parser of ``vendor``."""
    made = Parser("vendor", "Fetch, check or list the pinned sources (NAME-src/source.toml) of a project.")
    made.add_argument("action", type=one_of("action", _ACTIONS), metavar="ACTION", help=", ".join(_ACTIONS))
    made.add_argument("name", metavar="NAME", nargs="?", help="only this one: a folder or a component")
    made.add_argument("--project", metavar="DIR", default=".", help="default: the current folder")
    made.add_argument("--offline", action="store_true", help="sync: fail instead of fetching")
    made.add_argument("--force", action="store_true", help="sync: make trees anew although they were changed by hand")
    return made


def main(argv: Sequence[str], console: Console) -> int:
    """Run ``vendor`` with *argv*; ``check`` gives 5 unless every tree is complete."""
    from .. import sources

    arguments = Arguments()
    parser().read(argv, arguments)
    console.verbosity = arguments.verbose - arguments.quiet
    project = Path(arguments.project)
    if arguments.action == "sync":
        trees = sources.sync(
            project, arguments.name, offline=arguments.offline, force=arguments.force, report=console.status
        )
        for tree in trees:
            console.result(f"{tree.pin.tree}: {tree.pin.name} {tree.pin.version}, {len(tree.files)} files\n")
        return 0
    if arguments.action == "check":
        states = sources.check(project, arguments.name)
        for state in states:
            console.result(f"{state.pin.tree}: {state.pin.name} {state.pin.version}: {state.state}\n")
            for difference in state.differences:
                console.result(f"  {difference}\n")
        return 0 if all(state.state == "complete" for state in states) else EXIT_TOOL
    pins = sources.pins(project)
    if not pins:
        console.status("there are no pinned sources: no folder here has a source.toml")
    for pin in pins:
        if arguments.name in (None, pin.tree, pin.name):
            closes = sorted({identifier for patch in pin.patches for identifier in patch.closes})
            console.result(f"{pin.tree}: {pin.name} {pin.version} ({pin.licence}), {pin.purl}\n")
            console.result(f"  from {pin.archive.file}, sha256 {pin.archive.sha256}\n")
            if pin.patches:
                verb = "closes" if len(pin.patches) == 1 else "close"
                told = f", {verb} {', '.join(closes)}" if closes else ""
                console.result(f"  {len(pin.patches)} patch{'' if len(pin.patches) == 1 else 'es'}{told}\n")
    return 0
