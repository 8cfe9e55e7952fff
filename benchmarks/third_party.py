"""Real sdists from the user's package index, built plainly and through the wrapper: what was removed, what came out.

``python benchmarks/third_party.py [NAME==VERSION…] [-o docs/third-party.md] [--data FILE.json]``

Each sdist is fetched by pip from the configured index, unpacked and built twice by ``pip wheel --no-deps`` with build
isolation: as it is, and as a copy whose ``[build-system]`` table names baseline-build (the folder copied beside it)
around the project's own backend. Nothing else in the copy is changed. Both wheels are scanned.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Dict, List, Tuple

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from baseline_build.scan import scan_path  # noqa: E402

# Different build systems; the first four bring -march=native themselves.
PROJECTS = (
    *("annoy==1.17.3", "hnswlib==0.8.0", "fasttext==0.9.3", "ssm-simulators==0.12.5"),
    *("MarkupSafe==3.0.2", "PyYAML==6.0.2", "psutil==7.0.0", "cffi==1.17.1", "zstandard==0.23.0", "simplejson==3.19.3"),
    *("pybase64==1.5.1", "contourpy==1.3.3", "zlmdb==26.7.1"),
)
_OURS = ["setuptools>=77", "pyelftools>=0.31", "packaging>=23", "tomli>=2; python_version < '3.11'"]
_SECONDS = 3600


@dataclass(frozen=True)
class Outcome:
    """What one build of one sdist gave.

    :param verdict: of the scan, or ``not built``; a refused build counts as ``refused``.
    :param features: above the baseline, with the number of instructions.
    """

    verdict: str
    features: Dict[str, int]
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    project: str
    backend: str
    plain: Outcome
    enforced: Outcome
    removed: Tuple[str, ...]


def fetch(requirement: str, folder: Path) -> Path:
    """The unpacked sdist of *requirement*."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-binary",
        ":all:",
    ]
    name, _, version = requirement.partition("==")
    archives = folder / "archives"
    done = subprocess.run([*command, "-d", str(archives), requirement], capture_output=True, text=True, check=False)
    found = sorted(archives.glob("*.tar.gz")) if archives.is_dir() else []
    if not found:
        raise LookupError(f"{name} {version}: {(done.stderr.strip().splitlines() or ['no sdist'])[-1]}")
    with tarfile.open(found[0]) as archive:
        archive.extractall(folder / "plain", filter="data")
    return next(path for path in (folder / "plain").iterdir() if path.is_dir())


def _build_system(project: Path) -> Tuple[Dict[str, object], str]:
    place = project / "pyproject.toml"
    text = place.read_text(encoding="utf-8") if place.is_file() else ""
    table = tomllib.loads(text).get("build-system", {})
    return table, text


def wrap(project: Path) -> str:
    """Put baseline-build around the backend of *project*; the name of that backend."""
    table, text = _build_system(project)
    backend = str(table.get("build-backend", "setuptools.build_meta:__legacy__"))
    requires = [*(table.get("requires") or ["setuptools", "wheel"]), *_OURS]  # type: ignore[misc]
    places = ["baseline-build", *(table.get("backend-path") or [])]  # type: ignore[misc]
    rest = re.sub(r"(?ms)^\[build-system\]\s*$.*?(?=^\[|\Z)", "", text)
    head = f'[build-system]\nrequires = {json.dumps(requires)}\nbuild-backend = "baseline_build"\n'
    head += f"backend-path = {json.dumps(places)}\n\n"
    tail = f'\n[tool.baseline-build]\nbackend = "{backend}"\nstrict = false\ncompile-report = true\n'
    (project / "pyproject.toml").write_text(head + rest + tail, encoding="utf-8")
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.o")
    shutil.copytree(ROOT / "baseline_build", project / "baseline-build" / "baseline_build", ignore=ignore)
    return backend


def _pip_wheel(project: Path, output: Path) -> Tuple[float, subprocess.CompletedProcess[str]]:
    environ = {**os.environ, "BASELINE_BUILD_CACHE": "off"}
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-v",
        "--no-deps",
        "--no-cache-dir",
        str(project),
        "-w",
        str(output),
    ]
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False, timeout=_SECONDS)
    return time.monotonic() - begin, done


