"""The console script ``flatc``: becomes the compiler that lies inside the package."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

CANNOT_RUN = 126
NOT_FOUND = 127


def flatc_path() -> Path:
    """The compiler's file. It exists in every built wheel, not in a bare source tree."""
    return Path(__file__).with_name("_bin") / ("flatc.exe" if os.name == "nt" else "flatc")


def main() -> NoReturn:
    """Run the compiler with this process's arguments; its exit status is ours.

    Where it cannot be started the status is 126, where it is missing 127, as in POSIX shells.
    """
    path = flatc_path()
    if not path.is_file():
        sys.stderr.write(f"flatc: {path} does not exist; install example-pkg from a wheel\n")
        sys.exit(NOT_FOUND)
    command = [str(path), *sys.argv[1:]]
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if os.name == "posix":
            _restore_signals()
            os.execv(command[0], command)  # noqa: S606 - the point: no shell, no process in between
        status = subprocess.run(command, check=False).returncode
    except OSError as error:
        sys.stderr.write(f"flatc: cannot start {path}: {error.strerror}\n")
        sys.exit(CANNOT_RUN)
    sys.exit(status)


def _restore_signals() -> None:
    """Python ignores some signals, and a program inherits that: ``flatc … | head`` would not end."""
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
