"""Curves against scikit-learn, and their bounded size."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import auc, precision_recall_curve, precision_recall_fscore_support, roc_curve

from mlops_site.stats import curves
from mlops_site.stats.scored import scored_rows

RANDOM = np.random.default_rng(11)
TRUTH = RANDOM.integers(0, 2, 150)
SCORE = np.clip(0.3 * TRUTH + RANDOM.uniform(0, 0.7, 150), 0, 1).round(2)  # with ties
MANY = RANDOM.integers(0, 2, 20_000)
MANY_SCORES = np.clip(0.2 * MANY + RANDOM.normal(0.4, 0.2, 20_000), 0, 1)


def test_roc_is_scikit_learns() -> None:
    found, (x, y, _) = curves.roc(TRUTH, SCORE), roc_curve(TRUTH, SCORE, drop_intermediate=False)
    assert np.allclose(found.x, x)
    assert np.allclose(found.y, y)


def test_precision_and_recall_are_scikit_learns() -> None:
    found, (precision, recall, _) = curves.precision_recall(TRUTH, SCORE), precision_recall_curve(TRUTH, SCORE)
    assert np.allclose(found.x, recall[::-1])
    assert np.allclose(found.y, precision[::-1])


def test_a_thinned_curve_is_bounded_and_keeps_its_area() -> None:
    found, (x, y, _) = curves.roc(MANY, MANY_SCORES), roc_curve(MANY, MANY_SCORES, drop_intermediate=False)
    assert len(x) > 10_000
    assert len(found.x) <= curves.MAX_POINTS
    assert (found.x[0], found.y[0], found.x[-1], found.y[-1]) == (0, 0, 1, 1)
    assert auc(found.x, found.y) == pytest.approx(auc(x, y), abs=1e-3)
    assert np.abs(np.interp(x, found.x, found.y) - y).max() <= 2 / (curves.MAX_POINTS - 1)


def test_calibration_is_scikit_learns() -> None:
    found = curves.reliability(MANY, MANY_SCORES)
    observed, predicted = calibration_curve(MANY, MANY_SCORES, n_bins=10, strategy="quantile")
    assert np.allclose(found.predicted, predicted)
    assert np.allclose(found.observed, observed)
    assert sum(found.rows) == len(MANY)
    assert all(low < at < high for low, at, high in zip(found.lower, found.observed, found.upper, strict=True))


def test_equal_scores_are_one_bin() -> None:
    found = curves.reliability([0, 1, 1, 1], [0.5] * 4)
    assert (found.predicted, found.observed, found.rows) == ([0.5], [0.75], [4])


def test_precision_and_recall_of_classes_are_scikit_learns() -> None:
    truth, said = RANDOM.choice(["a", "b", "c"], 300, p=[0.2, 0.5, 0.3]), RANDOM.choice(["a", "b", "c"], 300)
    rows = scored_rows("classification", truth, prediction=said, classes=["a", "b", "c"])
    found = {row.label: row for row in curves.by_class(rows)}
    precision, recall, _, support = precision_recall_fscore_support(truth, said, labels=["a", "b", "c"])
    assert list(found) == ["b", "c", "a"]  # the most frequent first
    for at, label in enumerate("abc"):
        assert found[label].rows == support[at]
        assert found[label].precision == pytest.approx(precision[at])
        assert found[label].recall == pytest.approx(recall[at])
        low, high = found[label].recall_ci95 or [np.nan, np.nan]
        assert low < recall[at] < high


def test_a_class_that_is_never_said_has_no_precision() -> None:
    rows = scored_rows("classification", ["a", "b"], prediction=["a", "a"], classes=["a", "b", "c"])
    found = {row.label: row for row in curves.by_class(rows)}
    assert (found["b"].precision, found["b"].recall) == (None, 0.0)
    assert (found["c"].rows, found["c"].recall) == (0, None)


def test_values_are_binned_by_what_was_predicted() -> None:
    said = RANDOM.uniform(0, 100, 5000)
    real = said + RANDOM.normal(0, 10, 5000)
    found = curves.fitted(real, said)
    assert found.rows == [500] * 10
    assert np.allclose(found.predicted, np.arange(5, 100, 10), atol=1.5)
    assert np.allclose(np.subtract(found.observed, found.predicted), 0, atol=2)
    assert np.allclose(np.subtract(found.upper, found.lower), 2 * 1.2816 * 10, rtol=0.35)
    gaps = curves.residuals(real, said)
    assert len(gaps.x) == 101
    assert gaps.x[50] == pytest.approx(np.median(real - said))
    assert gaps.x[10] == pytest.approx(np.quantile(real - said, 0.1))


@pytest.mark.parametrize("truth", [[], [0, 0], [1, 1]])
def test_rows_of_one_kind_have_no_roc(truth: list[int]) -> None:
    with pytest.raises(ValueError, match="rows must"):
        curves.roc(truth, [0.5] * len(truth))


def test_rows_without_a_positive_have_no_recall() -> None:
    with pytest.raises(ValueError, match="none of 2"):
        curves.precision_recall([0, 0], [0.1, 0.2])


def test_thinning_never_leaves_the_line() -> None:
    x = np.linspace(0, 1, 5000)
    for y in (x**2, np.sin(20 * x), np.zeros(5000)):
        found = curves.thinned(x, y, points=50)
        assert len(found.x) <= 50
        assert set(zip(found.x, found.y, strict=True)) <= set(zip(x.tolist(), y.tolist(), strict=True))
        assert (found.x[0], found.x[-1]) == (0.0, 1.0)
