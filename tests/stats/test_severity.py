"""Metrics of amounts: scikit-learn's deviances, and a Gini that is checked pair by pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk

from mlops_site.stats import metrics
from mlops_site.stats.scored import ScoredRows, scored_rows

DEVIANCES = {"poisson_deviance": 1.0, "gamma_deviance": 2.0, "tweedie_deviance": 1.5}


def paid(seed: int = 0, *, nought: bool = False) -> tuple[Any, Any, Any]:
    random = np.random.default_rng(seed)
    said = random.lognormal(5, 1, 120)
    truth = said * random.lognormal(0, 0.7, 120)
    if nought:
        truth[::3] = 0.0
    return truth, said, random.integers(0, 4, 120).astype(float)


def rows(truth: Any, said: Any) -> ScoredRows:
    return scored_rows("regression", truth, prediction=said)


def value(name: str, truth: Any, said: Any, weights: Any = None) -> float:
    return metrics.value(metrics.metric_named(name), rows(truth, said), weights=weights)


@pytest.mark.parametrize("name", DEVIANCES)
def test_deviances_are_scikit_learns(name: str) -> None:
    truth, said, weights = paid(nought=name != "gamma_deviance")
    expected = sk.mean_tweedie_deviance(truth, said, sample_weight=weights, power=DEVIANCES[name])
    assert value(name, truth, said, weights) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "truth", "said"),
    [
        ("poisson_deviance", [-1.0, 2.0], [1.0, 2.0]),
        ("poisson_deviance", [1.0, 2.0], [0.0, 2.0]),
        ("gamma_deviance", [0.0, 2.0], [1.0, 2.0]),
        ("tweedie_deviance", [1.0, 2.0], [-1.0, 2.0]),
        ("gini", [-1.0, 2.0], [1.0, 2.0]),
        ("gini", [2.0, 2.0], [1.0, 2.0]),
    ],
)
def test_where_there_is_no_value_the_reason_is_said(name: str, truth: list[float], said: list[float]) -> None:
    reason = metrics.undefined(rows(truth, said), metrics=[name])[name]
    assert "nought" in reason or "negative" in reason


def by_pairs(order: Any, truth: Any) -> float:
    """The mean over pairs of rows of what the higher one was paid more, as a share of all that was paid."""
    n = len(truth)
    signs = np.sign(order[:, None] - order[None, :])
    return float((signs * (truth[:, None] - truth[None, :])).sum() / (2 * n * n * truth.mean()))


@pytest.mark.parametrize("ties", [False, True])
def test_gini_is_that_of_all_pairs(ties: bool) -> None:
    truth, said, weights = paid(1, nought=True)
    said = said.round(-2) if ties else said
    assert value("gini", truth, said) == pytest.approx(by_pairs(said, truth) / by_pairs(truth, truth), rel=1e-12)
    repeated = np.repeat(np.arange(len(truth)), weights.astype(int))
    again = value("gini", truth[repeated], said[repeated])
    assert value("gini", truth, said, weights) == pytest.approx(again, rel=1e-12)


def test_gini_is_one_for_the_best_order_and_minus_one_for_the_worst() -> None:
    truth, _, _ = paid(2)
    assert value("gini", truth, np.log(truth)) == pytest.approx(1.0)
    assert value("gini", truth, -truth) == pytest.approx(-1.0)
    assert value("gini", truth, np.full(len(truth), 3.0)) == pytest.approx(0.0)
