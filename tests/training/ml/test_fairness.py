"""Groups of a holdout side by side: counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats.scored import scored_rows
from training.ml.fairness import MAX_LEVELS, by_group, levels

RANDOM = np.random.default_rng(1)
N = 900
TRUTH = RANDOM.integers(0, 2, N)
SAID = np.where(RANDOM.random(N) < 0.7, TRUTH, 1 - TRUTH)
SEX = pd.Series(np.where(np.arange(N) % 3 == 0, "f", "m"))
ROWS = scored_rows("classification", TRUTH, prediction=SAID, positive=1)


def test_rates_of_two_classes_are_those_of_the_group() -> None:
    found = by_group(ROWS, {"sex": SEX})["sex"]
    for told in found["groups"]:
        mine = (told["group"] == SEX).to_numpy()
        truth, said = TRUTH[mine], SAID[mine]
        assert told["rows"] == mine.sum()
        assert told["accuracy"] == pytest.approx((truth == said).mean())
        assert told["selection_rate"] == pytest.approx(said.mean())
        assert told["true_positive_rate"] == pytest.approx(said[truth == 1].mean())
        assert told["false_positive_rate"] == pytest.approx(said[truth == 0].mean())
    rates = [told["selection_rate"] for told in found["groups"]]
    assert found["difference"]["selection_rate"] == pytest.approx(max(rates) - min(rates))


def test_small_groups_are_counted_not_told() -> None:
    site = pd.Series(np.where(np.arange(N) < 850, "big", "small"))
    found = by_group(ROWS, {"site": site})["site"]
    assert [told["group"] for told in found["groups"]] == ["big"]
    assert found["too_small"] == 1
    assert by_group(ROWS, {"site": pd.Series(np.arange(N).astype(str))}, min_rows=901)["site"]["groups"] == []


def test_a_group_of_one_class_has_no_rate_of_the_other() -> None:
    one = scored_rows("classification", np.r_[np.zeros(200, int), np.ones(200, int)], prediction=np.ones(400, int))
    found = by_group(one, {"half": pd.Series(np.repeat(["a", "b"], 200))})["half"]
    assert [told["selection_rate"] for told in found["groups"]] == [1.0, 1.0]


def test_values_are_told_by_their_error() -> None:
    rows = scored_rows("regression", np.arange(N, dtype=float), prediction=np.arange(N) + 2.0)
    found = by_group(rows, {"sex": SEX})["sex"]
    assert {told["mae"] for told in found["groups"]} == {2.0}
    assert found["difference"]["mae"] == 0.0


def test_levels_are_few() -> None:
    numbers = levels(pd.Series([*range(100), np.nan]))
    assert numbers.nunique() == 5
    assert numbers.iloc[-1] == "missing"
    texts = levels(pd.Series([f"t{at % 60}" for at in range(600)]))
    assert texts.nunique() == MAX_LEVELS + 1
    assert levels(pd.Series([1, 2, 2])).tolist() == ["1", "2", "2"]
