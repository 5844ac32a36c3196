"""The exact distance, against SciPy and against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from mlops_site.stats import ks
from mlops_site.stats.ks import ks_distance

RANDOM = np.random.default_rng(3)
columns = arrays.arrays(
    np.float64, st.integers(1, 40), elements=st.floats(-1e150, 1e150) | st.sampled_from([0.0, 1.0, np.nan])
)


def by_definition(current: np.ndarray, reference: np.ndarray) -> float:
    """The greatest difference of the shares of values up to each value, missing counting as infinite."""
    ours, theirs = (np.nan_to_num(side, nan=np.inf) for side in (current, reference))
    points = np.concatenate([ours, theirs])[:, None]
    return float(np.abs((ours <= points).mean(axis=1) - (theirs <= points).mean(axis=1)).max())


def known(current: np.ndarray, reference: np.ndarray) -> float:
    """SciPy's statistic, with a finite number beyond all others for missing."""
    ours, theirs = (np.nan_to_num(side, nan=1e300) for side in (current, reference))
    return float(stats.ks_2samp(ours, theirs, method="asymp").statistic)


@given(columns, columns)
def test_the_distance_is_that_of_the_definition(current: np.ndarray, reference: np.ndarray) -> None:
    assert ks_distance(current, reference) == pytest.approx(by_definition(current, reference), abs=1e-12)


@given(columns, columns)
def test_looking_between_some_values_gives_the_same_as_looking_at_all(
    current: np.ndarray, reference: np.ndarray
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ks, "_WORTH_IT", 0)
        patch.setattr(ks, "_STRIDE", 3)
        assert ks_distance(current, reference) == pytest.approx(by_definition(current, reference), abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize(
    "column",
    [
        RANDOM.normal(size=120_000),
        RANDOM.pareto(0.5, 120_000),
        1e9 + RANDOM.normal(size=120_000),
        RANDOM.integers(0, 40, 120_000).astype(float),
        np.where(RANDOM.random(120_000) < 0.6, 0.0, RANDOM.lognormal(5, 2, 120_000)),
        np.where(RANDOM.random(120_000) < 0.1, np.nan, RANDOM.choice([1e-3, 1e3], 120_000)),
        np.ones(120_000),
        np.r_[np.ones(119_999), 1e150],
        np.full(120_000, np.nan),
    ],
    ids=["normal", "heavy", "offset", "whole", "zeros", "missing", "constant", "outlier", "nothing"],
)
def test_many_rows_of_any_shape_are_exact(column: np.ndarray, shift: float) -> None:
    current, reference = column[:50_000] + shift, column[50_000:]
    assert ks_distance(current, reference) == pytest.approx(known(current, reference), abs=1e-12)


def test_a_change_of_the_missing_share_has_its_own_size() -> None:
    whole = RANDOM.normal(size=1000)
    holes = np.where(np.arange(1000) % 5 == 0, np.nan, whole)
    assert ks_distance(holes, whole) == pytest.approx(0.2, abs=0.02)
    assert ks_distance(np.full(3, np.nan), np.ones(2)) == 1.0
    assert ks_distance(holes, holes) == 0.0
