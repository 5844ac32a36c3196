"""What a version keeps of its held-out rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from mlops_site.stats.heldout import SCORE_BINS, HeldOut, score_bins

RANDOM = np.random.default_rng(5)
SCORES = RANDOM.beta(2, 5, 4_000)
TRUTH = RANDOM.random(4_000) < SCORES**1.5


@pytest.mark.parametrize("threshold", [0.0, 0.137, 0.5, 0.995, 1.0])
def test_every_row_is_in_a_cell_on_its_side_of_the_threshold(threshold: float) -> None:
    held = HeldOut.of(SCORES, TRUTH, threshold)
    assert (held.negative.sum(), held.positive.sum()) == ((~TRUTH).sum(), TRUTH.sum())
    assert held.rows[held.first :].sum() == (threshold <= SCORES).sum()
    assert held.positive[held.first :].sum() == TRUTH[threshold <= SCORES].sum()


def test_the_calibration_is_isotonic_regression_on_the_cells() -> None:
    held = HeldOut.of(SCORES, TRUTH, 0.3)
    cells = score_bins(SCORES) + (SCORES >= 0.3)
    wanted = IsotonicRegression(out_of_bounds="clip").fit(cells, TRUTH)
    found = held.calibration()
    known = np.flatnonzero(held.rows)
    assert np.allclose(found.chance[known], wanted.predict(known), atol=1e-12)
    assert (np.diff(found.chance) >= 0).all()
    assert found.rows.sum() == 4_000


def test_a_cell_without_rows_lies_between_its_neighbours() -> None:
    score = np.repeat([0.1025, 0.9025], 500)
    held = HeldOut.of(score, np.tile([True, False, False, False, False], 200), 0.5)
    assert held.calibration().chance == pytest.approx(np.full(SCORE_BINS + 1, 0.2))
    rising = HeldOut.of(score, np.arange(1_000) % 10 < np.repeat([1, 9], 500), 0.5).calibration()
    assert rising.chance[100] == pytest.approx(0.5, abs=0.01)
    assert set(rising.blocks[:80]) == {0}
    assert set(rising.blocks[130:]) == {1}


def test_rows_that_belong_together_count_less() -> None:
    people = np.repeat(np.arange(1_000), 4)
    chance = np.repeat(RANDOM.beta(2, 5, 1_000), 4)
    together = np.repeat(RANDOM.random(1_000), 4) < chance  # all four turn out alike
    assert HeldOut.of(chance, together, 0.3, groups=people).design == pytest.approx(4, rel=0.15)
    assert HeldOut.of(SCORES, TRUTH, 0.3, groups=people).design == pytest.approx(1, abs=0.1)
    assert HeldOut.of(SCORES, TRUTH, 0.3).design == 1


def test_bytes_come_back_whole() -> None:
    held = HeldOut.of(SCORES, TRUTH, 0.137, groups=np.arange(4_000) // 2)
    again = HeldOut.from_bytes(held.to_bytes())
    assert (again.threshold, again.design) == (held.threshold, held.design)
    assert np.array_equal([again.negative, again.positive], [held.negative, held.positive])
    assert len(held.to_bytes()) < 1_000


@given(st.binary(max_size=60))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="held-out scores must"):
        HeldOut.from_bytes(data)


@pytest.mark.parametrize("score", [[0.1, 1.2], [0.1, np.nan], [0.1]])
def test_scores_must_be_probabilities(score: list[float]) -> None:
    with pytest.raises(ValueError, match="score must be 2 numbers between 0 and 1"):
        HeldOut.of(score, [True, False], 0.5)


def test_too_few_rows_say_so() -> None:
    assert "takes 100 held-out rows and 10 of each class" in HeldOut.of(SCORES[:99], TRUTH[:99], 0.5).why_not
    assert "4,000, 5 of them positive" in HeldOut.of(SCORES, np.arange(4_000) < 5, 0.5).why_not
    assert not HeldOut.of(SCORES, TRUTH, 0.5).why_not
