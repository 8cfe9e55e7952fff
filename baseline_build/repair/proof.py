"""Install a wheel into a fresh environment and run a command with it on the emulated CPU of the promised level."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Sequence, Tuple

from .. import emulate
from ..errors import ToolError
from ..scan.model import Report, Verdict


def prove(wheel: Path, command: Sequence[str], report: Report, folder: Path) -> Tuple[str, ...]:
    """Run *command* with *wheel* installed; what limits the proof, one sentence each.

    The wheel's own requirements are installed as well, by pip with the user's settings.

    :param report: the scan of the wheel: it names the promised level.
    :param folder: does not exist yet; the environment is made there.
    :raises ViolationError: BB515, an instruction above the level was run.
    :raises ToolError: BB525, the environment could not be made, or the command failed for another reason.
    """
    folder = folder.absolute()
    _call([sys.executable, "-m", "venv", str(folder)], "no virtual environment could be made")
    scripts = folder / "bin"
    _call(
        [str(scripts / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)],
        f"{wheel.name} could not be installed",
    )
    promised = sorted(
        {f.promised for e in report.inputs for f in e.files if f.promised and f.verdict is not Verdict.NOT_APPLICABLE}
    )
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environ["PATH"] = f"{scripts}{os.pathsep}{environ.get('PATH', os.defpath)}"
    environ["VIRTUAL_ENV"] = str(folder)
    output = bytearray()
    outcome = emulate.run(
        command,
        promised[0] if len(promised) == 1 else None,
        environ=environ,
        cwd=folder,  # in the project's folder an import would find the sources instead of the wheel
        sink=output.extend,
        stdout=2,  # our own stdout tells the wheel's path, for scripts to read
    )
    if outcome.crash is not None:
        raise emulate.error_of(outcome.crash, outcome.level)
    if outcome.status != 0:
        words = output.decode("utf-8", "replace").strip().splitlines()
        raise ToolError(
            "BB525",
            f"the command failed with status {outcome.status} on the emulated {outcome.level}",
            where=" ".join(command),
            why=f"its last words: {words[-1]}" if words else "it said nothing on stderr",
            fix="run it without the emulator first; if it works there, report both outputs",
        )
    return outcome.notes


def _call(command: Sequence[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise ToolError("BB525", what, where=" ".join(command[:3]), why=words[-1] if words else None)
