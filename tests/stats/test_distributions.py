"""What a reader sees of a feature adds up to all of it, on both sides."""

from __future__ import annotations

import doctest
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats import distributions
from mlops_site.stats.columns import Kind
from mlops_site.stats.distributions import CELLS, LEVELS, distribution
from mlops_site.stats.profile import Profile, profile, reference_bins

RANDOM = np.random.default_rng(5)


def both(reference: Sequence[object], window: Sequence[object], kind: Kind) -> tuple[Profile, Profile]:
    """Profiles of one column x, the window's first."""
    frame = pd.DataFrame({"x": reference})
    bins = reference_bins(frame, {"x": kind}, salt="x")
    return profile(pd.DataFrame({"x": window}), bins), profile(frame, bins)


@pytest.mark.parametrize(
    "values",
    [
        np.exp(RANDOM.normal(9, 1, 3000)).tolist(),
        RANDOM.poisson(40, 3000).astype(float).tolist(),
        RANDOM.poisson(2, 3000).astype(float).tolist(),
        [0.0] * 2000 + RANDOM.normal(5, 2, 1000).tolist(),
        [7.0] * 50,
    ],
    ids=["long tail", "many whole numbers", "few whole numbers", "mostly zero", "one value"],
)
def test_the_shares_of_a_number_sum_to_one(values: Sequence[object]) -> None:
    found = distribution(*both(values, [*values[:100], None, "text", 1e12, -1e12], "number"), "x")
    assert sum(found.reference) == pytest.approx(1)
    assert sum(found.window) == pytest.approx(1)
    assert min(found.reference + found.window) >= 0
    assert len(found.rows) <= CELLS + 6
    assert found.pieces[-2:] == ["missing", "unreadable"]


def test_a_shift_shows_where_it_went() -> None:
    values = RANDOM.normal(50, 10, 5000)
    found = distribution(*both(values.tolist(), (values + 20).tolist(), "number"), "x")
    halves = [sum(side[len(side) // 2 :]) for side in (found.reference, found.window)]
    assert halves[0] == pytest.approx(0.5, abs=0.1)
    assert halves[1] > 0.9


def test_cells_hold_what_their_edges_say() -> None:
    values = [float(n) for n in range(1, 1001)]
    found = distribution(*both(values, values, "number"), "x")
    shares = dict(zip(found.pieces, found.reference, strict=True))
    assert shares["101 to 150"] == pytest.approx(0.05, abs=0.002)


def test_few_values_have_a_piece_each() -> None:
    found = distribution(*both([0, 1, 1, 2], [0, 0, 2, 2], "number"), "x")
    assert found.rows == [("0", 0.25, 0.5), ("1", 0.5, 0.0), ("2", 0.25, 0.5)]


def test_rare_levels_stand_together_and_new_ones_apart() -> None:
    levels = [f"level {n}" for n in range(15) for _ in range(40 - n)]
    found = distribution(*both(levels, [*levels, *["new"] * len(levels), ""], "category"), "x")
    assert len(found.pieces) == LEVELS + 3
    assert found.pieces[LEVELS:] == ["other", "unseen", "missing"]
    assert found.window[LEVELS + 1] == pytest.approx(0.5, abs=0.01)
    assert found.reference[LEVELS + 1] == 0
    assert sum(found.window) == pytest.approx(1)


def test_an_unknown_feature_is_named() -> None:
    with pytest.raises(ValueError, match="must be a feature of the profiles but got 'y'"):
        distribution(*both([1], [1], "number"), "y")


def test_the_examples_are_right() -> None:
    assert doctest.testmod(distributions).failed == 0
