"""A drop in volume is large, certain, and from enough rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from monitoring.stats.volume import ALPHA, volume


@pytest.mark.parametrize(
    ("rows", "before", "drop"),
    [
        (0, 100, True), (50, 100, True), (51, 100, False), (500, 1000, True), (501, 1000, False), (0, 99, False),
    ],
)  # fmt: skip
def test_half_of_at_least_a_hundred(rows: int, before: int, drop: bool) -> None:
    assert volume(rows, before, min_samples=100).drop is drop


def test_few_rows_may_halve_by_chance() -> None:
    assert not volume(4, 8, min_samples=5).drop
    assert volume(0, 12, min_samples=5).drop
    assert stats.binomtest(0, 12, alternative="less").pvalue <= ALPHA


def test_it_says_what_changed_or_why_it_was_not_judged() -> None:
    assert volume(40, 1_000, min_samples=100)[:5] == (
        40,
        1_000,
        -0.96,
        True,
        "40 rows after 1,000 in the window before (-96%)",
    )
    assert volume(40, 0, min_samples=100).change is None
    assert "0 rows in the window before, of at least 100" in volume(40, 0, min_samples=100).reason


def test_steady_traffic_drops_in_less_than_one_window_in_a_thousand() -> None:
    counts = np.random.default_rng(0).poisson(20, (5_000, 2))
    assert sum(volume(int(now), int(before), min_samples=10).drop for now, before in counts) <= 5


def test_negative_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="-1 and 3"):
        volume(-1, 3, min_samples=1)
