"""What people do wrong, and the one message each of it gets: exact text, exact exit status, no traceback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from baseline_build.report import FORMATS
from tests.tools import missing, require_tool

from .conftest import BOMB, PURE_WHEEL, ROOT, Call

PYTHON = os.path.realpath(sys.executable)
NO_INDEX = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": "/dev/null"}
NO_WHEEL = """\
  why: It is something else.
  fix: Name a wheel, an ELF file (.so, executable, .o), a static archive (.a), or a folder with such files.
"""
PURE = "pure-1.0-py3-none-any.whl"
LEVELS = (
    "Known: auto, i686, x86-64, x86-64-v2, x86-64-v3, x86-64-v4, armv8-a, armv8.1-a, armv8.2-a, armv8.3-a, armv8.4-a, "
    "armv8.5-a, armv8.6-a, armv8.7-a, armv8.8-a, armv8.9-a, armv9-a, armv9.1-a, armv9.2-a, armv9.3-a, armv9.4-a\n"
)

CASES: Dict[str, Tuple[List[str], int, str]] = {
    "misspelt command": (["scna", PURE], 2, "BB250: the command 'scna' is unknown\n  fix: did you mean scan?\n"),
    "option without a command": (
        ["--frob"],
        2,
        (
            "BB250: the option --frob is unknown here\n"
            "  fix: choose one of scan, repair, run, explain, config, vendor, verify, mark, completion\n"
        ),
    ),
    "misspelt option": (
        ["scan", "--strcit", PURE],
        2,
        "BB250: the option --strcit is unknown\n  fix: did you mean --strict?\n",
    ),
    "misspelt format": (
        ["scan", "--format", "jsno", PURE],
        2,
        (
            "BB251: the format 'jsno' is unknown\n"
            "  fix: did you mean json? Known: text, json, sarif, github, markdown, html\n"
        ),
    ),
    "unknown level": (
        ["scan", "--level", "x86-64-v5", PURE],
        2,
        f"BB251: the level 'x86-64-v5' is unknown\n  fix: did you mean x86-64-v4? {LEVELS}",
    ),
    "option without its value": (
        ["scan", PURE, "--format"],
        2,
        "BB250: argument --format: expected one argument\n  fix: see: baseline-build scan --help\n",
    ),
    "nothing to scan": (
        ["scan"],
        2,
        "BB250: there is nothing to scan\n  fix: name a wheel, an ELF file or a folder: scan PATH\n",
    ),
    "missing file": (
        ["scan", "nothing.whl"],
        2,
        "BB252: nothing.whl: there is no such file or folder\n  fix: check the spelling of the path\n",
    ),
    "pattern without a match": (
        ["scan", "dist/*.whl"],
        2,
        "BB252: dist/*.whl: no file matches this pattern\n  fix: check the folder and the spelling\n",
    ),
    "an empty variable": (
        ["scan", ""],
        2,
        "BB252: an argument is empty\n  fix: check the variable that it comes from\n",
    ),
    "name of a package without a version": (
        ["scan", "numpy"],
        2,
        (
            "BB252: numpy: there is no such file or folder\n  fix: check the spelling; write numpy==VERSION for a "
            "package of the index, --installed numpy for what is here\n"
        ),
    ),
    "address of a download": (
        ["scan", "https://example.org/x.whl"],
        2,
        (
            "BB252: https://example.org/x.whl: there is no such file or folder\n  fix: download it first; nothing is "
            "fetched but a requirement with a version: NAME==VERSION\n"
        ),
    ),
    "link in a circle": (
        ["scan", "circle"],
        2,
        "BB252: circle: this symbolic link leads nowhere\n  fix: name the file itself, or make the link anew\n",
    ),
    "empty folder": (
        ["scan", "nothing"],
        2,
        "BB252: nothing: the folder is empty\n  fix: check that the build wrote its wheel there\n",
    ),
    "folder called like a wheel": (
        ["scan", "folder-1.0-py3-none-any.whl"],
        2,
        (
            "BB252: folder-1.0-py3-none-any.whl: the folder is empty\n"
            "  fix: check that the build wrote its wheel there\n"
        ),
    ),
    "pipe in place of a file": (
        ["scan", "pipe"],
        2,
        (
            "BB252: pipe: this is neither a file nor a folder\n"
            "  fix: pass what comes out of a pipe through stdin: baseline-build scan - < FILE\n"
        ),
    ),
    "a source distribution": (
        ["scan", "x-1.tar.gz"],
        4,
        (
            "BB401: x-1.tar.gz: this is no wheel, ELF file, static archive or folder: it starts with 1f 8b 08 00\n"
            + NO_WHEEL.replace(
                "It is something else.",
                "It is a compressed archive, as source distributions are: build a wheel of it first.",
            )
        ),
    ),
    "short name of a level": (
        ["scan", "--level", "v3", PURE],
        2,
        f"BB251: the level 'v3' is unknown\n  fix: did you mean x86-64-v3? {LEVELS}",
    ),
    "a wheel under another name": (
        ["scan", "u.whl"],
        4,
        (
            "BB443: u.whl: this is not the name of a wheel: Invalid wheel filename (wrong number of parts): 'u'\n"
            "  why: A wheel is called NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl (PEP 427).\n"
            "  fix: Give the file the name its builder gave it.\n"
        ),
    ),
    "zip bomb": (
        ["scan", "bomb-1.0-py3-none-any.whl"],
        4,
        (
            f"BB433: bomb-1.0-py3-none-any.whl!'x/a.so': {BOMB[0]} bytes unpack to {BOMB[1]}\n"
            "  why: No real wheel is like that; the archive was made to exhaust its readers.\n"
            "  fix: Build or download the wheel again.\n"
        ),
    ),
    "zip with a password": (
        ["scan", "secret-1.0-py3-none-any.whl"],
        4,
        (
            "BB437: secret-1.0-py3-none-any.whl!'x/a.so': the file is encrypted\n"
            "  why: No installer could read it either.\n"
            "  fix: Build or download the wheel again.\n"
        ),
    ),
    "name that leaves the folder": (
        ["scan", "dots-1.0-py3-none-any.whl"],
        4,
        (
            "BB434: dots-1.0-py3-none-any.whl!'../../evil.so': the name leaves the folder\n"
            "  why: Unpacking could write outside of the folder, or two readers disagree.\n"
            "  fix: Build or download the wheel again.\n"
        ),
    ),
    "a disk that cannot be read": (
        ["scan", "/proc/self/mem"],
        4,
        (
            "BB483: /proc/self/mem: the operating system refused: Input/output error\n"
            "  fix: try with another file or folder whether the disk or the network share is at fault\n"
        ),
    ),
    "text file": (
        ["scan", "notes.txt"],
        4,
        (
            "BB401: notes.txt: this is no wheel, ELF file, static archive or folder: it starts with 68 65 6c 6c\n"
            + NO_WHEEL
        ),
    ),
    "empty file": (
        ["scan", "empty.so"],
        4,
        f"BB401: empty.so: this is no wheel, ELF file, static archive or folder: it starts with nothing\n{NO_WHEEL}",
    ),
    "truncated library": (
        ["scan", "cut.so"],
        4,
        (
            "BB402: cut.so: the ELF header should lie at 0x10…0x40, the file ends at 0x25\n"
            "  why: The file is truncated, damaged, or was made to mislead its readers.\n"
            "  fix: Build or download the file again.\n"
        ),
    ),
    "empty wheel": (
        ["scan", "empty-1.0-py3-none-any.whl"],
        4,
        (
            "BB440: empty-1.0-py3-none-any.whl: no .dist-info folder\n"
            "  why: A wheel has exactly one, it says what the wheel is (PEP 427).\n"
            "  fix: Build the wheel again with a PEP 517 backend.\n"
        ),
    ),
    "truncated wheel": (
        ["scan", "cut-1.0-py3-none-any.whl"],
        4,
        (
            "BB430: cut-1.0-py3-none-any.whl: this is not a readable zip archive: File is not a zip file\n"
            "  why: The archive is truncated or damaged, or was made to mislead its readers.\n"
            "  fix: Build or download the wheel again.\n"
        ),
    ),
    "nothing on stdin": (
        ["scan", "-"],
        2,
        "BB252: -: nothing came through stdin\n  fix: write: baseline-build scan - < FILE\n",
    ),
    "not installed": (
        ["scan", "--installed", "nosuch"],
        2,
        (
            "BB225: nosuch: nosuch is not installed for this Python\n"
            "  fix: Check the spelling, and run the command with the environment's own Python.\n"
        ),
    ),
    "no network": (
        ["scan", "nosuch-thing==1"],
        5,
        (
            "BB255: nosuch-thing==1: the package index did not give a wheel for it\n"
            "  why: No matching distribution found for nosuch-thing==1\n"
            "  fix: check name and version; --platform asks for another machine's wheel\n"
        ),
    ),
    "report into a missing folder": (
        ["scan", PURE, "-o", "nowhere/report.json"],
        2,
        "BB259: nowhere/report.json: the folder for the report does not exist\n  fix: make it, or correct -o\n",
    ),
    "report into a folder": (
        ["scan", PURE, "-o", "nothing"],
        2,
        "BB259: nothing: this is a folder, not a file\n  fix: write: -o nothing/report.html\n",
    ),
    "report under an empty name": (
        ["scan", PURE, "-o", ""],
        2,
        "BB250: -o has no file name behind it\n  fix: write: -o FILE, or check the variable it is in\n",
    ),
    "misspelt setting": (
        ["config"],
        2,
        "BB201: pyproject.toml:8: there is no setting 'strcit'\n  fix: did you mean 'strict'?\n",
    ),
    "misspelt setting, seen by a scan": (
        ["scan", "--project", ".", PURE],
        2,
        "BB201: pyproject.toml:8: there is no setting 'strcit'\n  fix: did you mean 'strict'?\n",
    ),
    "setting without a value": (
        ["config", "-C", "strict"],
        2,
        "BB250: -C strict has no value\n  fix: write -C key=value\n",
    ),
    "no project": (
        ["config", "--project", "nowhere"],
        2,
        "BB252: nowhere: there is no pyproject.toml in this folder\n  fix: name the project's folder\n",
    ),
    "nothing to build": (
        ["verify", "nowhere"],
        2,
        ("BB252: nowhere: there is no project: neither pyproject.toml nor setup.py\n  fix: name its folder\n"),
    ),
    "repair of a text file": (
        ["repair", "notes.txt"],
        2,
        "BB523: notes.txt: only wheels can be repaired\n  fix: name a file that ends in .whl\n",
    ),
    "repair of a pure wheel": (
        ["repair", PURE],
        2,
        (f"BB522: {PURE}: there is nothing to repair: the wheel has no native code\n  fix: publish it as it is\n"),
    ),
    "repair of another system's wheel": (
        ["repair", "mac-1.0-cp311-cp311-macosx_11_0_arm64.whl"],
        3,
        (
            "BB521: mac-1.0-cp311-cp311-macosx_11_0_arm64.whl!mac/_x.so: the wheel did not pass: not everything could "
            "be looked at\n"
            "  why: mac/_x.so: BB133: this is a macOS program or library; only ELF files can be judged\n"
            "  fix: see all findings with: baseline-build scan mac-1.0-cp311-cp311-macosx_11_0_arm64.whl\n"
        ),
    ),
    "repair of nothing": (
        ["repair"],
        2,
        "BB250: the following arguments are required: WHEEL\n  fix: see: baseline-build repair --help\n",
    ),
    "proof without a command": (
        ["repair", PURE, "--prove", ""],
        2,
        "BB250: --prove needs a command\n  fix: for instance: --prove \"python -c 'import x'\"\n",
    ),
    "run without a command": (
        ["run", "--level", "x86-64"],
        2,
        ("BB250: the command to run is missing\n  fix: write it behind two dashes: run --level x86-64 -- COMMAND\n"),
    ),
    "run of a missing program": (
        ["run", "--", "nosuchprogram"],
        2,
        "BB253: nosuchprogram: there is no such command\n  fix: write it with its full path\n",
    ),
    "run of a file that is no program": (
        ["run", "--", "./notes.txt"],
        2,
        "BB253: ./notes.txt: this file may not be executed\n  fix: chmod +x, or name a program\n",
    ),
    "tag in place of a level": (
        ["run", "--level", "x86_64", "--", PYTHON],
        2,
        f"BB251: the level 'x86_64' is unknown\n  fix: did you mean x86-64? {LEVELS}",
    ),
    "unknown code": (
        ["explain", "BB999"],
        2,
        "BB257: there is no code BB999\n  fix: list all codes: baseline-build explain\n",
    ),
    "neither code nor address": (
        ["explain", "x"],
        2,
        (
            "BB257: 'x' is neither a code nor an address in a file\n"
            "  fix: write BB101, or FILE+0x1234, or WHEEL!MEMBER+0x1234\n"
        ),
    ),
    "address in a wheel without a file": (
        ["explain", f"{PURE}+0x10"],
        2,
        f"BB257: {PURE}: this is a wheel: which of its files is meant?\n  fix: write WHEEL!MEMBER+0x1234\n",
    ),
    "misspelt member": (
        ["explain", f"{PURE}!pure/__init.py+0x10"],
        2,
        f"BB257: {PURE} has no file pure/__init.py\n  fix: did you mean pure/__init__.py?\n",
    ),
    "misspelt action": (
        ["vendor", "snyc"],
        2,
        "BB251: the action 'snyc' is unknown\n  fix: did you mean sync? Known: sync, check, list\n",
    ),
    "unknown source": (
        ["vendor", "check", "nosuch"],
        2,
        "BB229: .: there is no pinned source 'nosuch'; known: none\n",
    ),
    "unknown shell": (
        ["completion", "tcsh"],
        2,
        "BB251: the shell 'tcsh' is unknown\n  fix: Known: bash, zsh, fish\n",
    ),
    "marking a text file": (
        ["mark", "notes.txt", "-w", "out"],
        4,
        (
            "BB401: notes.txt: this is no wheel, ELF file, static archive or folder: it starts with 68 65 6c 6c\n"
            + NO_WHEEL
        ),
    ),
}


def no_rights() -> List[str]:
    """How to call a program that may read and write no more than a usual user: root gives up what it has more."""
    if os.getuid() != 0:
        return []
    rights = "-dac_override,-dac_read_search"
    return [require_tool("setpriv"), f"--bounding-set={rights}", f"--inh-caps={rights}"]


@pytest.mark.parametrize("mistake", CASES)
def test_one_message(baseline: Call, mistakes: Path, mistake: str) -> None:
    arguments, status, message = CASES[mistake]
    before = sorted(mistakes.rglob("*"))
    said = baseline(*arguments, environ=NO_INDEX)
    assert (said.err, said.status) == (message, status)
    assert said.out == ""
    assert sorted(mistakes.rglob("*")) == before


def test_a_pure_wheel_is_no_mistake(baseline: Call, mistakes: Path) -> None:
    said = baseline("scan", PURE)
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(
        "runs on: any CPU, there is no native code\n  pure-1.0-py3-none-any.whl: not-applicable\n"
    )


def test_a_wheel_of_another_system(baseline: Call, mistakes: Path) -> None:
    said = baseline("scan", "mac-1.0-cp311-cp311-macosx_11_0_arm64.whl")
    assert said.status == 3
    assert said.out.startswith(
        "unknown: not everything could be looked at\n"
        "  because mac/_x.so: BB133: this is a macOS program or library; only ELF files\n  can be judged\n"
    )


def test_level_of_another_machine(baseline: Call) -> None:
    if os.uname().machine != "x86_64":
        missing("the running Python is not x86-64's")
    said = baseline("run", "--level", "armv8-a", "--", PYTHON, "-c", "1")
    assert (said.status, said.err) == (
        2,
        (
            "BB511: the program is for x86-64, but armv8-a is a level of aarch64\n"
            "  fix: choose one of x86-64, x86-64-v2, x86-64-v3\n"
        ),
    )
    said = baseline("run", "--level", "x86-64-v4", "--", PYTHON, "-c", "1")
    assert (said.status, said.err) == (
        2,
        (
            "BB510: no emulator can stand for x86-64-v4\n"
            "  why: qemu emulates no AVX-512, whatever CPU model it is given\n"
            "  fix: choose one of x86-64, x86-64-v2, x86-64-v3, or run it on a real CPU of that level\n"
        ),
    )


def test_no_emulator(baseline: Call) -> None:
    if os.uname().machine != "x86_64":
        missing("the running Python is not x86-64's")
    said = baseline("run", "--", PYTHON, "-c", "1", environ={"PATH": "/nonexistent"})
    assert (said.status, said.err) == (
        5,
        (
            "BB512: the emulator qemu-x86_64 is not installed\n"
            "  why: x86-64 is emulated by qemu's user mode\n"
            "  fix: install it: apt-get install qemu-user (Debian, Ubuntu), dnf install qemu-user (Fedora), apk add "
            "qemu-x86_64 (Alpine), pacman -S qemu-user (Arch)\n"
        ),
    )


def test_an_address_without_code(baseline: Call) -> None:
    said = baseline("explain", f"{PYTHON}+0x0")
    assert said.status == 2
    assert said.err.startswith(f"BB258: {PYTHON}+0x0: there is no code at 0x0\n  fix: code stands at 0x")


def test_bad_source_date_epoch(baseline: Call, tmp_path: Path) -> None:
    from tests.repair.wheels import PROGRAM, compile_file, make_wheel, x86_only

    x86_only()
    wheel = make_wheel(tmp_path, {"thing/tool": compile_file(tmp_path / "tool", PROGRAM.format(code=""))})
    said = baseline("repair", wheel.name, environ={"SOURCE_DATE_EPOCH": "yesterday"})
    assert said.status == 2
    assert said.err.startswith("BB221: SOURCE_DATE_EPOCH: SOURCE_DATE_EPOCH is 'yesterday'\n")
    assert not (tmp_path / "wheelhouse").exists()


def test_unreadable_file(baseline: Call, tmp_path: Path) -> None:
    secret = tmp_path / "secret.so"
    secret.write_bytes(b"\x7fELF")
    secret.chmod(0)
    (tmp_path / PURE).write_bytes(PURE_WHEEL)
    said = baseline("scan", "secret.so", PURE, prefix=no_rights())
    assert (said.status, said.err) == (
        4,
        "BB482: secret.so: access was refused (Permission denied)\n  fix: check the owner and the permissions\n",
    )
    # one bad input does not hide what the others hold
    assert said.out.startswith(f"runs on: any CPU, there is no native code\n  {PURE}: not-applicable\n")


def test_unreadable_folder_in_a_folder(baseline: Call, tmp_path: Path) -> None:
    """What lies in it would pass unseen."""
    (tmp_path / "tree" / "closed").mkdir(parents=True)
    (tmp_path / "tree" / "closed").chmod(0)
    said = baseline("scan", "tree", prefix=no_rights())
    assert (said.status, said.out, said.err) == (
        4,
        "",
        "BB482: tree/closed: access was refused (Permission denied)\n  fix: check the owner and the permissions\n",
    )


def test_folders_that_may_not_be_written(baseline: Call, tmp_path: Path) -> None:
    (tmp_path / PURE).write_bytes(PURE_WHEEL)
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0o555)
    said = baseline("scan", PURE, "-o", "locked/report.json", prefix=no_rights())
    assert (said.status, said.err) == (
        2,
        (
            "BB259: locked/report.json: the report cannot be written there (Permission denied)\n"
            "  fix: correct -o, or check the owner and the permissions of the folder\n"
        ),
    )
    if os.uname().machine != "x86_64":
        return
    from tests.repair.wheels import PROGRAM, compile_file, make_wheel

    wheel = make_wheel(tmp_path, {"thing/tool": compile_file(tmp_path / "tool", PROGRAM.format(code=""))})
    for folder in ("locked", "locked/below"):
        said = baseline("repair", wheel.name, "-w", folder, prefix=no_rights())
        assert (said.status, said.err) == (
            4,
            f"BB482: {folder}: access was refused (Permission denied)\n  fix: check the owner and the permissions\n",
        )


@pytest.mark.parametrize("kind", FORMATS)
def test_a_name_that_is_not_utf_8(tmp_path: Path, kind: str) -> None:
    name = b"odd\xff.so"
    shutil.copyfile(PYTHON, tmp_path / os.fsdecode(name))
    command = [sys.executable, "-m", "baseline_build", "scan", "--exit-zero", "--format", kind]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    for extra in ([], ["-o", "report"]):
        done = subprocess.run(
            [*map(os.fsencode, command), name, *map(os.fsencode, extra)], cwd=tmp_path, env=environ, capture_output=True
        )
        assert (done.returncode, done.stderr) == (0, b"")
    text = (tmp_path / "report").read_bytes()
    assert {"sarif": b"odd%FF.so"}.get(kind, b"odd\\udcff.so") in text.replace(b"\\\\", b"\\")


@pytest.mark.parametrize("where", ["stdout", "file"])
def test_no_space(mistakes: Path, where: str) -> None:
    if not Path("/dev/full").exists():
        missing("there is no /dev/full")
    command = [sys.executable, "-m", "baseline_build", "scan", PURE]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    if where == "stdout":
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                command, cwd=mistakes, env=environ, stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        expected = (5, "BB481: there is no space left on the disk\n  fix: free some space, or point TMPDIR elsewhere\n")
        assert (done.returncode, done.stderr) == expected
        return
    limit = f"ulimit -f 1; exec {' '.join(command)} --format html -o report.html"
    done = subprocess.run(["sh", "-c", limit], cwd=mistakes, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("BB483: ")
    assert "File too large" in done.stderr
    assert not list(mistakes.glob("*report*"))


def settled(process: subprocess.Popen[str], quiet: float) -> None:
    """Wait until *process* slept for *quiet* seconds: a fixed pause would hit it while it starts on a busy machine."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < quiet:
        state, *numbers = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        spent = int(numbers[10]) + int(numbers[11])  # utime and stime, proc(5)
        if state != "S" or spent != before:
            before, since = spent, time.monotonic()
        time.sleep(0.05)


