"""The documentation as its readers see it: wide and narrow, light and dark, without a network; no page complains."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Dict, List, Optional, Set, Tuple
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser import Browser
from tests.conftest import ROOT

DOCS = ROOT / "docs"
_WANTED = "document.querySelector('.search a[href*=dispatch-and-waivers]')"
_LOOK = f"const look = () => {_WANTED} || Date.now() > end ? done({_WANTED} !== null) : setTimeout(look, 50)"
_FOUND = f"done => {{ const end = Date.now() + 20000; {_LOOK}; look() }}"
PAGES = sorted(path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built documentation."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-b", "html", str(DOCS), str(folder)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_page(browser: Browser, axe: str, site: Path, page: str) -> None:
    for width, scheme in ((1400, "light"), (1400, "dark"), (400, "light"), (400, "dark")):
        browser.look(width, scheme)
        browser.open(site / f"{page}.html")
        assert browser.violations(axe) == [], (width, scheme)
        assert browser.evaluate("document.documentElement.scrollWidth > innerWidth") is False, (width, scheme)
        assert (browser.complaints, browser.fetched) == ([], [])


@pytest.mark.parametrize(("page", "query"), [("search", ""), ("search", "?q=waiver"), ("genindex", "")])
def test_what_the_theme_adds(browser: Browser, axe: str, site: Path, page: str, query: str) -> None:
    for width, scheme in ((1400, "light"), (400, "dark")):
        browser.look(width, scheme)
        browser.open(site / f"{page}.html", query)
        if query:
            browser.evaluate(f"new Promise({_FOUND})")
        assert browser.evaluate("document.querySelectorAll('h1').length") == 1
        assert browser.violations(axe) == [], (width, scheme)
        assert browser.evaluate("document.documentElement.scrollWidth > innerWidth") is False, (width, scheme)
        assert (browser.complaints, browser.fetched) == ([], [])


def test_search_works_without_a_network(browser: Browser, site: Path) -> None:
    browser.look(1400, "light")
    browser.open(site / "search.html", "?q=waiver")
    assert browser.evaluate(f"new Promise({_FOUND})") is True
    assert (browser.complaints, browser.fetched) == ([], [])


class _Links(HTMLParser):
    """The links and anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: List[str] = []
        self.anchors: Set[str] = set()

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        for name, value in attrs:
            if value and name in {"href", "src"} and tag in {"a", "img", "script", "link"}:
                self.links.append(value)
            elif value and name == "id":
                self.anchors.add(value)


def test_every_link_inside_leads_somewhere(site: Path) -> None:
    pages: Dict[Path, _Links] = {}
    for path in sorted(site.rglob("*.html")):
        pages[path] = _Links()
        pages[path].feed(path.read_text(encoding="utf-8"))
    dead: List[str] = []
    for path, found in pages.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                dead.append(f"{path.relative_to(site)}: {link}")
    assert dead == []
