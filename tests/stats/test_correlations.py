"""Correlations are Spearman's, and a change of one is told from chance."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from mlops_site.stats.correlations import Correlations, changes, correlations


def rows(n: int, r: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    first = random.normal(size=n)
    return np.column_stack([first, r * first + np.sqrt(1 - r * r) * random.normal(size=n), random.normal(size=n)])


def test_they_are_spearmans() -> None:
    table = rows(200, 0.6, 0)
    table[:, 2] = np.round(table[:, 2])  # ties
    expected = stats.spearmanr(table).statistic
    found = correlations(table, ["a", "b", "c"])
    assert found.values == pytest.approx(expected)
    assert (found.counts == 200).all()


def test_a_pair_is_counted_where_both_are_known() -> None:
    table = rows(4_000, 0.6, 1)
    table[:1_000, 0] = np.nan
    table[500:2_000, 1] = np.nan
    found = correlations(table, ["a", "b", "c"])
    assert found.counts[0, 1] == 2_000
    known = table[2_000:]
    assert found.values[0, 1] == pytest.approx(stats.spearmanr(known[:, 0], known[:, 1]).statistic, abs=0.02)


def test_a_constant_has_none_and_no_rows_have_none() -> None:
    table = np.column_stack([np.arange(50.0), np.full(50, 3.0)])
    assert np.isnan(correlations(table, ["a", "b"]).values[0, 1])
    assert np.isnan(correlations(np.empty((0, 2)), ["a", "b"]).values).all()


def test_they_are_read_as_they_were_written() -> None:
    found = correlations(rows(100, 0.3, 2), ["a", "b", "c"])
    again = Correlations.from_json(json.loads(json.dumps(found.to_json())))
    assert again.features == found.features
    above = np.triu_indices(3, 1)
    assert again.values[above] == pytest.approx(found.values[above], abs=1e-4)
    assert (again.counts[above] == 100).all()
    assert again.values[1, 0] == again.values[0, 1]


@pytest.mark.parametrize("bad", [{}, {"features": ["a", "b"], "values": [1, 2], "counts": [3]}, {"features": 3}])
def test_anything_else_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Correlations.from_json(bad)


def test_without_a_change_p_values_are_uniform() -> None:
    reference = correlations(rows(5_000, 0.5, 3), ["a", "b", "c"])
    found = [changes(correlations(rows(300, 0.5, seed), ["a", "b", "c"]), reference) for seed in range(100, 400)]
    for pair in range(3):
        p_values = [each[pair].p_value for each in found]
        assert stats.kstest(p_values, "uniform").pvalue > 0.001
        assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_a_change_is_certain_and_only_shared_pairs_are_compared() -> None:
    reference = correlations(rows(5_000, 0.6, 4), ["a", "b", "c"])
    (first, *others) = changes(correlations(rows(1_000, 0.3, 5), ["a", "b", "c"]), reference)
    assert (first.first, first.second, first.n) == ("a", "b", 1_000)
    assert first.p_value < 1e-12
    assert first.change == pytest.approx(-0.3, abs=0.06)
    assert min(pair.p_value for pair in others) > 0.01
    assert len(changes(correlations(rows(1_000, 0.3, 5)[:, :2], ["b", "a"]), reference)) == 1
    assert changes(correlations(rows(29, 0.3, 5), ["a", "b", "c"]), reference) == []
