"""The features of the tables against GNU as: with a row's features an instruction assembles, without them it does not.

Bytes made from each row, and those of real code, go through objdump, and its text back through ``as`` under
``.arch generic64`` plus features. This knows nothing of the tool the tables come from.
"""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from baseline_build.decode.x86.rows import Index

from ..tools import require_tool
from . import assembling
from .assembling import Statement
from .differential import collect
from .synthesis import encoded


def of_rows() -> List[Statement]:
    """The rows of 64-bit mode that objdump can show."""
    index = Index()
    rows, codes = [], []
    for place in index.places():
        for row in index.get(*place):
            code = encoded(place, row, 64) if row.mode != 32 and place[0] not in ("mvex", "rex2") else None
            if code is not None and not assembling.UNKNOWN_TO_GAS.intersection(row.features):
                rows.append(row)
                codes.append(code)
    # The padding as an immediate is out of range for what takes it as signed.
    return [
        Statement(row.mnemonic, frozenset(row.features), text)
        for row, text in zip(rows, assembling.shown(codes))
        if "(bad)" not in text and "$0x90909090" not in text
    ]


@pytest.mark.build
def test_features_are_the_assemblers(tmp_path: Path) -> None:
    found = of_rows()
    assert len(found) > 2500
    wrong = list(assembling.wrong(found, tmp_path))
    assert not wrong, f"{len(wrong)} of {len(found)}\n" + "\n".join(wrong)


@pytest.mark.build
def test_features_of_real_code_are_the_assemblers(tmp_path: Path) -> None:
    """Every encoding of the libraries of C and OpenSSL above the baseline, and every tenth of the others."""
    paths = [path for name in ("libc.so.6", "libcrypto.so.3") for path in Path("/usr").glob(f"lib*/**/{name}")]
    encodings = sorted(collect(paths, 1 << 30, require_tool("cc", "gcc", "clang")).encodings())
    chosen = [one for number, one in enumerate(encodings) if one.requirement or number % 10 == 0]
    found = assembling.of_encodings(chosen)
    assert sum(not one.features <= assembling.LOWEST for one in found) > 1000
    wrong = list(assembling.wrong(found, tmp_path))
    assert not wrong, f"{len(wrong)} of {len(found)}\n" + "\n".join(wrong[:40])
