"""The marker of the corpus' quick part."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "corpus_slice: the wheels of the corpus that fit into a few minutes")
