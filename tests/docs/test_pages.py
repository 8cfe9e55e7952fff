"""What the documentation tells people to do, done word for word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest

from tests.conftest import ROOT, Installed
from tests.docs.given import give
from tests.docs.pages import Step, commands, consoles, matches, steps
from tests.repair.wheels import x86_only
from tests.tools import require_tool

DOCS = ROOT / "docs"


def follow(step: Step, folder: Path, environ: Dict[str, str]) -> None:
    if step.kind == "file":
        (folder / step.argument).parent.mkdir(parents=True, exist_ok=True)
        (folder / step.argument).write_text(step.text)
        return
    if step.kind == "edit":
        old, new = step.text.split("\0")
        path = folder / step.argument
        assert old in path.read_text(), f"{step.argument} has no {old!r}"
        path.write_text(path.read_text().replace(old, new, 1))
        return
    if step.kind == "given":
        give(step.argument, folder)
        return
    block = commands(step.text)
    for number, (command, expected) in enumerate(block, 1):
        result = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        must_fail = step.kind == "fail" and number == len(block)
        assert (result.returncode != 0) == must_fail, f"$ {command}\n{result.stdout}"
        assert matches(expected, result.stdout), f"$ {command}\nexpected:\n{expected}\nprinted:\n{result.stdout}"


@pytest.mark.build
def test_tutorial_word_for_word(reader: Dict[str, str], tmp_path: Path) -> None:
    require_tool("gcc")
    todo = steps(DOCS / "tutorial" / "first-wheel.md")
    assert {step.kind for step in todo} == {"file", "edit", "run", "fail"}
    for step in todo:
        follow(step, tmp_path, reader)


@pytest.mark.build
def test_what_users_get_is_what_the_page_shows(installed: Installed, tmp_path: Path) -> None:
    environ = dict(os.environ, PATH=os.pathsep.join([str(installed.scripts), os.environ["PATH"]]))
    shown = [step for step in steps(DOCS / "explanation" / "native-binaries.md") if step.kind == "run"]
    assert shown
    for step in shown:
        follow(step, tmp_path, environ)


FOLLOWED = ("installation.md", "how-to/*.md", "reference/*.md", "explanation/enforcement.md")


SLOW = {"cross-with-zig": "platforms"}
"""Pages that take longer than the fast tier allows, and the tier that tries them."""


def followed() -> Iterator[Any]:
    """The pages that have something to run."""
    for pattern in FOLLOWED:
        for page in sorted(DOCS.glob(pattern)):
            if any(step.kind in {"run", "fail"} for step in steps(page)):
                marks = [getattr(pytest.mark, SLOW[page.stem])] if page.stem in SLOW else []
                yield pytest.param(page, id=page.stem, marks=marks)


@pytest.mark.build
@pytest.mark.parametrize("page", list(followed()))
def test_what_a_page_shows(page: Path, reader: Dict[str, str], tmp_path: Path) -> None:
    require_tool("gcc")
    for step in steps(page):
        follow(step, tmp_path, reader)


@pytest.mark.build
def test_the_python_interface_is_typed(tmp_path: Path) -> None:
    """A type checker sees through the lazy attributes of the package, in the program that the page shows."""
    (example,) = (step for step in steps(DOCS / "reference" / "python.md") if step.kind == "file")
    wrong = example.text.replace("wheel.verdict.value", "wheel.verdict.valeu")
    for name, text, status in (("right.py", example.text, 0), ("wrong.py", wrong, 1)):
        (tmp_path / name).write_text(text)
        command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", name]
        environ = dict(os.environ, MYPYPATH=str(ROOT))
        result = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
        assert result.returncode == status, result.stdout + result.stderr
        assert ('"Verdict" has no attribute "valeu"' in result.stdout) is (status == 1)


PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def test_every_console_block_is_run_somewhere() -> None:
    tried = {parameter.values[0] for parameter in followed()}
    tried |= {DOCS / "tutorial" / "first-wheel.md", DOCS / "explanation" / "native-binaries.md", ROOT / "README.md"}
    for page in PAGES:
        marked = [(kind, argument) for kind, argument, _ in consoles(page)]
        assert {kind for kind, _ in marked} <= {"run", "fail", "elsewhere"}, page
        run = [kind for kind, _ in marked if kind != "elsewhere"]
        assert run == [step.kind for step in steps(page) if step.kind in {"run", "fail"}], page
        assert not run or page in tried, page


def test_output_shown_elsewhere_is_compared_there() -> None:
    """A test that a block names runs its commands; it reads the page where the block shows what they print."""
    for page in PAGES:
        for kind, argument, text in consoles(page):
            if kind != "elsewhere":
                continue
            test = (ROOT / argument).read_text(encoding="utf-8")
            if any(output for _, output in commands(text)):
                assert f'shown("{page.name}")' in test, page


def visible(text: str) -> str:
    """*text* without comments and code blocks."""
    return re.sub(r"<!--.*?-->|^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def test_the_reader_sees_which_file_a_block_belongs_to() -> None:
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"<!-- file: (\S+) -->", text):
            assert visible(text[: match.start()]).rstrip().endswith(f"`{match.group(1)}`:"), (page, match.group(1))
        for match in re.finditer(r"<!-- edit: (\S+) .*-->\n```", text):
            paragraph = visible(text[: match.start()]).rstrip().rpartition("\n\n")[2]
            assert f"`{match.group(1)}`" in paragraph, (page, match.group(1))


@pytest.mark.build
def test_the_readme_word_for_word(example_wheel: Path, tmp_path: Path) -> None:
    """With a new environment and what its first command writes, ``dist``: see ``example_wheel``."""
    x86_only()
    (tmp_path / "dist").mkdir()
    shutil.copy(example_wheel, tmp_path / "dist")
    give("baseline_build", tmp_path)
    venv.create(tmp_path / "venv", with_pip=True)
    environ = dict(os.environ, PATH=os.pathsep.join([str(tmp_path / "venv" / "bin"), os.environ["PATH"]]))
    todo = steps(ROOT / "README.md")
    assert [step.kind for step in todo] == ["run", "run"]
    for step in todo:
        follow(step, tmp_path, environ)


def test_the_architecture_page_names_every_room() -> None:
    text = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    package = ROOT / "baseline_build"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")} | {path.stem for path in package.glob("*.py")}
    assert named == rooms - {"__init__", "__main__", "setup"}


def test_generated_pages_are_current() -> None:
    command = [sys.executable, str(DOCS / "generate.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_every_code_raised_has_an_explanation() -> None:
    known = {path.stem for path in (ROOT / "baseline_build" / "codes").glob("BB*.txt")}
    used = set()
    for path in (ROOT / "baseline_build").rglob("*.py"):
        used |= set(re.findall(r'"(BB\d{3})\b', path.read_text(encoding="utf-8")))
    assert used - known == set()
    assert known - used == set()


def test_documentation_builds_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("sphinx") if not os.environ.get("CI") else __import__("sphinx")
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-b", "html", str(DOCS), str(tmp_path / "html")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
