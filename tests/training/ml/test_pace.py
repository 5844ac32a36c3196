"""How long the rest of a search takes."""

from __future__ import annotations

import pytest

from training.ml.pace import Span, seconds_left


@pytest.mark.parametrize(
    ("spent", "rest", "left"),
    [
        ({"a": [], "b": []}, 20, None),
        ({"a": [(0, 3)], "b": []}, 19, 9 * 3 + 10 * 3),
        ({"a": [(0, 3)], "b": [(3, 4)]}, 18, 9 * 3 + 9 * 1),
        ({"a": [(0, 4), (0, 4), (4, 8), (4, 8)]}, 6, 6 * 2),  # two workers
        ({"a": [(0, 2), (1_000, 1_002)]}, 8, 8 * 2),  # a pause between two attempts
        ({"a": [(0, 9), *((9 + n, 10 + n) for n in range(10))]}, 0, 0),
        ({"a": [(0, 2)] * 1}, 29, 9 * 2 + 20 * 2),  # more than the types' own
    ],
)
def test_the_pace_of_what_is_done_tells_of_the_rest(
    spent: dict[str, list[Span]], rest: int, left: float | None
) -> None:
    assert seconds_left(spent, 10, rest=rest) == left
