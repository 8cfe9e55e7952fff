"""Real sdists from the user's package index, built plainly and through the wrapper: what was removed, what came out.

``python benchmarks/third_party.py [NAME==VERSION…] [--data FILE.json] [--keep FOLDER] [--limit SECONDS]``

Each sdist is fetched from the configured index, unpacked and built twice by ``python -m build``, isolated: as
it is, and as a copy whose ``[build-system]`` table names baseline-build (the folder copied beside it) around the
project's own backend. Nothing else in the copy is changed. Both wheels are scanned; the second one is installed into an
environment of its own and used. ``docs/generate.py`` makes a page of the data.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
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
from baseline_build.sources.pipconfig import read_settings  # noqa: E402


@dataclass(frozen=True)
class Project:
    """A sdist, and how its wheel is tried out.

    :param requirement: ``NAME==VERSION``.
    :param use: Python statements that use the native parts; run where only the wheel and *needs* are installed.
    """

    requirement: str
    use: str
    needs: Tuple[str, ...] = ()


_ZLMDB = """
import os, pathlib, subprocess, sys, tempfile
from zlmdb import lmdb
folder = tempfile.mkdtemp()
with lmdb.open(folder) as env:
    with env.begin(write=True) as txn: txn.put(b"key", b"value")
    with env.begin() as txn: assert txn.get(b"key") == b"value"
