"""The declared x86 level: read, cleared and set in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from baseline_build import elf
from baseline_build.elf import marker
from baseline_build.errors import ConfigError
from tests.elf import samples


@pytest.fixture
def marked(samples_folder: Path) -> Path:
    return samples.built(samples_folder, "gcc", "bfd", "pie", ("-O1", "-Wl,-z,x86-64-v2"))


def notes(path: Path) -> str:
    return samples.run("readelf", "-n", str(path))


def test_reading_agrees_with_readelf(marked: Path, samples_folder: Path) -> None:
    assert "x86-64-v2" in notes(marked)
    assert marker.needed(elf.parse(marked.read_bytes(), "marked")) == "x86-64-v2"
    plain = samples.built(samples_folder, "gcc", "lld", "pie")
    assert "ISA needed" not in notes(plain)
    assert marker.needed(elf.parse(plain.read_bytes(), "plain")) is None


def test_clearing_changes_nothing_but_the_mark(marked: Path, tmp_path: Path) -> None:
    raw = marked.read_bytes()
    cleared = marker.cleared(raw, "x86-64")
    assert len(cleared) == len(raw)
    assert sum(a != b for a, b in zip(raw, cleared)) == 1
    target = tmp_path / "cleared"
    target.write_bytes(cleared)
    target.chmod(0o755)
    assert "x86-64-v2" not in notes(target)
    assert marker.needed(elf.parse(cleared, "cleared")) == "x86-64"
    assert samples.run(str(target)) == samples.run(str(marked))


def test_clearing_down_to_a_level_and_setting(marked: Path) -> None:
    raised = marker.declared(marked.read_bytes(), "x86-64-v4")
    assert marker.needed(elf.parse(raised, "raised")) == "x86-64-v4"
    assert marker.needed(elf.parse(marker.cleared(raised, "x86-64-v3"), "lowered")) == "x86-64-v3"
    assert marker.cleared(marked.read_bytes(), "x86-64-v2") == marked.read_bytes()


def test_clearing_works_without_section_headers(marked: Path) -> None:
    bare = samples.without_headers(marked).read_bytes()
    assert marker.needed(elf.parse(bare, "bare")) == "x86-64-v2"
    assert marker.needed(elf.parse(marker.cleared(bare, "x86-64"), "bare")) == "x86-64"


def test_unknown_level_is_refused(marked: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        marker.cleared(marked.read_bytes(), "x86-64-v9")
    assert caught.value.code == "BB220"
