"""Numbers side by side in a file are in the file's byte order, whatever this machine's is."""

from __future__ import annotations

import pytest

from baseline_build.elf.reading import words_of


@pytest.mark.parametrize(
    ("size", "order", "expected"),
    [
        (4, "<", [0x04030201, 0x08070605]),
        (4, ">", [0x01020304, 0x05060708]),
        (8, "<", [0x0807060504030201]),
        (8, ">", [0x0102030405060708]),
    ],
)
@pytest.mark.parametrize("rest", [b"", b"\xff\xff\xff"])
def test_words_are_in_the_files_order(size: int, order: str, expected: list[int], rest: bytes) -> None:
    data = bytes(range(1, 9)) + rest
    assert words_of(data, size, order).tolist() == expected
    assert words_of(memoryview(data), size, order).tolist() == expected
    assert words_of(b"", size, order).tolist() == []
