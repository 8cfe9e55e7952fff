"""Unwind records: the same functions pyelftools finds, a thousand times faster."""

from __future__ import annotations

import struct
import sys
import time
from pathlib import Path

import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile

from baseline_build import elf
from baseline_build.elf.frames import Frames
from baseline_build.elf.reading import Window
from baseline_build.errors import BrokenInputError
from tests.elf import samples


@pytest.mark.parametrize("linker", list(samples.LINKERS))
def test_the_same_records_as_pyelftools(samples_folder: Path, linker: str) -> None:
    path = samples.built(samples_folder, "gcc", linker, "static")
    with path.open("rb") as stream:
        entries = ELFFile(stream).get_dwarf_info().EH_CFI_entries()
    expected = {(e["initial_location"], e["address_range"]) for e in entries if isinstance(e, FDE)}
    image = elf.parse(path.read_bytes(), path.name)
    section = next(s for s in image.sections if s.name == ".eh_frame")
    found = Frames(Window(image.data, path.name), 64).walk(section.offset, section.size, section.address)
    assert set(found) == expected
    assert len(found) > 1000


def test_a_hundred_thousand_records_in_a_moment() -> None:
    common = bytes.fromhex("1400000000000000017a5200017810011b0c070890010000")
    records = bytearray(common)
    count = 125_000
    for number in range(count):
        at = len(records)
        records += struct.pack("<IIiII", 16, at + 4, number * 16 - at, 16, 0)
    records += bytes(4)
    frames = Frames(Window(bytes(records), "many"), 64)
    started = time.perf_counter()
    found = frames.walk(0, len(records), 0x1000)
    elapsed = time.perf_counter() - started
    assert len(found) == count
    assert found[1] == (0x1000 + 8 + 16, 16)
    # Measured at 0.1 to 0.2 s; the bound is generous for loaded machines and slower interpreters.
    assert elapsed < 3, f"{elapsed:.2f} s under {sys.implementation.name}"


@pytest.mark.parametrize(
    "broken",
    [
        "ff000000" + "00" * 20,  # longer than the table
        "1000000000000000017a5200017810011b0c0708" + "10000000" + "ffffff7f" + "00" * 12,  # refers to nowhere
        "0100000000000000",  # too short to be a record
    ],
)
def test_broken_records_are_refused(broken: str) -> None:
    raw = bytes.fromhex(broken)
    with pytest.raises(BrokenInputError):
        Frames(Window(raw, "broken"), 64).walk(0, len(raw), 0)
