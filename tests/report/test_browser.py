"""The HTML report in a browser: no complaint of axe-core, none on the console, nothing fetched, keyboard works."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import List

import pytest

from baseline_build import report
from tests.npm import npm_package
from tests.tools import require_tool

from .samples import CLEAN_FILE, GUARDED, UNPROVEN, VIOLATION, file_of, report_of

pytestmark = pytest.mark.long
CHECK = """
axe.run().then(result => {
  const focus = [...document.querySelectorAll('a[href], summary, [tabindex="0"]')].map(one => one.tagName);
  const wide = document.documentElement.scrollWidth > window.innerWidth;
  const found = {violations: result.violations.map(v => [v.id, v.nodes.map(n => n.html)]), passes: result.passes.length,
                 focus: focus, wide: wide, dark: matchMedia('(prefers-color-scheme: dark)').matches};
  document.body.textContent = 'FOUND' + btoa(JSON.stringify(found)) + 'END';
});
"""


@pytest.fixture(scope="session")
def axe(shared_cache: Path) -> str:
    """The text of axe-core, from the npm registry."""
    script = npm_package(shared_cache, "axe-core@4") / "axe.min.js"
    return script.read_text(encoding="utf-8").replace("</script>", "<\\/script>")


@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_chromium(axe: str, tmp_path: Path, width: int, scheme: str) -> None:
    import base64

    chromium = require_tool("chromium", "chromium-browser", "google-chrome")
    page = report.render(report_of(file_of(VIOLATION, UNPROVEN, GUARDED), CLEAN_FILE), "html")
    page = page.replace("</body>", f"<script>{axe}</script><script>{CHECK}</script></body>")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    options: List[str] = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    if os.getuid() == 0:
        options.append("--no-sandbox")
    done = subprocess.run(
        [chromium, "--headless", "--disable-gpu", "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND",
         f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", "--virtual-time-budget=30000",
         *options,
         "--dump-dom", f"file://{tmp_path / 'page.html'}"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    match = re.search(r"FOUND(.*?)END", done.stdout)
    assert match is not None, done.stderr
    found = json.loads(base64.b64decode(match.group(1)))
    assert found["violations"] == []
    assert found["passes"] > 10
    assert found["dark"] is (scheme == "dark")
    assert not found["wide"]
    assert {"A", "SUMMARY", "DIV"} <= set(found["focus"])
    assert "CONSOLE" not in done.stderr