def _outcome(project: Path, output: Path) -> Tuple[Outcome, str]:
    seconds, done = _pip_wheel(project, output)
    text = done.stdout + done.stderr
    wheels = sorted(output.glob("*.whl")) if output.is_dir() else []
    if not wheels:
        refusal = re.search(r"(BB\d\d\d: .*(?:\n\s+(?:why|fix|\S+: \S+).*)*)", text)
        verdict = "refused" if refusal else "not built"
        lines = refusal.group(1).strip().splitlines() if refusal else text.strip().splitlines()[-1:]
        return Outcome(verdict, {}, seconds, " ".join(line.strip() for line in lines)[:400]), text
    report = scan_path(wheels[0])
    features: Dict[str, int] = {}
    for one in report.inputs:
        for file in one.files:
            for feature, count in file.features.items():
                features[feature] = features.get(feature, 0) + count
    return Outcome(report.verdict.value, features, seconds), text


def _removed(text: str) -> Tuple[str, ...]:
    found = re.search(r"compile log: [^;]*;? ?(.*)", text)
    return tuple(re.findall(r"(-[^\s(]+(?: [^\s(]+)?) \(", found.group(1))) if found else ()


def examine(requirement: str) -> Row:
    """Build *requirement* both ways."""
    with tempfile.TemporaryDirectory(prefix="third-party-") as scratch:
        folder = Path(scratch)
        project = fetch(requirement, folder)
        copy = folder / "wrapped" / project.name
        shutil.copytree(project, copy, symlinks=True)
        backend = wrap(copy)
        plain, _ = _outcome(project, folder / "plain-wheel")
        enforced, text = _outcome(copy, folder / "enforced-wheel")
        kept = os.environ.get("THIRD_PARTY_KEEP")
        if kept:
            target = Path(kept, project.name)
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            (target / "enforced.txt").write_text(text, encoding="utf-8")
            for wheel in (folder / "enforced-wheel").glob("*"):
                shutil.copy2(wheel, target)
        return Row(requirement, backend, plain, enforced, _removed(text))


def _cell(outcome: Outcome) -> str:
    features = ", ".join(f"{name} {count}" for name, count in sorted(outcome.features.items(), key=lambda x: -x[1])[:5])
    parts = [outcome.verdict, f"({features})" if features else "", outcome.note]
    return " ".join(part for part in parts if part).replace("|", "\\|")


def table(rows: List[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| sdist | backend | built plainly | through baseline-build | removed |", "|---|---|---|---|---|"]
    for row in rows:
        removed = ", ".join(f"`{flag}`" for flag in row.removed) or "nothing"
        lines.append(f"| {row.project} | {row.backend} | {_cell(row.plain)} | {_cell(row.enforced)} | {removed} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Build all, print and write the table; 1 when a wheel with a violation came out of an enforced build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("projects", nargs="*", metavar="NAME==VERSION")
    parser.add_argument("-o", "--output", type=Path, help="write the table as Markdown")
    parser.add_argument("--data", type=Path, help="write the rows as JSON; rows of other projects in it are kept")
    chosen = parser.parse_args()
    rows: Dict[str, Row] = {}
    if chosen.data and chosen.data.is_file():
        for body in json.loads(chosen.data.read_text(encoding="utf-8")):
            plain, enforced = Outcome(**body.pop("plain")), Outcome(**body.pop("enforced"))
            rows[body["project"]] = Row(**{**body, "removed": tuple(body["removed"])}, plain=plain, enforced=enforced)
    for requirement in chosen.projects or PROJECTS:
        try:
            rows[requirement] = examine(requirement)
        except LookupError as error:
            print(f"{error}", flush=True)
            continue
        print(table([rows[requirement]]).splitlines()[-1], flush=True)
        if chosen.data:
            chosen.data.write_text(
                json.dumps([asdict(row) for row in rows.values()], indent=1) + "\n", encoding="utf-8"
            )
    if chosen.output:
        text = "# Real sdists, built plainly and through baseline-build\n\n"
        text += "Written by `python benchmarks/third_party.py`. *features*: instructions above x86-64 in the wheel.\n\n"
        chosen.output.write_text(text + table(list(rows.values())), encoding="utf-8")
    return 1 if any(row.enforced.verdict == "violation" for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
