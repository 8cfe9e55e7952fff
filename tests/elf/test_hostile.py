"""Damaged and hostile files: one kind of error, bounded time and memory, nothing else."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from contextlib import closing
from pathlib import Path
from typing import List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baseline_build import elf
from baseline_build.elf import archive, lines, marker
from baseline_build.errors import BrokenInputError
from baseline_build.scan.code import decode_image
from tests.elf import samples

HEADER, SECONDS, MEGABYTES = 64, 20.0, 400


@pytest.fixture(scope="module")
def victims(samples_folder: Path) -> List[bytes]:
    files = [
        samples.built(samples_folder, "gcc", "bfd", "shared"),
        samples.built(samples_folder, "gcc", "mold", "pie", ("-O2", "-Wl,-z,pack-relative-relocs")),
        samples.stripped(samples.built(samples_folder, "gcc", "lld", "shared")),
    ]
    place = samples_folder / "victim.c"
    place.write_text(samples.SOURCE)
    samples.run("gcc", "-c", "-O2", "-ffunction-sections", str(place), "-o", str(samples_folder / "victim.o"))
    debug = ("-g", "-gz", "-ffunction-sections", "-fdebug-types-section")
    samples.run("gcc", "-c", *debug, str(place), "-o", str(samples_folder / "debug.o"))
    return [path.read_bytes() for path in [*files, samples_folder / "victim.o", samples_folder / "debug.o"]]


def read_everything(raw: bytes) -> None:
    """Parse and decode; only the one kind of error is allowed."""
    problem = None
    try:
        image = elf.parse(raw, "victim")
        marker.cleared(raw, "x86-64")
    except BrokenInputError as error:
        problem = error
    if problem is not None:
        assert problem.code.startswith("BB4")
        assert problem.where
        assert problem.fix
        return
    for function in image.functions[:50]:
        image.label(function.address)
        image.read(function.address, 64)
    if image.kind == "object" and lines.available(image):
        read_lines(image)
    decode_image(image)


def read_lines(image: elf.Image) -> None:
    """Look the functions of an object up in its debug information; only the one kind of error is allowed."""
    try:
        with closing(lines.Lines(image)) as reader:
            for function in image.functions[:50]:
                reader.locate(function.address)
    except BrokenInputError as error:
        assert error.code in ("BB402", "BB404", "BB409")  # noqa: PT017
        assert error.fix  # noqa: PT017


mutations = st.lists(
    st.tuples(
        st.one_of(st.integers(0, HEADER + 16 * 56), st.floats(0, 1)),
        st.sampled_from([1, 2, 4, 8]),
        st.one_of(
            st.sampled_from([0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1, 2**40, 2**47]),
            st.integers(0, 2**64 - 1),
        ),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(which=st.integers(0, 4), changes=mutations, cut=st.one_of(st.none(), st.floats(0, 1)))
def test_mutated_files_only_raise_broken_input(victims: List[bytes], which: int, changes, cut) -> None:
    raw = bytearray(victims[which])
    for place, width, value in changes:
        at = int(place * (len(raw) - width)) if isinstance(place, float) else min(place, len(raw) - width)
        raw[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    if cut is not None:
        raw = raw[: int(cut * len(raw))]
    started = time.perf_counter()
    tracemalloc.start()
    try:
        read_everything(bytes(raw))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEGABYTES << 20
    assert time.perf_counter() - started < SECONDS


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    tail=st.binary(max_size=600),
    start=st.sampled_from([b"\x7fELF\x02\x01\x01", b"\x7fELF\x01\x02\x01", b"!<arch>\n", b""]),
)
def test_random_bytes_only_raise_broken_input(tail: bytes, start: bytes) -> None:
    raw = start + tail
    with pytest.raises(BrokenInputError):
        elf.parse(raw, "random")
    if raw != archive.MAGIC:
        with pytest.raises(BrokenInputError) as caught:
            list(archive.members(raw, "random"))
        assert caught.value.code == "BB407"


def patched(raw: bytes, *changes: tuple[int, str, int]) -> bytes:
    changed = bytearray(raw)
    for offset, layout, value in changes:
        struct.pack_into("<" + layout, changed, offset, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (((0, "B", 0),), "BB401"),
        (((4, "B", 9),), "BB403"),
        (((5, "B", 7),), "BB403"),
        (((6, "B", 2),), "BB403"),
        (((16, "H", 4),), "BB405"),
        (((32, "Q", 1 << 62),), "BB402"),
        (((40, "Q", 1 << 62),), "BB402"),
        (((54, "H", 1),), "BB403"),
        (((58, "H", 1),), "BB403"),
        (((62, "H", 60000),), "BB403"),
        (((56, "H", 65534),), "BB402"),
    ],
)
def test_each_broken_header_field_has_its_error(victims: List[bytes], changes, code: str) -> None:
    with pytest.raises(BrokenInputError) as caught:
        elf.parse(patched(victims[0], *changes), "victim")
    assert caught.value.code == code


def test_overlapping_executable_segments_are_refused(victims: List[bytes]) -> None:
    """Segments that share bytes would let a small file claim endless code."""
    raw = victims[0]
    image = elf.parse(raw, "victim")
    position = next(i for i, s in enumerate(image.segments) if s.type == 1 and s.executable)
    data = next(i for i, s in enumerate(image.segments) if s.type == 1 and not s.executable and s.writable)
    code = bytes(raw[HEADER + 56 * position : HEADER + 56 * (position + 1)])
    twice = bytearray(raw)
    twice[HEADER + 56 * data : HEADER + 56 * (data + 1)] = code
    with pytest.raises(BrokenInputError) as caught:
        elf.parse(bytes(twice), "twice")
    assert caught.value.code == "BB403"


def test_a_small_object_cannot_expand_without_end(victims: List[bytes]) -> None:
    """A section of 256 KiB that expands to 256 MiB, whatever its header says of it."""
    raw = victims[4]
    section = next(s for s in elf.parse(raw, "bomb").sections if s.name == ".debug_info")
    bomb = zlib.compress(bytes(256 << 20))
    header = struct.unpack_from("<Q", raw, 40)[0] + 64 * section.index
    for claimed, said in ((1 << 30, "more than the 128 MiB"), (1000, "its header says 1000")):
        changed = bytearray(raw) + struct.pack("<IIQQ", 1, 0, claimed, 1) + bomb
        struct.pack_into("<QQ", changed, header + 24, len(raw), 24 + len(bomb))
        image = elf.parse(bytes(changed), "bomb")
        tracemalloc.start()
        try:
            with pytest.raises(BrokenInputError) as caught:
                lines.Lines(image)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert caught.value.code == "BB409"
        assert said in caught.value.what
        assert peak < 32 << 20


def test_a_bitmap_cannot_multiply_relocations_without_end() -> None:
    """8 MiB of packed relative relocations stand for half a billion words; the reader stops long before."""
    bitmap = (0x2000).to_bytes(8, "little") + b"\xff" * (8 << 20)
    size = 0x1000 + len(bitmap)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01" + bytes(9), 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, size, size, 4096)
    dynamic = struct.pack("<IIQQQQQQ", 2, 6, 0x200, 0x200, 0, 48, 48, 8)
    tags = struct.pack("<QQQQQQ", 36, 0x1000, 35, len(bitmap), 0, 0)
    raw = (header + load + dynamic).ljust(0x200, b"\0") + tags
    with pytest.raises(BrokenInputError) as caught:
        elf.parse(raw.ljust(0x1000, b"\0") + bitmap, "bitmap")
    assert caught.value.code == "BB404"
