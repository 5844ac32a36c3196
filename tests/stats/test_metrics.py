"""Metrics against scikit-learn, and the rows that have no value."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from mlops_site.stats import metrics
from mlops_site.stats.metrics import METRICS, evaluate, evaluate_rows, metric_named, undefined
from mlops_site.stats.scored import scored_rows

RANDOM = np.random.default_rng(7)


def test_binary_metrics_are_those_of_scikit_learn_weighted_or_not() -> None:
    truth = RANDOM.integers(0, 2, 300)
    score = np.round(np.clip(RANDOM.normal(0.3 + 0.3 * truth, 0.2), 0.0, 1.0), 1)  # many ties
    said = (score > 0.5).astype(int)
    for weights in (None, RANDOM.integers(0, 4, 300).astype(float)):
        got = evaluate("classification", truth, prediction=said, score=score, positive=1, weights=weights)
        given = {"sample_weight": weights}
        assert got == pytest.approx(
            {
                "f1_score": sk.f1_score(truth, said, **given),
                "precision": sk.precision_score(truth, said, **given),
                "recall": sk.recall_score(truth, said, **given),
                "accuracy": sk.accuracy_score(truth, said, **given),
                "roc_auc": sk.roc_auc_score(truth, score, **given),
                "average_precision": sk.average_precision_score(truth, score, **given),
                "brier": sk.brier_score_loss(truth, score, **given),
                "log_loss": sk.log_loss(truth, score, **given),
            }
        )


def test_macro_metrics_are_those_of_scikit_learn_even_for_a_class_never_predicted() -> None:
    truth, said = RANDOM.choice(list("abc"), 200), RANDOM.choice(list("ab"), 200)
    score = RANDOM.dirichlet([2.0, 1.0, 1.0], 200)
    got = evaluate("classification", truth, prediction=said, score=score)
    codes = np.eye(3)[np.searchsorted(list("abc"), truth)]
    assert got == pytest.approx(
        {
            "f1_score": sk.f1_score(truth, said, average="macro"),
            "precision": sk.precision_score(truth, said, average="macro", zero_division=0),
            "recall": sk.recall_score(truth, said, average="macro"),
            "accuracy": sk.accuracy_score(truth, said),
            "roc_auc": sk.roc_auc_score(truth, score, multi_class="ovr"),
            "average_precision": sk.average_precision_score(codes, score),
            "brier": sk.brier_score_loss(truth, score, labels=list("abc")),
            "log_loss": sk.log_loss(truth, score, labels=list("abc")),
        }
    )


def test_regression_metrics_are_those_of_scikit_learn() -> None:
    truth = RANDOM.normal(1e6, 2.0, 100)
    said = truth + RANDOM.normal(0, 1.0, 100)
    weights = RANDOM.uniform(0.1, 2.0, 100)
    wanted = ["mae", "rmse", "r2"]  # those of amounts are in test_severity
    assert evaluate("regression", truth, prediction=said, weights=weights, metrics=wanted) == pytest.approx(
        {
            "mae": sk.mean_absolute_error(truth, said, sample_weight=weights),
            "rmse": sk.root_mean_squared_error(truth, said, sample_weight=weights),
            "r2": sk.r2_score(truth, said, sample_weight=weights),
        }
    )


def test_one_class_leaves_out_what_has_no_value_and_says_why() -> None:
    rows = scored_rows("classification", [0, 0], prediction=[0, 0], score=[0.1, 0.6], positive=1)
    assert set(evaluate_rows(rows)) == {"accuracy", "brier", "log_loss"}
    assert undefined(rows) == {
        "f1_score": "no row is or was predicted positive",
        "precision": "no row was predicted positive",
        "recall": "no row truly is of the class",
        "roc_auc": "the rows do not hold both the class and another one",
        "average_precision": "no row truly is of the class",
    }


def test_a_metric_without_its_input_or_without_rows_says_so() -> None:
    rows = scored_rows("classification", [0, 1], score=[0.2, 0.6])
    assert undefined(rows)["f1_score"] == "it needs a prediction"
    assert undefined(scored_rows("classification", [0, 1]))["brier"] == "it needs a score"
    assert evaluate("regression", [], prediction=[]) == {}
    empty = scored_rows("classification", [], prediction=[], score=[], positive="yes")
    assert set(undefined(empty).values()) == {"there are no rows"}
    assert undefined(scored_rows("regression", [2, 2], prediction=[1, 3])) == {
        "r2": "the truth is the same in every row",
        "gini": "a truth is negative, or the truth is the same in every row",
    }


def test_the_positive_class_is_the_rarer_one_unless_named() -> None:
    truth = ["yes", "no", "no"]
    assert scored_rows("classification", truth).classes == ("no", "yes")
    assert scored_rows("classification", truth, positive="no").classes == ("yes", "no")
    assert scored_rows("classification", [False, True]).classes == (False, True)
    assert scored_rows("classification", ["yes"], positive="yes").classes == ("not yes", "yes")
    both = scored_rows("classification", truth, score=[[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]], classes=["no", "yes"])
    assert both.score is not None
    assert both.score.tolist() == [0.9, 0.2, 0.4]


def test_taking_rows_keeps_the_classes() -> None:
    rows = scored_rows("classification", list("abca"), prediction=list("abcb"), classes=list("abcd"))
    part = rows.take(np.array([True, False, False, True]))
    assert part.classes == tuple("abcd")
    assert evaluate_rows(part, metrics=["accuracy"]) == {"accuracy": 0.5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score": [0.1]}, "score must have 2 rows like y_true but got 1"),
        ({"score": [0.1, np.nan]}, "score must be finite but got nan in row 1"),
        ({"score": [[0.1, 0.2, 0.7]] * 2}, r"score must have a column for each of .* but got shape \(2, 3\)"),
        (
            {"prediction": ["no", "maybe"], "classes": ["no", "yes"]},
            "prediction must hold the classes .*'maybe'",
        ),
        ({"prediction": ["no", None]}, "prediction must have a label in every row but row 1 has none"),
        ({"positive": "maybe"}, "positive must be one of .* but got 'maybe'"),
        ({"metrics": ["f2"]}, r"metric must be a classification metric \(f1_score, .*\) but got 'f2'"),
        ({"metrics": ["rmse"]}, "metric must be a classification metric .* but got 'rmse'"),
    ],
)
def test_unusable_rows_are_refused_with_the_value(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate("classification", ["no", "yes"], **arguments)  # type: ignore[arg-type]


def test_regression_refuses_a_missing_value_and_a_task_that_is_none() -> None:
    with pytest.raises(ValueError, match="y_true must be finite but got nan in row 0"):
        evaluate("regression", [np.nan], prediction=[1.0])
    with pytest.raises(ValueError, match=r"task_type must be .* but got 'ranking'"):
        evaluate("ranking", [1.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positive must be given where the labels are only"):
        evaluate("classification", ["a"])
    with pytest.raises(ValueError, match="positive must be given where the labels are only"):
        evaluate("classification", ["a"], classes=["a", "b"])


def test_the_table_knows_the_direction_of_every_public_spelling() -> None:
    worse_when_high = {name for name, metric in METRICS.items() if not metric.greater_is_better}
    assert worse_when_high == {
        *("brier", "log_loss", "mae", "rmse", "poisson_deviance", "gamma_deviance", "tweedie_deviance")
    }
    assert metric_named("roc_auc").needs == "score"
    assert metrics.names() == [*metrics.names("classification"), *metrics.names("regression")]
