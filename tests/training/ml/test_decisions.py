"""Where to cut: checked against every possible cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.ml.decisions import BEST_F1, OUTCOMES, Rule


def rows(seed: int, *, ties: bool = False) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    truth = random.random(200) < 0.2
    score = np.clip(random.normal(0.3 + 0.3 * truth, 0.15), 0, 0.94)
    return (score.round(1) if ties else score), truth


def cost(costs: dict[str, float], chosen: Any, truth: Any) -> float:
    counts = (chosen & truth, chosen & ~truth, ~chosen & truth, ~chosen & ~truth)
    return float(sum(costs[name] * count.sum() for name, count in zip(OUTCOMES, counts, strict=True)))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("share", [None, 0.1])
@pytest.mark.parametrize("wrong", [(1.0, 1.0), (1.0, 30.0), (30.0, 1.0), (1.0, 1e6), (1e6, 1.0)])
def test_no_other_cut_costs_less(wrong: tuple[float, float], share: float | None, ties: bool) -> None:
    costs = {"true_positive": -2.0, "false_positive": wrong[0], "false_negative": wrong[1], "true_negative": 0.0}
    for seed in range(5):
        score, truth = rows(seed, ties=ties)
        cut = Rule(costs, share).threshold(score, truth)
        allowed = [other for other in [*score, 2.0] if share is None or (score >= other).mean() <= share]
        assert cost(costs, score >= cut, truth) == min(cost(costs, score >= other, truth) for other in allowed)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("share", [0.004, 0.04, 0.5, 1.0])
def test_capacity_is_used_up_and_never_passed(share: float, ties: bool) -> None:
    for seed in range(5):
        score, truth = rows(seed, ties=ties)
        taken = (score >= Rule(share=share).threshold(score, truth)).mean()
        assert taken == max((score >= other).mean() for other in [*score, 2.0] if (score >= other).mean() <= share)


def test_a_threshold_is_a_probability_so_that_certain_rows_are_always_taken() -> None:
    assert Rule(share=0.1).threshold([1.0, 1.0, 0.2], [True, True, False]) == 1.0
    assert Rule(share=0.1).threshold([0.8, 0.8, 0.2], [True, True, False]) == 0.9


def test_without_costs_and_capacity_f1_is_best() -> None:
    score, truth = rows(0)
    f1 = {cut: 2 * (truth & (score >= cut)).sum() / ((score >= cut).sum() + truth.sum()) for cut in score}
    chosen = score >= BEST_F1.threshold(score, truth)
    assert 2 * (truth & chosen).sum() / (chosen.sum() + truth.sum()) == max(f1.values())
    assert BEST_F1.threshold([0.2, 0.9], [False, False]) == 0.5


def test_what_a_threshold_means_is_told() -> None:
    rule = Rule.of({"false_negative": 10, "false_positive": 1}, {"at_most": 1, "of_rows": 2})
    told = rule.told([0.9, 0.8, 0.1, 0.2], [True, False, True, False], 0.5)
    assert (told["positive_share"], told["capacity_share"], told["cost_per_row"]) == (0.5, 0.5, 11 / 4)
