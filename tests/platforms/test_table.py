"""The table says what was tried, what came of it, and nothing more."""

from __future__ import annotations

from tests.platforms.cells import PYTHONS, ROWS, cells, chosen
from tests.platforms.results import TABLE, Result, Run, read, render


def test_the_kept_table_is_the_kept_results() -> None:
    assert TABLE.read_text(encoding="utf-8") == render(read())


def test_every_cell_has_a_run_or_a_reason() -> None:
    text = TABLE.read_text(encoding="utf-8")
    for cell in cells():
        lines = [line for line in text.splitlines() if line.startswith(f"- **{cell}**")]
        assert len(lines) == 1
        assert str(cell) in read() or "not run: " in lines[0]


def test_no_result_claims_more_than_it_has() -> None:
    for name, result in read().items():
        assert result.cell == name
        if result.trouble:
            assert not result.runs
        else:
            assert result.verdict == "clean", name
            assert result.runs, name
            machine, libc = name.split("-")[1:3]
            assert f"_{machine}.whl" in result.repaired
            assert ("musllinux" if libc == "musl" else "manylinux") in result.repaired


def test_what_is_not_tried_is_not_claimed() -> None:
    text = render({})
    assert text.count("not tried") + text.count("not here, see below") == len(ROWS) * len(PYTHONS)
    failed = Result("cp39-x86_64-gnu-zig", wheel="a-1-cp39-abi3-linux_x86_64.whl", trouble="BB540: broke", made="now")
    assert "| failed |" in render({failed.cell: failed})
    half = Result(
        "cp39-x86_64-gnu-zig",
        wheel="a-1-cp39-abi3-linux_x86_64.whl",
        repaired="a-1-cp39-abi3-manylinux_2_17_x86_64.whl",
        verdict="clean",
        runs=(Run("here", "all", True), Run("there", "all", False)),
        made="now",
    )
    assert "manylinux_2_17_x86_64, clean, 1 of 2 runs" in render({half.cell: half})
    assert "FAILED on there" in render({half.cell: half})


def test_a_part_is_told_as_a_part() -> None:
    name = "cp311-x86_64-musl-gcc"
    built = Result(
        name,
        wheel="a-1-cp39-abi3-linux_x86_64.whl",
        repaired="a-1-cp39-abi3-musllinux_1_2_x86_64.whl",
        verdict="clean",
        runs=(Run("here", "database", True),),
        made="now",
    )
    text = render({name: built})
    assert "| cp39-abi3-musllinux_1_2_x86_64, the extension alone, clean, 1 of 1 runs |" in text
    assert "(the extension alone: musl-gcc has no C++ library)" in text


def test_what_takes_an_hour_is_tried_only_when_asked_for() -> None:
    (cell,) = chosen(("cp313-aarch64-gnu-gcc",))
    assert (cell.obstacle, "asked for by name only" in cell.patience) == ("", True)
    assert "the C++ compiler itself is emulated" in render({})


def test_cells_are_chosen_by_words() -> None:
    assert {str(cell) for cell in chosen(("cp311", "gcc-cross"))} == {"cp311-aarch64-gnu-gcc-cross"}
    assert len(chosen(())) == len(ROWS) * len(PYTHONS)
    assert chosen(("cp27",)) == ()
