"""What a function tells its callers."""

from __future__ import annotations

import pytest

from baseline_build.scan.guard.results import Result
from baseline_build.scan.guard.state import STACK, State
from baseline_build.scan.guard.values import PLAIN, Value, constant

FLAG = Value({0: 0, 1: 2})


@pytest.mark.parametrize(
    ("handed", "left", "size", "told"),
    [
        (FLAG, FLAG, 4, False),
        (FLAG, Value({1: 2}), 4, False),
        (FLAG, Value({0: 0, 1: 4}), 4, True),
        (FLAG, Value({2: 2}), 4, True),
        (PLAIN, FLAG, 4, True),
        (FLAG, FLAG, 8, True),
        (FLAG, constant(1), 4, False),
    ],
    ids=["as it came", "one of it", "told of another", "another", "new", "wider", "nothing of the CPU"],
)
def test_an_argument_that_stands_as_it_came_is_no_result(handed: Value, left: Value, size: int, told: bool) -> None:
    result = Result(0)
    result.handed = {STACK: (4, handed)}
    result.exit = State()
    result.exit.memory[STACK] = (size, left)
    assert result.informative == told
    assert result.left_behind == (((STACK, left),) if told else ())
