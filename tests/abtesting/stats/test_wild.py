"""Figures that doubles do not hold: of such a metric nothing is known, and nothing fails."""

from __future__ import annotations

import numpy as np
import pytest

from abtesting.stats.blocks import BLOCKS
from abtesting.stats.comparison import Comparison, Unknown, over_epochs
from abtesting.stats.inference import compare_arms, compare_pairs
from abtesting.stats.measures import Costs, measures
from abtesting.stats.pairs import PairTally
from abtesting.stats.resample import drawn_together, pooled
from abtesting.stats.tally import Answers, ArmTally
from monitoring.stats.shape import Shape

REGRESSION = Shape("regression", (), None)
BINARY = Shape("classification", (0, 1), 1)
N = 200


def answers(scale: float, seed: int) -> Answers:
    random = np.random.default_rng(seed)
    said, nothing = random.normal(0.0, scale, N), [None] * N
    return Answers(list(said), np.full(N, np.nan), nothing, np.zeros(N), np.ones(N), [0.0] * N)


@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1.0, 1e70])
@pytest.mark.parametrize("name", ["mae", "rmse"])
def test_answers_of_any_size(name: str, scale: float) -> None:
    one, other = answers(scale, 1), answers(2 * scale, 2)
    measure = measures(REGRESSION, paired=True)[name]
    apart = compare_arms(measure, ArmTally.of(one, REGRESSION), ArmTally.of(other, REGRESSION))
    pairs = PairTally.of(one, other, REGRESSION, scored=[True] * N, block=np.arange(N) % BLOCKS)
    together = compare_pairs(measure, pairs)
    kept = PairTally.from_bytes(pairs.to_bytes(), REGRESSION)
    assert (kept.blocks, kept + kept - kept) == (pairs.blocks, pairs)
    drawn = pooled(measure, [drawn_together(measure, kept, draws=200)], [1.0])
    assert np.isfinite([drawn.lower, drawn.upper]).all()
    for found in (apart, together):
        if isinstance(found, Comparison):
            assert np.isfinite([found.se, *found.sequential_ci, found.sequential_p]).all()
        else:
            assert "not computable" in found.why
    if name == "mae" and scale >= 1e-100:  # Welch's degrees of freedom know no scale
        assert isinstance(apart, Comparison)
        weighted = over_epochs([apart, apart])
        assert weighted.se == pytest.approx(apart.se / 2**0.5)


@pytest.mark.parametrize("cost", [0.0, 1e-300])
def test_costs_too_small_to_tell(cost: float) -> None:
    random = np.random.default_rng(3)
    truth = (random.random(N) < 0.5).astype(int)
    arms = []
    for share in (0.7, 0.8):
        said = np.where(random.random(N) < share, truth, 1 - truth)
        told = Answers(list(said), said.astype(float), list(said), np.zeros(N), np.ones(N), list(truth))
        arms.append(ArmTally.of(told, BINARY))
    measure = measures(BINARY, paired=False, costs=Costs(cost, cost))["cost"]
    found = compare_arms(measure, *arms)
    assert isinstance(found, Unknown)
    assert "not computable" in found.why