schema = pathlib.Path(folder, "a.fbs")
schema.write_text("table T { x: int; } root_type T;")
flatc = os.path.join(os.path.dirname(sys.executable), "flatc")
print(subprocess.run([flatc, "--version"], check=True, capture_output=True, text=True).stdout.strip())
subprocess.run([flatc, "--python", "-o", folder, str(schema)], check=True)
assert pathlib.Path(folder, "T.py").is_file()
"""

_SSM = """
import numpy
from cssm import ddm_models
one = {name: numpy.array([value], dtype=numpy.float32) for name, value in dict(v=1, a=1, z=0.5, t=0.1, s=1).items()}
deadline = numpy.array([9.0], dtype=numpy.float32)
found = ddm_models.ddm(**one, deadline=deadline, n_samples=9, n_trials=1, random_state=1)
assert found["rts"].size == 9
"""

# Different build systems; the first ones bring -march=native or single extensions themselves.
PROJECTS = (
    Project("annoy==1.17.3", "import annoy; i = annoy.AnnoyIndex(2, 'angular'); i.add_item(0, [1, 2]); i.build(2)"),
    Project(
        "hnswlib==0.8.0",
        "import hnswlib; i = hnswlib.Index('l2', 16); i.init_index(9); i.add_items([[1.0] * 16])",
        ("numpy",),
    ),
    Project("fasttext-wheel==0.9.2", "import fasttext; fasttext.tokenize('a b')", ("numpy", "pybind11", "setuptools")),
    Project("fasttext==0.9.3", "import fasttext; fasttext.tokenize('a b')", ("numpy", "pybind11", "setuptools")),
    Project("fasttext-predict==0.9.2.4", "import fasttext; fasttext.tokenize('a b')"),
    Project("ssm-simulators==0.12.5", _SSM, ("numpy",)),
    Project("pyhash2==0.9.4", "import pyhash; assert pyhash.fnv1_32()('a')"),
    Project("mappy==2.31", "import mappy; assert mappy.revcomp('AAC') == 'GTT'"),
    Project("nmslib==2.1.2", "import nmslib; nmslib.init()", ("numpy", "psutil")),
    Project("crc32c==2.7.1", "import crc32c; assert crc32c.crc32c(b'123456789') == 0xE3069283"),
    Project("pybase64==1.5.1", "import pybase64; assert pybase64.b64encode(b'ab' * 99)"),
    Project("MarkupSafe==3.0.2", "import markupsafe._speedups"),
    Project("PyYAML==6.0.2", "import yaml; assert yaml.safe_load('a: 1') == {'a': 1}"),
    Project("psutil==7.0.0", "import psutil; assert psutil.virtual_memory().total"),
    Project("cffi==1.17.1", "import cffi; cffi.FFI().cdef('int f(void);')", ("pycparser",)),
    Project("zstandard==0.23.0", "import zstandard as z; assert z.decompress(z.compress(b'a' * 999)) == b'a' * 999"),
    Project("simplejson==3.19.3", "import simplejson._speedups"),
    Project(
        "contourpy==1.3.3", "import contourpy; contourpy.contour_generator(z=[[0, 1], [1, 0]]).lines(.5)", ("numpy",)
    ),
    Project("levenshtein==0.27.1", "import Levenshtein; assert Levenshtein.distance('ab', 'ac') == 1", ("rapidfuzz",)),
    Project(
        "argon2-cffi-bindings==26.2.0", "import _argon2_cffi_bindings as a; assert a.lib.ARGON2_OK == 0", ("cffi",)
    ),
    Project("PyNaCl==1.6.2", "import nacl.utils; assert len(nacl.utils.random(9)) == 9", ("cffi",)),
    Project("zlmdb==26.7.1", _ZLMDB, ("cffi", "cbor2", "click", "pynacl", "pyyaml", "txaio", "numpy", "setuptools")),
)
_OURS = ["setuptools>=77", "pyelftools>=0.31", "packaging>=23", "tomli>=2; python_version < '3.11'"]


@dataclass(frozen=True)
class Outcome:
    """What one build of one sdist gave.

    :param verdict: of the scan, or ``not built``, or ``refused``.
    :param features: above the baseline, with the number of instructions.
    :param used: what became of trying the wheel out: ``works``, or the last line of the failure; empty: not tried.
    """

    verdict: str
    features: Dict[str, int]
    seconds: float
    note: str = ""
    used: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    project: str
    backend: str
    plain: Outcome
    enforced: Outcome
    removed: Tuple[str, ...]


def fetch(requirement: str, folder: Path) -> Path:
    """The unpacked sdist of *requirement*, found as pip is configured to find it. Raises LookupError."""
    from unearth import PackageFinder

    settings = read_settings(os.environ)
    places: List[Dict[str, List[str]]] = [{"index_urls": [settings.index_url] if settings.index_url else []}]
    places += [{"index_urls": [url]} for url in settings.extra_index_urls]
    places.append({"find_links": list(settings.find_links)})
    for place in places:
        finder = PackageFinder(trusted_hosts=list(settings.trusted_hosts), no_binary=[":all:"], **place)
        best = finder.find_best_match(requirement).best
        if best is not None:
            break
    else:
        raise LookupError(f"{requirement}: the index has no such sdist")
    target = folder / "plain" / requirement.replace("==", "-")
    target.mkdir(parents=True)
    return finder.download_and_unpack(best.link, location=target)


def _build_system(project: Path) -> Tuple[Dict[str, object], str]:
    place = project / "pyproject.toml"
    text = place.read_text(encoding="utf-8") if place.is_file() else ""
    table = tomllib.loads(text).get("build-system", {})
    return table, text


def wrap(project: Path) -> str:
    """Put baseline-build around the backend of *project*; the name of that backend."""
    table, text = _build_system(project)
    backend = str(table.get("build-backend", "setuptools.build_meta:__legacy__"))
    asked = list(table.get("requires") or ["setuptools", "wheel"])  # type: ignore[call-overload]
    own = any(re.match(r"setuptools\b(?!-)", one) for one in asked)  # a project's own bound on setuptools holds
    requires = [*asked, *(one for one in _OURS if not (own and one.startswith("setuptools")))]
    places = ["baseline-build", *(table.get("backend-path") or [])]  # type: ignore[misc]
    rest = re.sub(r"(?ms)^\[build-system\]\s*$.*?(?=^\[|\Z)", "", text)
    head = f'[build-system]\nrequires = {json.dumps(requires)}\nbuild-backend = "baseline_build"\n'
    head += f"backend-path = {json.dumps(places)}\n\n"
    tail = f'\n[tool.baseline-build]\nbackend = "{backend}"\nstrict = false\ncompile-report = true\n'
    (project / "pyproject.toml").write_text(head + rest + tail, encoding="utf-8")
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.o")
    shutil.copytree(ROOT / "baseline_build", project / "baseline-build" / "baseline_build", ignore=ignore)
    return backend


def _run_build(project: Path, output: Path, limit: float) -> Tuple[float, str]:
    """Seconds, and all that the build wrote."""
    environ = {**os.environ, "BASELINE_BUILD_CACHE": "off", "BASELINE_BUILD_VERBOSE": "1"}
    command = [sys.executable, "-m", "build", "--wheel", "-o", str(output), str(project)]
    begin = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ, start_new_session=True
    )
    try:
        text = process.communicate(timeout=limit)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)  # the build is a session of its own, compilers and all
        text = process.communicate()[0].decode("utf-8", "replace") + f"\nstopped after {limit:.0f} s"
    return time.monotonic() - begin, text


def _refusal(text: str) -> Tuple[str, str]:
    """What a build without a wheel came to, and why: the message of our error where it was one, else the last line."""
    # the message stands by itself at the end; the details of a build that tells all name errors too
    found = re.findall(r"^(BB\d\d\d: .*(?:\n\s+(?:why|fix|\S+: \S+).*)*)", text, re.MULTILINE)
    lines = found[-1].strip().splitlines() if found else text.strip().splitlines()[-1:]
    # without its advice, and without folders of this machine
    note = re.sub(r"(?<![\w.])/\S*/", "", " ".join(line.strip() for line in lines)).partition(" why: ")[0]
    return "refused" if found else "not built", note[:300]


def _outcome(project: Path, output: Path, limit: float) -> Tuple[Outcome, str]:
    seconds, text = _run_build(project, output, limit)
    wheels = sorted(output.glob("*.whl")) if output.is_dir() else []
    if not wheels:
        verdict, note = _refusal(text)
        return Outcome(verdict, {}, seconds, note), text
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


def try_out(project: Project, wheel: Path, folder: Path) -> str:
    """Install *wheel* into a new environment and use it: ``works``, or the last line of what went wrong."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    steps = (
        [python, "-m", "pip", "install", "-q", "--only-binary", ":all:", *project.needs],
        [python, "-m", "pip", "install", "-q", "--no-deps", str(wheel)],
        [python, "-I", "-c", project.use],
    )
    for step in steps if project.needs else steps[1:]:
        done = subprocess.run(step, capture_output=True, text=True, check=False, cwd=folder)
        if done.returncode:
            return f"fails: {(done.stderr.strip().splitlines() or [str(done.returncode)])[-1]}"
    return "works"


