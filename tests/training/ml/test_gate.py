"""The gate: each check both ways, what it says without a champion, and its error rates."""

import json
from typing import Any

import numpy as np
import pytest

from mlops_site.stats.scored import ScoredRows, scored_rows
from training.ml.gate import Check, Gate, Policy, judge

N = 600
FEW = 200


def truth(seed: int = 0, n: int = N) -> Any:
    return (np.random.default_rng(seed).random(n) < 0.3).astype(int)


def answered(y: Any, *, noise: float, seed: int = 1) -> ScoredRows:
    """A model whose score is the truth blurred by `noise`, roughly calibrated."""
    logit = 2 * (2 * y - 1) + np.random.default_rng(seed).normal(0, noise, len(y)) - 1
    score = 1 / (1 + np.exp(-logit))
    return scored_rows("classification", y, prediction=(score >= 0.5).astype(int), score=score, positive=1)


def valued(y: Any, *, noise: float, seed: int = 1) -> ScoredRows:
    said = y + np.random.default_rng(seed).normal(0, noise, len(y))
    return scored_rows("regression", y, prediction=said)


def judged(challenger: ScoredRows, champion: ScoredRows | None, **changes: Any) -> Gate:
    extra = {key: changes.pop(key) for key in ("groups", "slices") if key in changes}
    policy = Policy(**{"metric": "roc_auc", "draws": FEW, **changes})
    return judge(challenger, champion=champion, policy=policy, **extra)


def check(gate: Gate, name: str) -> Check:
    return next(check for check in gate.checks if check.name == name)


def test_without_a_champion_comparisons_are_remarks() -> None:
    gate = judged(answered(truth(), noise=2), None, threshold=0.6)
    assert gate.passed
    levels = {found.name: found.level for found in gate.checks}
    assert levels == {
        "holdout_rows": "pass",
        "threshold": "pass",
        "comparison": "remark",
        "calibration": "remark",
        "slices": "remark",
    }
    assert check(gate, "comparison").passed is None
    assert "no version is in production" in check(gate, "comparison").message


def test_threshold_looks_the_way_the_metric_points() -> None:
    rows, values = answered(truth(), noise=2), valued(np.arange(N) / 100, noise=1)
    assert check(judged(rows, None, threshold=0.999), "threshold").level == "fail"
    assert "at least 0.9990" in check(judged(rows, None, threshold=0.999), "threshold").message
    assert check(judged(values, None, metric="rmse", threshold=2.0), "threshold").level == "pass"
    assert check(judged(values, None, metric="rmse", threshold=0.5), "threshold").level == "fail"
    assert check(judged(rows, None), "threshold").level == "remark"


def test_too_few_rows_fail() -> None:
    gate = judged(answered(truth(n=150), noise=2), None)
    assert not gate.passed
    assert "150 rows" in check(gate, "holdout_rows").message
    rare = np.r_[np.ones(10), np.zeros(500)].astype(int)
    assert check(judged(answered(rare, noise=2), None), "holdout_rows").values["fewest_of_a_class"] == 10
    assert not judged(answered(rare, noise=2), None).passed


def test_a_better_model_is_superior_and_a_worse_one_not_even_non_inferior() -> None:
    y = truth()
    good, bad = answered(y, noise=1.5), answered(y, noise=6, seed=2)
    assert judged(good, bad, need="superior").passed
    gate = judged(bad, good)
    assert check(gate, "comparison").level == "fail"
    assert check(gate, "calibration").level == "fail"
    assert check(gate, "comparison").values["upper"] < 0


def test_the_same_model_is_non_inferior_but_not_superior() -> None:
    rows = answered(truth(), noise=2)
    assert judged(rows, rows).passed
    assert not judged(rows, rows, need="superior").passed


def test_a_loss_is_compared_the_right_way_round() -> None:
    y = np.linspace(0, 10, N)
    good, bad = valued(y, noise=0.5), valued(y, noise=2, seed=2)
    gate = judged(good, bad, metric="rmse", need="superior")
    assert gate.passed
    assert check(gate, "comparison").values["estimate"] > 1
    assert check(gate, "calibration").level == "remark"
    assert not judged(bad, good, metric="rmse").passed


