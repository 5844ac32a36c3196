"""Samples of rows as a whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats.columns import Kind
from monitoring.stats.multivariate import multivariate

KINDS: dict[str, Kind] = {"a": "number", "b": "number", "c": "number", "site": "category"}


def rows(seed: int, count: int, *, tied: float = 0.8, shift: float = 0.0) -> pd.DataFrame:
    """Numbers with one correlation, each standard normal."""
    random = np.random.default_rng(seed)
    shared = random.normal(size=count)[:, None]
    table = np.sqrt(tied) * shared + np.sqrt(1 - tied) * random.normal(size=(count, 3)) + shift
    frame = pd.DataFrame(table, columns=["a", "b", "c"])
    return frame.assign(site=random.choice(["x", "y"], count))


def test_rows_of_one_distribution_are_alike() -> None:
    found = multivariate(rows(1, 500), rows(2, 500), KINDS)
    assert found.classifier is not None
    assert found.reconstruction is not None
    assert not found.drifted
    assert found.classifier.ci95[0] < 0.5 < found.classifier.ci95[1]
    assert (found.rows, found.reference_rows, found.note) == (500, 500, "")


def test_a_broken_relation_is_seen_though_each_column_is_spread_as_before() -> None:
    found = multivariate(rows(1, 500, tied=0.0), rows(2, 500), KINDS)
    assert found.drifted
    assert found.classifier is not None
    assert found.reconstruction is not None
    assert found.classifier.auc > 0.6
    assert found.reconstruction.error > 1.2 * found.reconstruction.reference_error


@pytest.mark.slow
def test_p_values_are_not_too_small_without_a_difference() -> None:
    said = [multivariate(rows(100 + i, 300), rows(900 + i, 400), KINDS) for i in range(200)]
    for part in ("classifier", "reconstruction"):
        p_values = np.array([getattr(each, part).p_value for each in said])
        assert (p_values <= 0.05).mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)


def test_what_cannot_be_compared_says_why() -> None:
    assert multivariate(rows(1, 99), rows(2, 500), KINDS).note == "too few rows of the window (99 of at least 100)"
    assert multivariate(rows(1, 500), rows(2, 20), KINDS).note == "too few rows of the reference (20 of at least 100)"
    words = pd.DataFrame({"a": ["?"] * 200})
    assert multivariate(words, words, {"a": "number"}).note == "no column can be read on both sides"


def test_missing_constant_and_single_columns_break_nothing() -> None:
    frame = rows(1, 300).assign(b=np.nan, c=1.0)
    found = multivariate(frame, frame, KINDS)
    assert (found.drifted, found.note) == (False, "")
    assert multivariate(frame[["a"]], frame[["a"]], {"a": "number"}).reconstruction is None
