"""The recipes for CI services: valid by the services' schemas, and their commands work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from tests.checkout import copy_checkout
from tests.conftest import ROOT
from tests.tools import missing, require_tool

from .given import give
from .pages import steps
from .test_pages import DOCS, follow

pytestmark = pytest.mark.build


def read(text: str) -> Any:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(text)


def test_each_cpython_that_the_metadata_admits_is_tried() -> None:
    """From ``requires-python`` on without a gap; the newest is the one that the page on native binaries names."""
    tomllib = pytest.importorskip("tomllib") if sys.version_info >= (3, 11) else pytest.importorskip("tomli")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    oldest = int(re.fullmatch(r">=3\.(\d+)", settings["project"]["requires-python"])[1])  # type: ignore[index]
    tried = [int(one) for one in re.findall(r"\bcp3(\d+)-\*", settings["tool"]["cibuildwheel"]["build"])]
    assert tried == list(range(oldest, tried[-1] + 1))
    page = (DOCS / "explanation" / "native-binaries.md").read_text(encoding="utf-8")
    assert f"`cp3{oldest}-abi3` wheel serves 3.{oldest} and every newer version" in page
    assert re.search(rf"up\s+to 3\.{tried[-1]}\.", page)
    tool = tomllib.loads((ROOT / "baseline_build" / "pyproject.toml").read_text(encoding="utf-8"))
    assert tool["project"]["requires-python"] == settings["project"]["requires-python"]


def test_the_recipe_for_cibuildwheel_is_ours() -> None:
    """The page's commands are this project's, which the cibuildwheel tier runs, but for where the tool comes from."""
    tomllib = pytest.importorskip("tomllib") if sys.version_info >= (3, 11) else pytest.importorskip("tomli")
    page = (DOCS / "how-to" / "cibuildwheel.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    told = tomllib.loads(recipe)["tool"]["cibuildwheel"]
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["cibuildwheel"]
    assert told["before-build"].replace("baseline-build[repair]", "{project}/baseline_build") == ours["before-build"]
    assert [one.replace("baseline-build", "./baseline_build") for one in told["linux"]["audit-requires"]] == ours[
        "linux"
    ]["audit-requires"]
    for name in ("repair-wheel-command", "audit-command"):
        assert told["linux"][name] == ours["linux"][name]


def run(lines: List[str], folder: Path, environ: Dict[str, str]) -> int:
    """Run *lines* as a runner does: one after the other in one shell, until the first that fails."""
    script = "\n".join(["set -eo pipefail", *lines])
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert "not found" not in done.stderr
    return done.returncode


def test_gitlab(reader: Dict[str, str], tmp_path: Path) -> None:
    require_tool("gcc")
    (snippet,) = (step for step in steps(DOCS / "how-to" / "gitlab.md") if step.kind == "file")
    (tmp_path / snippet.argument).write_text(snippet.text)
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", snippet.argument]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if "No module named check_jsonschema" in checked.stderr:
        missing("check-jsonschema is not installed")
    assert checked.returncode == 0, checked.stdout
    for step in steps(DOCS / "tutorial" / "first-wheel.md"):
        if step.kind == "file":
            follow(step, tmp_path, reader)
    jobs = read(snippet.text)
    assert run(jobs["wheel"]["script"], tmp_path, reader) == 0
    assert run(jobs["baseline"]["script"], tmp_path, reader) == 0
    assert (tmp_path / jobs["baseline"]["artifacts"]["paths"][0]).read_text().startswith("<!DOCTYPE html>")
    give("fastsum-1.0-cp39-abi3-linux_x86_64.whl", tmp_path / "dist")
    assert run(jobs["baseline"]["script"], tmp_path, reader) == 1


@pytest.mark.parametrize(
    ("wheel", "strict", "status"),
    [
        ("chooser-1.0-py3-none-linux_x86_64.whl", "false", 0),
        ("chooser-1.0-py3-none-linux_x86_64.whl", "true", 1),
        ("fastsum-1.0-cp39-abi3-linux_x86_64.whl", "false", 1),
    ],
)
def test_the_action_for_github(tmp_path: Path, wheel: str, strict: str, status: int) -> None:
    """The action's own script, as a runner calls it."""
    require_tool("gcc")
    action = read((ROOT / ".github" / "actions" / "scan" / "action.yml").read_text(encoding="utf-8"))
    (step,) = (step for step in action["runs"]["steps"] if step.get("name") == "Scan")
    give(wheel, tmp_path)
    place = copy_checkout(tmp_path / "checkout", ".github", "baseline_build") / ".github" / "actions" / "scan"
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environ.update(RUNNER_TEMP=str(tmp_path), ACTION_ROOT=str(place))
    environ.update(PATHS=wheel, LEVEL="auto", SARIF="report.sarif", STRICT=strict)
    environ["GITHUB_STEP_SUMMARY"] = str(tmp_path / "summary.md")
    done = subprocess.run(
        ["bash", "-c", step["run"]], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert '"version": "2.1.0"' in (tmp_path / "report.sarif").read_text()
    assert f"`{wheel}`" in (tmp_path / "summary.md").read_text()
    assert done.stdout.startswith("::")
