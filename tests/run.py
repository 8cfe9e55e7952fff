"""The one test command: makes its own environment, then runs the tier it is asked for.

``python3 tests/run.py``            the fast tier, what a contributor runs before every commit
``python3 tests/run.py check``      ruff, mypy --strict, import contract, workflows
``python3 tests/run.py corpus``     real wheels, downloaded by name and hash
``python3 tests/run.py fuzz``       differential and random tests, a slice of them
``python3 tests/run.py platforms``  the example project for other machines and interpreters: PyPy, cross gcc, zig, musl
``python3 tests/run.py cibuildwheel``   a real cibuildwheel run through podman (needs root and Debian's debootstrap)
``python3 tests/run.py long``       everything that takes many minutes

Further arguments go to pytest: ``python3 tests/run.py fast -k lmdb``. The environment is ``.venv-tests`` here,
or what ``BASELINE_BUILD_TEST_VENV`` names; it is made anew when ``tests/requirements.txt`` changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import List, Sequence

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "tests" / "requirements.txt"
HANGING = 900  # seconds after which a test of the fast tier says where it hangs, instead of the machine's time limit
SLOW = ("corpus", "fuzz", "platforms", "cibuildwheel", "long")
TIERS = ("fast", "check", *SLOW)


def _environment() -> Path:
    """The interpreter of the test environment, made or renewed where needed, with the compiled decoder up to date."""
    home = Path(os.environ.get("BASELINE_BUILD_TEST_VENV", ROOT / ".venv-tests"))
    # Two runs at once must not both make it.
    with Path(f"{home}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _made(home)


def _made(home: Path) -> Path:
    python = home / "bin" / "python"
    if _changed(home / "requirements.sha256", REQUIREMENTS):
        print(f"tests/run.py: making the test environment {home}", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
        _remember(home / "requirements.sha256", REQUIREMENTS)
    engine = sorted((ROOT / "baseline_build" / "decode").glob("_engine*.[cp]*"))
    sources = [path for path in engine if path.suffix in {".c", ".py"}]
    if _changed(home / "engine.sha256", *sources):
        command = [str(python), "-m", "baseline_build.decode._engine_build"]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            print("tests/run.py: no compiled decoder could be built; the portable one is used", file=sys.stderr)
        _remember(home / "engine.sha256", *sources)
    return python


def _digest(files: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in files) + sys.version.encode()).hexdigest()


def _changed(stamp: Path, *files: Path) -> bool:
    return not stamp.is_file() or stamp.read_text() != _digest(files)


def _remember(stamp: Path, *files: Path) -> None:
    stamp.write_text(_digest(files))


def _checks(python: Path) -> List[List[str]]:
    tool = str(python)
    workflows = [str(path) for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
    actions = [str(path) for path in sorted((ROOT / ".github" / "actions").glob("*/action.yml"))]
    return [
        [tool, "-m", "ruff", "check", "."],
        [tool, "-m", "ruff", "format", "--check", "."],
        [tool, "-m", "mypy", "--strict"],
        [str(python.with_name("lint-imports"))],
        [str(python.with_name("zizmor")), "-q", "--offline", "--persona", "pedantic", ".github"],
        [str(python.with_name("check-jsonschema")), "--builtin-schema", "vendor.github-workflows", *workflows],
        [str(python.with_name("check-jsonschema")), "--builtin-schema", "vendor.github-actions", *actions],
    ]


def _tests(python: Path, tier: str, extra: List[str]) -> List[str]:
    marker = " and ".join(f"not {name}" for name in SLOW) if tier == "fast" else tier
    if tier != "long" and tier != "fast":
        marker += " and not long"
    workers = [] if "-n" in extra or tier in {"platforms", "cibuildwheel"} else ["-n", "2", "--dist", "loadgroup"]
    limit = ["--timeout", str(HANGING)] if tier == "fast" else []
    return [str(python), "-m", "pytest", "-m", marker, *limit, *workers, *extra]


def main(arguments: List[str]) -> int:
    """Run one tier; the exit status is that of the first command that failed."""
    tier = arguments[0] if arguments and arguments[0] in TIERS else "fast"
    extra = arguments[1:] if arguments and arguments[0] in TIERS else arguments
    python = _environment()
    environ = dict(os.environ, PATH=os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]))
    commands = _checks(python) if tier == "check" else [_tests(python, tier, extra)]
    for command in commands:
        status = subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
