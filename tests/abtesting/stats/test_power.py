"""The labels that a design is said to need are those with which it finds the difference."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower

from abtesting.stats.inference import Comparison, compare_arms, compare_pairs
from abtesting.stats.measures import Costs, measures
from abtesting.stats.power import (
    Aim,
    Effect,
    Traffic,
    cells_at,
    correlation_of,
    labels_needed,
    plan,
    plan_ramp,
    power,
)
from abtesting.stats.tally import ArmTally
from mlops_site.stats.exact import Moments
from tests.abtesting.stats.arms import BINARY, arm_of, pairs_of

KNOWN = measures(BINARY, paired=False, costs=Costs(1, 10))
FIXED, LOOKED_AT = Aim(sequential=False), Aim()
DRAWS = 1_200
A, B = cells_at(0.2, 0.80, 0.55), cells_at(0.2, 0.74, 0.47)


def pairs_with(positive: tuple[float, ...], negative: tuple[float, ...], prevalence: float) -> np.ndarray:
    """Shares of the eight cells from P(both, only A, only B, neither say yes) of positives and of negatives."""
    cells = np.zeros(8)
    cells[[7, 5, 3, 1]] = prevalence * np.array(positive)
    cells[[6, 4, 2, 0]] = (1 - prevalence) * np.array(negative)
    return cells


LOSS = pairs_with((0.70, 0.10, 0.05, 0.15), (0.05, 0.03, 0.03, 0.89), 0.05)


def found(comparison: object, aim: Aim) -> bool:
    assert isinstance(comparison, Comparison)
    p_value = comparison.sequential_p if aim.sequential else comparison.p_value
    return p_value < 2 * aim.alpha / aim.sides and (comparison.difference < 0 or aim.sides == 2)


@pytest.mark.parametrize("aim", [FIXED, Aim(sequential=False, sides=1), LOOKED_AT])
def test_paired_shadow_finds_what_was_planned(aim: Aim) -> None:
    effect = Effect.of_shares(0.80, 0.75, base=0.05, correlation=correlation_of(0.80, 0.75, 0.15))
    n, rng, hits = labels_needed(effect, share_b=None, aim=aim), np.random.default_rng(31), 0
    for cells in rng.multinomial(n, LOSS, DRAWS):
        hits += found(compare_pairs(KNOWN["recall"], pairs_of(cells), tuned_at=n), aim)
    assert 0.76 <= hits / DRAWS <= 0.84


@pytest.mark.parametrize("name", ["recall", "precision", "f1_score", "cost", "accuracy"])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_split_finds_what_was_planned(name: str, share: float) -> None:
    measure = KNOWN[name]
    effect = Effect.of_cells(measure, A, B)
    n, rng, draws, hits = labels_needed(effect, share_b=share, aim=FIXED), np.random.default_rng(37), 800, 0
    drawn = rng.multinomial(round(n * (1 - share)), A, draws), rng.multinomial(round(n * share), B, draws)
    for cells_a, cells_b in zip(*drawn, strict=True):
        hits += found(compare_arms(measure, arm_of(cells_a), arm_of(cells_b)), FIXED)
    assert 0.76 <= hits / draws <= 0.87  # the score test pools the variances, which an uneven split weighs otherwise
    assert power(effect, n, share_b=share, aim=FIXED) == pytest.approx(0.8, abs=1e-3)


def test_means_need_what_statsmodels_says() -> None:
    effect = Effect.of_means(0.2, 1.0, 1.0)
    theirs = NormalIndPower().solve_power(0.2, power=0.8, alpha=0.05, ratio=1 / 3)
    assert labels_needed(effect, share_b=0.25, aim=FIXED) == pytest.approx(theirs * 4 / 3, abs=1.01)


def test_means_find_what_was_planned() -> None:
    n, rng, hits = labels_needed(Effect.of_means(0.2, 1.0, 1.5), share_b=0.5, aim=FIXED), np.random.default_rng(41), 0
    for _ in range(600):
        sides = rng.normal(0, 1, n // 2), rng.normal(0.2, 1.5, n // 2)
        arms = [ArmTally(ArmTally.empty(BINARY).answers, outcome=Moments.of(side)) for side in sides]
        hits += found(compare_arms(KNOWN["outcome"], *arms), FIXED)
    assert 0.75 <= hits / 600 <= 0.85


def test_non_inferiority_is_planned_from_the_margin() -> None:
    same = Effect.of_shares(0.80, 0.7999999, base=0.05)
    aim = Aim(sides=1, sequential=False, margin=0.05)
    loss = Effect.of_shares(0.80, 0.75, base=0.05)
    assert labels_needed(same, share_b=0.5, aim=aim) < labels_needed(loss, share_b=0.5, aim=aim._replace(margin=0.0))
    with pytest.raises(ValueError, match=r"gain must differ from -0\.05"):
        labels_needed(Effect(-0.05, 1, 1), share_b=0.5, aim=aim)


def test_the_more_the_models_agree_the_cheaper_is_shadow() -> None:
    needed = [
        labels_needed(Effect.of_shares(0.8, 0.75, base=0.05, correlation=correlation_of(0.8, 0.75, d)), share_b=None)
        for d in (0.10, 0.15, 0.20, 0.35)
    ]
    assert needed == sorted(needed)
    split = labels_needed(Effect.of_shares(0.8, 0.75, base=0.05), share_b=0.1)
    assert split / needed[1] > 13


def test_a_ramp_counts_each_step_for_what_it_tells() -> None:
    effect, traffic = Effect.of_shares(0.80, 0.75, base=0.05), Traffic(2_000, label_share=0.5, label_days=14)
    one = plan_ramp(effect, traffic, days_each=3, steps=(0.5, 1.0))
    assert one.labels == plan(effect, traffic, share_b=0.5).labels
    steps = (0.05, 0.25, 0.5, 1.0)
    ramp = plan_ramp(effect, traffic, days_each=10, steps=steps)
    needed = effect.distance(LOOKED_AT) ** -2 * (LOOKED_AT.z + 0.8416212) ** 2
    last = ramp.labels - 2 * 10_000
    told = 10_000 / effect.variance(0.05) + 10_000 / effect.variance(0.25) + last / effect.variance(0.5)
    assert told == pytest.approx(needed, rel=1e-3)
    assert one.labels < ramp.labels
    assert ramp.days == pytest.approx(ramp.labels / 1_000 + 14, abs=0.01)
    long = plan_ramp(effect, traffic, days_each=10_000, steps=steps)
    assert long.labels == plan(effect, traffic, share_b=0.05).labels


def test_time_is_counted_in_days_of_the_models_traffic() -> None:
    effect = Effect.of_shares(0.80, 0.75, base=0.05, correlation=correlation_of(0.80, 0.75, 0.15))
    found = plan(effect, Traffic(1_000, 0.6, 30), share_b=None, aim=Aim(sides=1, sequential=False))
    assert (found.labels, found.units) == (7_296, 12_160)
    assert found.days == pytest.approx(30 + 12.16, abs=0.01)
    assert found.words == (
        "A paired shadow test needs 7,296 labelled claims, from 12,160 claims: about 43 days at 1,000 claims a day."
    )
    assert plan(effect, Traffic(0), share_b=0.5).days is None
    assert plan_ramp(effect, Traffic(0), days_each=1).words.endswith("there is no traffic to say how long that takes.")


def test_no_labels_have_no_power_and_all_have_it() -> None:
    effect = Effect.of_shares(0.80, 0.75)
    assert power(effect, 0, share_b=0.5) == 0.0
    assert power(effect, 10**7, share_b=0.5) == 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Effect.of_shares(0.0, 0.5),
        lambda: Effect.of_shares(0.5, 0.6, base=0),
        lambda: Effect(0.1, 0, 1),
        lambda: Effect(0.1, 1, 1, 1.5),
        lambda: cells_at(0.5, 1.0, 0.3),
        lambda: correlation_of(0.8, 0.75, 0.04),
        lambda: labels_needed(Effect(0.1, 1, 1), share_b=1.0),
        lambda: labels_needed(Effect(0.1, 1, 1), share_b=0.5, aim=Aim(sides=3)),
        lambda: plan(Effect(0.1, 1, 1), Traffic(10, label_share=0), share_b=0.5),
        lambda: plan(Effect(0.1, 1, 1), Traffic(-1), share_b=0.5),
        lambda: plan_ramp(Effect(0.1, 1, 1), Traffic(10), days_each=1, steps=(1.0,)),
    ],
)
def test_what_cannot_be_planned_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="must"):
        wrong()  # type: ignore[operator]
