"""How predictions are spread: scores, classes and values, beside the holdout and the window before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from monitoring.stats.answers import Answers
from monitoring.stats.followed import answered
from monitoring.stats.predicted import Predicted, Sides, predicted
from monitoring.stats.shape import Shape
from tests.monitoring.stats.followed import NAN

VALUE = Shape("regression")
THREE = Shape("classification", ("a", "b", "c"))
BINARY = Shape("classification", ("no", "yes"), "yes")


def counts(said: Any, shape: Shape, decision: Any = None) -> Any:
    n = len(said)
    return answered(Answers(said, [NAN] * n, decision or [None] * n, [False] * n, [NAN] * n, [None] * n), shape)


def values(now: Any, reference: Any = None, before: Any = ()) -> Predicted:
    sides = Sides(None if reference is None else counts(reference, VALUE), counts(before, VALUE), counts(now, VALUE))
    found = predicted("value", sides, VALUE)
    assert found is not None
    return found


def test_values_are_drawn_on_one_grid_and_each_side_sums_to_one() -> None:
    random = np.random.default_rng(0)
    found = values(random.normal(1000, 100, 5000).tolist(), random.normal(900, 100, 3000).tolist(), [950.0, 990.0])
    assert found.rows == 5000
    assert 12 <= len(found.pieces) <= 40
    for side in (found.reference, found.before, found.window):
        assert sum(side or []) == pytest.approx(1)
    assert found.window[0] < (found.reference or [])[0] <= 0.03  # beyond the middle 98 % of both
    assert (found.before or [])[-1] == 0


def test_shares_of_values_are_right_to_the_width_of_a_bin() -> None:
    random = np.random.default_rng(1)
    said = random.gamma(2, 400, 20_000)
    found = values(said.tolist())
    edges = [float(text.split(" to ")[0].replace(",", "")) for text in found.pieces[1:-1]]
    for low, high, share in zip(edges[:-1], edges[1:], found.window[1:-2], strict=True):
        assert share == pytest.approx(np.mean((said >= low) & (said < high)), abs=0.012)


def test_a_peak_at_nought_lies_where_it_belongs() -> None:
    found = values([0.0] * 500 + np.linspace(1, 100, 500).tolist())
    assert found.pieces[0] == "below 0"
    assert (found.window[0], found.window[1] > 0.5) == (0.0, True)
    with_losses = values([0.0] * 500 + np.linspace(-100, 100, 500).tolist())
    assert sum(with_losses.window) == pytest.approx(1)


def test_values_that_hardly_differ_are_shown_by_their_bins() -> None:
    found = values([42.0] * 300)
    assert len(found.pieces) == 3
    assert found.window == pytest.approx([0, 1, 0])
    low, high = (float(text) for text in found.pieces[1].split(" to "))
    assert low <= 42 < high <= low * (1 + 1 / 64) * 1.001


def test_few_classes_are_all_shown_and_many_by_size() -> None:
    sides = Sides(counts(["a", "b"], THREE), counts([], THREE), counts(["a", "a", "c", "x", None], THREE))
    found = predicted("class", sides, THREE)
    assert found is not None
    assert found.table == [("a", 0.5, None, 2 / 3), ("b", 0.5, None, 0.0), ("c", 0.0, None, 1 / 3)]
    many = Shape("classification", tuple(f"c{n}" for n in range(40)))
    said = [f"c{n}" for n in range(40) for _ in range(n + 1)]
    found = predicted("class", Sides(None, counts([], many), counts(said, many)), many)
    assert found is not None
    assert found.pieces == [*(f"c{n}" for n in range(29, 40)), "29 others"]
    assert sum(found.window) == pytest.approx(1)
    assert (found.reference, found.before) == (None, None)


def test_a_decision_counts_before_the_class_that_was_said() -> None:
    assert counts(["no", "no", "yes"], BINARY, [1, None, 0]).tolist() == [2, 1]


def test_nothing_answered_has_no_picture() -> None:
    assert predicted("value", Sides(counts([1.0], VALUE), counts([], VALUE), counts([None], VALUE)), VALUE) is None
    assert predicted("score", Sides(None, np.zeros(200, int), np.zeros(200, int)), BINARY) is None


def test_scores_lie_in_twenty_cells() -> None:
    now = np.zeros(200, dtype=np.int64)
    now[[0, 9, 10, 199]] = 1
    found = predicted("score", Sides(None, np.zeros(200, dtype=np.int64), now), BINARY)
    assert found is not None
    assert (found.window[0], found.window[1], found.window[-1]) == (0.5, 0.25, 0.25)
