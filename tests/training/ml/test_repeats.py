"""Two runs of the same spec, compared."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from training.ml import repeats


def entry(name: str, folds: list[float], **params: Any) -> dict[str, Any]:
    return {"model_type": name, "metric": "roc_auc", "folds": folds, "params": params}


def test_folds_are_equal_to_the_last_bit_or_not() -> None:
    was, now = [entry("a", [0.5, 0.75], C=1.0)], [entry("a", [0.5, 0.75 + 2**-53], C=1.0)]
    assert repeats.folds_compared(was, was)[0]["equal"]
    row = repeats.folds_compared(was, now)[0]
    assert (row["equal"], row["difference"]) == (False, 2**-53)


def test_the_same_folds_by_other_parameters_are_not_the_same() -> None:
    row = repeats.folds_compared([entry("a", [0.5], C=1.0)], [entry("a", [0.5], C=2.0)])[0]
    assert (row["equal"], row["params_equal"], row["difference"]) == (False, False, 0.0)


def test_a_model_type_of_one_side_is_not_equal() -> None:
    rows = repeats.folds_compared([entry("a", [0.5])], [entry("a", [0.5]), entry("b", [0.6])])
    assert [(row["model_type"], row["equal"], row["difference"]) for row in rows] == [
        ("a", True, 0.0),
        ("b", False, None),
    ]


def test_a_metric_of_one_side_is_not_equal() -> None:
    rows = repeats.metrics_compared({"a": 1.0}, {"a": 1.0, "b": 2.0})
    assert [row["equal"] for row in rows] == [True, False]


def held(column: str, values: list[Any], keys: str = "abcd") -> pd.DataFrame:
    return pd.DataFrame({"row_key": list(keys), "label": 0, column: values})


def test_answers_are_paired_by_row_whatever_their_order() -> None:
    was = held("score", [0.1, 0.2, 0.3, 0.4])
    assert repeats.answers_compared(was, was[::-1])["equal"]
    found = repeats.answers_compared(was, held("score", [0.1, 0.2, 0.3, 0.9]))
    assert (found["differing"], found["equal"]) == (1, False)
    assert found["difference"] == pytest.approx(0.5)


def test_rows_of_one_side_are_counted() -> None:
    found = repeats.answers_compared(held("score", [0.1] * 4), held("score", [0.1] * 4, "cdef"))
    assert (found["rows"], found["rows_of_one_side"], found["differing"], found["equal"]) == (2, 4, 0, False)


def test_labels_differ_without_a_distance() -> None:
    found = repeats.answers_compared(held("prediction", [1, 2, 3, 1]), held("prediction", [1, 2, 1, 1]))
    assert (found["differing"], found["difference"]) == (1, None)