def examine(project: Project, limit: float, keep: Path | None) -> Row:
    """Build *project* both ways."""
    with tempfile.TemporaryDirectory(prefix="third-party-") as scratch:
        folder = Path(scratch)
        source = fetch(project.requirement, folder)
        copy = folder / "wrapped" / source.name
        shutil.copytree(source, copy, symlinks=True)
        backend = wrap(copy)
        plain, plain_text = _outcome(source, folder / "plain-wheel", limit)
        enforced, text = _outcome(copy, folder / "enforced-wheel", limit)
        wheels = sorted((folder / "enforced-wheel").glob("*.whl"))
        if wheels:
            enforced = Outcome(**{**asdict(enforced), "used": try_out(project, wheels[0], folder / "use")})
        if keep:
            target = keep / project.requirement
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            (target / "plain.txt").write_text(plain_text, encoding="utf-8")
            (target / "enforced.txt").write_text(text, encoding="utf-8")
            for wheel in (folder / "enforced-wheel").glob("*"):
                shutil.copy2(wheel, target)
        return Row(project.requirement, backend, plain, enforced, _removed(text))


def read_rows(path: Path) -> List[Row]:
    """The rows kept in *path*."""
    rows = []
    for body in json.loads(path.read_text(encoding="utf-8")):
        plain, enforced = Outcome(**body.pop("plain")), Outcome(**body.pop("enforced"))
        rows.append(Row(**{**body, "removed": tuple(body["removed"])}, plain=plain, enforced=enforced))
    return rows


def _cell(outcome: Outcome) -> str:
    features = ", ".join(f"{name} {count}" for name, count in sorted(outcome.features.items(), key=lambda x: -x[1])[:5])
    parts = [outcome.verdict, f"({features})" if features else "", outcome.note]
    parts.append(f"- used: {outcome.used}" if outcome.used else "")
    return " ".join(part for part in parts if part).replace("|", "\\|")


def table(rows: List[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| sdist | backend | built plainly | through baseline-build | removed |", "|---|---|---|---|---|"]
    for row in rows:
        removed = ", ".join(f"`{flag}`" for flag in row.removed) or "nothing"
        lines.append(f"| {row.project} | {row.backend} | {_cell(row.plain)} | {_cell(row.enforced)} | {removed} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Build all, print the table and write the data; 1 when a wheel with a violation came out of an enforced build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("projects", nargs="*", metavar="NAME==VERSION", help="all by default")
    parser.add_argument("--data", type=Path, help="write the rows as JSON; rows of other projects in it are kept")
    parser.add_argument("--keep", type=Path, help="keep wheels, reports and logs of the enforced builds here")
    parser.add_argument("--limit", type=float, default=900, help="seconds for each build (900)")
    chosen = parser.parse_args()
    rows = {row.project: row for row in (read_rows(chosen.data) if chosen.data and chosen.data.is_file() else [])}
    known = {project.requirement: project for project in PROJECTS}
    for requirement in chosen.projects or known:
        try:
            rows[requirement] = examine(known.get(requirement, Project(requirement, "")), chosen.limit, chosen.keep)
        except LookupError as error:
            print(f"{error}", flush=True)
            continue
        print(table([rows[requirement]]).splitlines()[-1], flush=True)
        if chosen.data:
            body = json.dumps([asdict(row) for row in rows.values()], indent=1)
            chosen.data.write_text(body + "\n", encoding="utf-8")
    return 1 if any(row.enforced.verdict == "violation" for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
