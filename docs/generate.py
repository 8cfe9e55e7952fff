"""Writes the reference pages that follow from the code: settings, commands, codes, levels and features; and, beside
their data, the tables of what the battery and the builds of third-party sdists gave when they were run last.

``python docs/generate.py`` writes them; ``python docs/generate.py --check`` ends with 1 when one is out of date.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
DATA = ROOT / "benchmarks"
sys.path.insert(0, str(ROOT))

from baseline_build import isa  # noqa: E402
from baseline_build.config import tables  # noqa: E402
from baseline_build.report import codes as explanations  # noqa: E402

COMMANDS = ("scan", "repair", "run", "mark", "vendor", "verify", "config", "explain")


def _help(*arguments: str) -> str:
    environ = dict(os.environ, COLUMNS="80", NO_COLOR="1", PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "baseline_build", *arguments, "--help"]
    text = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    return f"```text\n{text.rstrip()}\n```\n"


def commands() -> str:
    """Help texts of all commands, as they are printed."""
    parts = ["# Commands\n", "`python -m baseline_build` is the same program.\n", _help()]
    for name in COMMANDS:
        parts += [f"## {name}\n", _help(name)]
    return "\n".join(parts)


def settings() -> str:
    """Every setting with type, default and meaning, from the model."""
    introduction = (
        "Settings stand in `pyproject.toml`; each can be given as `-C key=value` and as an environment variable "
        "`BASELINE_BUILD_KEY` too. The environment wins over `-C`, `-C` over the file. An unknown key is an error."
    )
    return f"# Settings\n\n{introduction}\n\n```{{eval-rst}}\n{tables.generate()}```\n"


def codes() -> str:
    """All messages' explanations, as ``baseline-build explain CODE`` prints them."""
    parts = ["# Codes\n", "Every message carries a code; `baseline-build explain CODE` prints the text below.\n"]
    for name in explanations.known():
        told = explanations.explanation(name)
        assert told is not None
        blocks = [f"```text\n{one}\n```" if one.startswith(" ") else _prose(one) for one in told.blocks]
        parts.append("\n\n".join([f"## {name}: {_prose(told.title)}", *blocks]) + "\n")
    return "\n".join(parts)


def _prose(text: str) -> str:
    """*text* as Markdown: what stands between backticks is code, so are options, and nothing else is markup."""
    pieces = re.split(r"(``.+?``|`.+?`|(?<![\w-])--?[a-zA-Z][\w-]*(?:=[\w.…-]+)?)", text)
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            pieces[place] = re.sub(r"([\\*_<>\[\]])", r"\\\1", piece)
        elif not piece.startswith("`"):
            pieces[place] = f"`{piece}`"
    return "".join(pieces)


def json_report() -> str:
    """Every key of the JSON report, from its schema."""
    schema = json.loads((ROOT / "baseline_build" / "report" / "report.schema.json").read_text(encoding="utf-8"))
    introduction = (
        "`baseline-build scan --format json` writes one object. Its schema (JSON Schema 2020-12) stands in the package "
        "as `baseline_build/report/report.schema.json`. `version` is raised when a key is renamed, removed or changes "
        "its meaning; keys may be added."
    )
    parts = ["# JSON report\n", f"{introduction}\n"]
    objects = [("The report", schema), *((f"`{name}`", schema["$defs"][name]) for name in ("input", "file", "finding"))]
    for title, one in objects:
        parts.append(f"## {title}\n\n| key | type | meaning |\n| --- | --- | --- |")
        for key, value in one["properties"].items():
            parts.append(f"| `{key}` | {_type_of(value)} | {value.get('description', _meaning(schema, value))} |")
        parts.append("")
    verdicts = ", ".join(f"`{name}`" for name in schema["$defs"]["verdict"]["enum"])
    parts.append(f"Verdicts, from the least to the gravest: {verdicts}.")
    return "\n".join(parts)


def _type_of(value: Dict[str, Any]) -> str:
    if "$ref" in value:
        return f"`{value['$ref'].rpartition('/')[2]}`"
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if "oneOf" in value:
        return " or ".join(one["type"] for one in value["oneOf"])
    kinds = value["type"] if isinstance(value["type"], list) else [value["type"]]
    text = " or ".join(kinds)
    return f"array of {_type_of(value['items'])}" if text == "array" else text


