"""The search as a whole: its choice is judged on rows that it never saw, and the numbers are the textbook's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score

from mlops_site.stats.columns import Kind
from training.ml.estimators import Recipe
from training.ml.nested import OuterScore, outer_score, told
from training.ml.search import Best

N = 200
RANDOM = np.random.default_rng(5)
FRAME = pd.DataFrame({"a": RANDOM.normal(size=N), "b": RANDOM.normal(size=N)})
TRUTH = (FRAME["a"] + RANDOM.normal(size=N) > 0).astype(int).to_numpy()
KINDS: dict[str, Kind] = {"a": "number", "b": "number"}
FOLD = (np.arange(120), np.arange(120, N))


def best(threshold: float = 0.4) -> Best:
    recipe = Recipe("logistic_regression", "classification", KINDS, {"C": 1.0}, 0)
    return Best(recipe, 0, (0.7, 0.8), 0.75, 0.05, threshold, 2)


def test_the_choice_is_refitted_on_one_side_and_scored_on_the_other() -> None:
    scored = outer_score(best(), FOLD, FRAME, TRUTH, metric="roc_auc", classes=(0, 1))
    rows = (FRAME - FRAME[:120].mean()) / FRAME[:120].std(ddof=0)
    fitted = LogisticRegression(C=1.0, max_iter=1_000).fit(rows[:120], TRUTH[:120])
    expected = roc_auc_score(TRUTH[120:], fitted.predict_proba(rows[120:])[:, 1])
    assert scored.value == pytest.approx(expected, abs=1e-3)
    assert (scored.promised, scored.rows, scored.params) == (0.75, 80, {"C": 1.0})
    moved = TRUTH.copy()
    moved[120:] = 1 - moved[120:]  # the test rows teach nothing
    assert outer_score(best(), FOLD, FRAME, moved, metric="roc_auc", classes=(0, 1)).value == pytest.approx(
        1 - scored.value
    )


def test_decisions_are_cut_where_the_inner_folds_said() -> None:
    low, high = (
        outer_score(best(cut), FOLD, FRAME, TRUTH, metric="f1_score", classes=(0, 1)).value for cut in (0.0, 1.1)
    )
    assert (low, high) == (f1_score(TRUTH[120:], np.ones(80)), 0.0)


@pytest.mark.parametrize(("metric", "optimism"), [("roc_auc", 0.05), ("log_loss", -0.05)])
def test_mean_error_and_interval(metric: str, optimism: float) -> None:
    values = [0.70, 0.74, 0.66, 0.70]
    said = told(metric, [OuterScore("mlp", {}, 0.8, value, 50) for value in values], promised=0.75)
    interval = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (said["mean"], said["se"]) == (pytest.approx(0.70), pytest.approx(stats.sem(values)))
    assert said["ci95"] == pytest.approx(list(interval))
    assert said["optimism"] == pytest.approx(optimism)
    assert [fold["value"] for fold in said["folds"]] == values