def heed_interrupts() -> None:
    """Undo what a CI runner in the background hands down: there SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(command: list[str], folder: Path, ready: float) -> Tuple[int, str]:
    """Exit status and stderr of *command* after Ctrl-C, sent once it has waited for *ready* seconds."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdin=pipe, stderr=pipe, text=True, preexec_fn=heed_interrupts
    ) as process:
        settled(process, ready)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        err = process.stderr.read()
    return process.returncode, err


STOPPED = "BB254: interrupted\n  fix: run it again; nothing unfinished was left in an output folder\n"


def test_control_c_while_reading(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "baseline_build", "scan", "-"]
    assert interrupted(command, tmp_path, 2) == (130, STOPPED)


def test_control_c_while_running(tmp_path: Path) -> None:
    require_tool("qemu-x86_64", "qemu-x86_64-static")
    if os.uname().machine != "x86_64":
        missing("the running Python is not x86-64's")
    command = [sys.executable, "-m", "baseline_build", "run", "--", "sleep", "60"]
    started = time.monotonic()
    assert interrupted(command, tmp_path, 3) == (130, STOPPED)
    assert time.monotonic() - started < 30


def test_a_reader_that_goes_away(mistakes: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = f"{sys.executable} -m baseline_build explain | head -n 1"
    done = subprocess.run(["sh", "-c", line], cwd=mistakes, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    line = f"set -o pipefail; {sys.executable} -m baseline_build explain | head -n 1"
    done = subprocess.run(["bash", "-c", line], cwd=mistakes, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_an_unexpected_error_says_what_to_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from baseline_build import cli
    from baseline_build.cli import explain

    def broken(*_: object) -> int:
        raise KeyError("surprise")

    monkeypatch.setattr(explain, "main", broken)
    assert cli.main(["explain", "BB101"]) == 70
    said = capsys.readouterr().err
    assert said.startswith("BB900: test_mistakes.py:")
    assert ": unexpected KeyError: 'surprise'\n  why: this is a bug in baseline-build; nothing was proven" in said
    assert "  fix: run the same command with -v and report its output" in said
    assert "Traceback" not in said
    assert cli.main(["explain", "-v", "BB101"]) == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err