def test_calibration_alone_can_fail() -> None:
    rows = answered(truth(), noise=1)
    assert rows.score is not None
    squeezed = scored_rows("classification", rows.truth, prediction=rows.decision, score=rows.score**4, positive=1)
    gate = judged(squeezed, rows)
    assert check(gate, "comparison").level == "pass"
    assert check(gate, "calibration").level == "fail"
    assert not gate.passed


def test_a_harmed_slice_fails_and_is_named() -> None:
    y, site = truth(), np.repeat(["north", "south", "tiny"], [400, 180, 20])
    champion = answered(y, noise=2)
    assert champion.score is not None
    harmed = np.where(site == "south", np.random.default_rng(3).random(N), champion.score)
    rows = scored_rows("classification", y, prediction=(harmed > 0.5).astype(int), score=harmed, positive=1)
    found = check(judged(rows, champion, slices={"site": site}), "slices")
    assert found.level == "fail"
    assert "1 of 2 slices are significantly worse (site = south)" in found.message
    unharmed = check(judged(champion, champion, slices={"site": site}), "slices")
    assert unharmed.level == "pass"
    assert check(judged(champion, champion, slices={"id": np.arange(N)}), "slices").level == "remark"


def test_groups_widen_the_interval() -> None:
    y = np.repeat(truth(n=60), 10)
    noise = np.repeat(np.random.default_rng(4).normal(0, 2, 60), 10)
    score = 1 / (1 + np.exp(-(2 * y - 1 + noise)))
    first = scored_rows("classification", y, prediction=y, score=score, positive=1)
    second = scored_rows("classification", y, prediction=y, score=score[::-1].copy(), positive=1)
    alone, clustered = (
        check(judged(first, second, groups=groups), "comparison").values["se"]
        for groups in (None, np.repeat(np.arange(60), 10))
    )
    assert clustered > 2 * alone


def test_what_cannot_be_computed_fails_and_says_why() -> None:
    gate = judged(answered(np.ones(300, dtype=int), noise=1), None)
    assert check(gate, "threshold").level == "fail"
    assert "Cannot be computed" in check(gate, "threshold").message


def test_is_ready_for_json_and_repeatable() -> None:
    y = truth()
    pair = answered(y, noise=2), answered(y, noise=2, seed=9)
    slices = {"site": np.repeat(["a", "b"], 300)}
    first, again = (judged(*pair, slices=slices).to_json() for _ in range(2))
    assert json.loads(json.dumps(first, allow_nan=False)) == first == again


def test_bad_arguments_are_refused() -> None:
    rows = answered(truth(), noise=2)
    with pytest.raises(ValueError, match="metric must be a classification metric"):
        judged(rows, None, metric="rmse")
    with pytest.raises(ValueError, match="same rows"):
        judged(rows, answered(truth(seed=8), noise=2))
    with pytest.raises(ValueError, match='need must be "non_inferior"'):
        Policy("roc_auc", need="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="margin must be"):
        Policy("roc_auc", margin=-1)


def test_error_rates_are_near_the_stated() -> None:
    """Two equally good models: superiority and each kind of harm are claimed about 1 time in 40."""
    claims = {"comparison": 0, "calibration": 0, "slices": 0}
    repeats = 80
    for seed in range(repeats):
        y = truth(seed, 300)
        pair = answered(y, noise=2, seed=1000 + seed), answered(y, noise=2, seed=5000 + seed)
        site = np.repeat(["a", "b"], 150)
        gate = judged(*pair, need="superior", metric="brier", slices={"site": site})
        claims["comparison"] += check(gate, "comparison").level == "pass"
        claims["calibration"] += check(gate, "calibration").level == "fail"
        claims["slices"] += check(gate, "slices").level == "fail"
    assert claims["comparison"] <= 7
    assert claims["calibration"] <= 7
    assert claims["slices"] <= 11
