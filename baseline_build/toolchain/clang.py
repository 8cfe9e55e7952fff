"""clang where no shim stands before it, and its configuration files where one does.

A clang called by its path reads ``CCC_OVERRIDE_OPTIONS`` (clang's ``Driver``, ``applyOverrideOptions``), by which its
command line is edited, and ``CC_PRINT_OPTIONS`` with ``CC_PRINT_OPTIONS_FILE`` (clang's ``Driver``, "print the driver's
internal command lines"), by which it tells what it did. An option that is edited away leaves its name in one that does
nothing and is told there; under ``refuse`` in one that cannot be met.

Configuration files (clang's manual, "Configuration files") are read by the driver itself, behind the shim's back: the
shim puts what stands in them on the line, where the filter sees it.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import EnforcementError
from .discovery import ask, machine_of
from .filtering import filter_arguments
from .model import Mode
from .plan import Plan
from .responses import split_response
from .tables import Kind, family_of, flags, meaning, target_of

NAME = "inner clang"
CALLER = "clang called by its path"
_LOG = "clang"
_REMOVED = "-fdebug-prefix-map=baseline-build-removed:"  # maps a folder no path begins with
_REFUSED = "-fplugin=baseline-build-refuses:"
_FEATURE = "+baseline-build-removed:"
_DEPTH = 16
_EXPANDED = 8


class Printed(NamedTuple):
    """One call of a compiler proper, as a clang called by its path has printed it.

    :param left: options above the level that are still there: they came from a configuration file.
    """

    machine: str
    directory: str
    arguments: Tuple[str, ...]
    removed: Tuple[str, ...]
    left: Tuple[str, ...]


def variables_of(plan: Plan, machine: str) -> Dict[str, str]:
    """What a clang that is called by its path finds in its environment."""
    found = {"CC_PRINT_OPTIONS": "1", "CC_PRINT_OPTIONS_FILE": str(Path(plan.state, _LOG))}
    override = _override_options(plan, machine)
    return found if override is None else {**found, "CCC_OVERRIDE_OPTIONS": override}


def _override_options(plan: Plan, machine: str) -> Optional[str]:
    """The value of CCC_OVERRIDE_OPTIONS.

    ``#`` edits in silence, ``s/A/B/`` replaces by regular expression, ``+X`` appends. The front end's ``-target-cpu``
    becomes a note for the debugger. Edits are separated by blanks, so an appended option with a blank in it cannot be
    said this way and is left out.
    """
    level = plan.level(machine)
    if plan.mode is Mode.REPORT or level is None:
        return None
    family = family_of(machine)
    dropped = [
        re.sub(r"[.+]", lambda match: "\\" + match.group(), flag.pattern[2:]).replace("*", ".*")
        for flag in flags()
        if flag.covers(family) and flag.kind is not Kind.NEUTRAL and meaning(flag.pattern, machine, level).dropped
    ]
    tuning = [text for text in dropped if text.startswith("tune")]
    chosen = target_of(machine, level).options[0]
    refuses = plan.mode is Mode.REFUSE
    edits = [f"s/^{chosen}$/{_REMOVED.partition(':')[0]}-nothing=/", f"s/^-(m({'|'.join(tuning)}))$/{_REMOVED}\\1=/"]
    edits.append(f"s/^-(m({'|'.join(dropped)}))$/" + (f"{_REFUSED}\\1/" if refuses else f"{_REMOVED}\\1=/"))
    edits.append("s/^-target-cpu$/-dwarf-debug-flags/")
    if family == "x86":
        features = [text for text in dropped if "=" not in text and text not in ("needed", "sse2avx")]
        edits.append(f"s/^\\+({'|'.join(features)})$/{_FEATURE}\\1/")
        edits.append(f"s/^-(Wa,-march=.*)$/{_REMOVED}\\1=/")
    edits.append("s/^(-z|-Wl,.*)?x86-64-v[2-9]/\\1noseparate-code/")
    before = plan.original.get("CCC_OVERRIDE_OPTIONS")
    earlier = [before.lstrip("#").strip()] if before else []
    added = plan.added("clang", machine, modern=False)
    return "# " + " ".join([*earlier, *edits, *("+" + option for option in added if " " not in option)])


def printed_calls(plan: Plan) -> Tuple[Tuple[Printed, ...], int]:
    """What clangs called by their path have printed, and how many calls could not be read.

    Two clangs that print at once can mix their lines, as their file is one for all.
    """
    path = Path(plan.state, _LOG)
    calls: List[Printed] = []
    unread = 0
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if path.exists() else ():
        if '"-cc1' not in line:
            continue
        try:
            words = shlex.split(line)
        except ValueError:  # a torn line ends within a quotation
            unread += 1
            continue
        calls.append(_printed(plan, words[1:]))
    return tuple(calls), unread


def _printed(plan: Plan, words: Sequence[str]) -> Printed:
    machine = machine_of(_value_of("-triple", words))
    directory = next((word.partition("=")[2] for word in words if word.startswith("-fdebug-compilation-dir=")), "")
    removed: List[str] = []
    kept: List[str] = []
    for place, word in enumerate(words):
        previous = words[place - 1] if place else ""
        if word.startswith(_REMOVED) and word.endswith("="):
            removed.append("-" + word[len(_REMOVED) : -1])
        elif previous == "-load" and word.startswith(_REFUSED[len("-fplugin=") :]):
            removed.append("-" + word[len(_REFUSED) - len("-fplugin=") :])
        elif previous == "-target-feature" and word.startswith(_FEATURE):
            removed.append(f"-Xclang -target-feature -Xclang +{word[len(_FEATURE) :]}")
        elif previous == "-dwarf-debug-flags" and " " not in word:
            removed.append(f"-Xclang -target-cpu -Xclang {word}")
        else:
            kept.append(word)
    left = filter_arguments(kept, "clang", machine, plan.level(machine)).foreign
    if len(left) > _EXPANDED:  # -march=native, said in full
        left = (f"{left[0]} and {len(left) - 1} more",)
    return Printed(machine, directory, tuple(words), tuple(removed), left)


def _value_of(option: str, words: Sequence[str]) -> str:
    return next((words[place + 1] for place, word in enumerate(words[:-1]) if word == option), "")


def with_configuration(real: str, arguments: Sequence[str], environ: Mapping[str, str]) -> List[str]:
    """*arguments* with what stands in clang's configuration files in place of the options that name them.

    Raises EnforcementError BB602 for a file that cannot be read, ToolError BB601 where clang does not say which it is.
    """
    naming: List[str] = []
    rest: List[str] = []
    words = iter(arguments)
    for word in words:
        if word.startswith(("--config=", "--config-user-dir=", "--config-system-dir=", "--no-default-config")):
            naming.append(word)
        elif word == "--config":
            naming += [word, *[value for value in [next(words, None)] if value is not None]]
        else:
            rest.append(word)
    text = ask([real, *naming, "--version"], environ)
    files = re.findall(r"^Configuration file: (.+)$", text, re.MULTILINE)
    if not files:
        return list(arguments)  # none is there, or clang will say itself why it cannot have one
    found = [word for file in files for word in _configured(file)]
    # what a configuration file says may go unused; options that name no file stay for what they mean besides
    return ["--start-no-unused-arguments", *found, "--end-no-unused-arguments", *_without_default(text), *rest]


def _without_default(version: str) -> List[str]:
    number = re.search(r"clang version ([0-9]+)", version)
    # from 16 on there are files that are read without being named; they are among those that were read here
    return ["--no-default-config"] if number and int(number.group(1)) >= 16 else []


def _configured(path: str, depth: int = 0) -> Iterator[str]:
    """The options in the configuration file *path*: ``#`` comments, ``@file`` relative to it, ``<CFGDIR>``."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise EnforcementError(
            "BB602",
            f"the configuration file cannot be read: {error.strerror}",
            where=path,
            why="Options in it could not be looked at.",
            fix="Make the file readable for the build.",
        ) from error
    lines = re.sub(r"\\\r?\n", "", text).splitlines()
    for word in split_response("\n".join(line for line in lines if not line.lstrip().startswith("#"))):
        if word.startswith("@") and depth < _DEPTH:
            yield from _configured(os.path.join(folder, word[1:]), depth + 1)
        else:
            yield word.replace("<CFGDIR>", folder)