def _meaning(schema: Dict[str, Any], value: Dict[str, Any]) -> str:
    if "$ref" in value:
        return str(schema["$defs"][value["$ref"].rpartition("/")[2]].get("description", ""))
    return ""


def levels() -> str:
    """Levels with their first CPUs, and features with the lowest level that has them."""
    parts: List[str] = ["# Levels and features\n"]
    for title, family in (("x86", isa.X86), ("ARM64", isa.AARCH64)):
        parts.append(f"## {title}: levels\n\n| level | first CPUs | adds |\n| --- | --- | --- |")
        before: frozenset[str] = frozenset()
        for level in family.levels:
            added = " ".join(f"`{name}`" for name in sorted(level.features - before))
            parts.append(f"| `{level.name}` | {level.cpus} | {added} |")
            before = level.features
        parts.append(f"\n## {title}: features\n\n| feature | lowest level | what it is |\n| --- | --- | --- |")
        for name, feature in sorted(family.features.items()):
            lowest = family.lowest_level(frozenset([name]))
            parts.append(f"| `{name}` | {f'`{lowest.name}`' if lowest else 'none'} | {feature.title} |")
        parts.append("")
    return "\n".join(parts)


def battery() -> str:
    """The table of the battery, from the rows it has kept."""
    from tests.battery import __main__ as command

    rows = json.loads((DATA / "battery.json").read_text(encoding="utf-8"))
    introduction = (
        "Each case is a way by which an option reaches a compiler, and the option. Its project (a folder of "
        "`tests/packages`) is built twice: by its own backend, and by baseline-build around that backend. *Foreign* "
        "are the lines of `objdump -d` above x86-64, over all native files of the wheel. "
        "`python -m tests.battery --data benchmarks/battery.json` builds them all."
    )
    bad, unproven = (sum(map(question, rows)) for question in (command.wrong, command.is_open))
    summary = (
        f"{len(rows)} cases, {bad} not as they must be. {unproven} are open: the wheel is refused, because the "
        "dispatch of a run-time library in it cannot be proven yet."
    )
    return f"# Battery\n\n{introduction}\n\n{summary}\n\n{command.table(rows)}"


def third_party() -> str:
    """The table of third-party sdists, from the rows kept."""
    from benchmarks.third_party import read_rows, table

    introduction = (
        "Sdists from the package index, built twice: as they are, and with nothing changed but the `[build-system]` "
        "table, which puts baseline-build around their own backend (`strict = false`). In brackets: instructions above "
        "x86-64 in the wheel. *used*: the wheel was installed and its native code called. "
        "`python benchmarks/third_party.py --data benchmarks/third-party.json` builds them all; the building CPU, "
        "which `-march=native` stands for, was an AMD EPYC with AVX-512."
    )
    remarks = (
        "fasttext-wheel writes `-march=native` into one word with other options, where gcc takes it for a part of "
        "`-O3`: no compiler is asked for it. ssm-simulators was built with GSL (`libgsl-dev`). A project that is "
        "refused brings kernels for single extensions: it is shipped by declaring them, or by a waiver where the "
        "dispatch cannot be proven."
    )
    return f"# Third-party projects\n\n{introduction}\n\n{remarks}\n\n{table(read_rows(DATA / 'third-party.json'))}"


def pages() -> Dict[Path, str]:
    """Text of each generated page by its path."""
    reference = {
        "settings.md": settings(),
        "commands.md": commands(),
        "codes.md": codes(),
        "levels.md": levels(),
        "json.md": json_report(),
    }
    measured = {"battery.md": battery(), "third-party.md": third_party()}
    return {
        **{REFERENCE / name: text for name, text in reference.items()},
        **{DATA / name: text for name, text in measured.items()},
    }


def main(arguments: List[str]) -> int:
    """Write the pages, or compare them with what is there."""
    stale = []
    for path, text in pages().items():
        wanted = text.rstrip() + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != wanted:
            stale.append(path.relative_to(ROOT).as_posix())
            if "--check" not in arguments:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(wanted, encoding="utf-8")
    if stale and "--check" in arguments:
        print(f"out of date: {', '.join(stale)}; run python docs/generate.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
