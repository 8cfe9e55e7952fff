"""The HTML report in a browser: no complaint of axe-core, none on the console, nothing fetched, keyboard works."""

from __future__ import annotations

from pathlib import Path

import pytest

from baseline_build import report
from tests.browser import Browser

from .samples import CLEAN_FILE, GUARDED, UNPROVEN, VIOLATION, file_of, report_of

_FOCUS = "document.activeElement.tagName"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A report with a finding of every kind."""
    path = tmp_path / "page.html"
    path.write_text(
        report.render(report_of(file_of(VIOLATION, UNPROVEN, GUARDED), CLEAN_FILE), "html"), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_usable(browser: Browser, axe: str, page: Path, width: int, scheme: str) -> None:
    browser.look(width, scheme)
    browser.open(page)
    assert browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is (scheme == "dark")
    assert browser.violations(axe) == []
    assert browser.evaluate("document.documentElement.scrollWidth > innerWidth") is False
    assert (browser.complaints, browser.fetched) == ([], [])


def test_the_keyboard_reaches_and_opens_everything(browser: Browser, page: Path) -> None:
    browser.look(1200, "light")
    browser.open(page)
    reached = set()
    for _ in range(40):
        browser.press("Tab", 9)
        reached.add(browser.evaluate(_FOCUS))
        if browser.evaluate(_FOCUS) == "SUMMARY":
            before = browser.evaluate("document.activeElement.parentElement.open")
            browser.press("Enter", 13, "\r")
            browser.evaluate("new Promise(done => setTimeout(done, 50))")
            assert browser.evaluate("document.activeElement.parentElement.open") is not before
    assert {"A", "SUMMARY", "DIV"} <= reached
