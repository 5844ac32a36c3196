"""A model saved twice, or saved after a load, is the same file."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from registry.artifacts.formats import dump_skops, load_skops

X = np.random.default_rng(0).normal(size=(80, 3))
Y = (X[:, 0] > 0).astype(int)
MODELS = [
    LogisticRegression(),
    make_pipeline(StandardScaler(), LogisticRegression(C=0.3)),
    RandomForestClassifier(5, random_state=0),
    HistGradientBoostingClassifier(max_iter=5, random_state=0),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_one_model_is_one_file(model: BaseEstimator) -> None:
    fitted = model.fit(X, Y)
    first = dump_skops(fitted)
    assert dump_skops(fitted) == first
    back = load_skops(first)
    np.testing.assert_array_equal(back.predict_proba(X), fitted.predict_proba(X))


def test_another_model_is_another_file() -> None:
    assert dump_skops(LogisticRegression().fit(X, Y)) != dump_skops(LogisticRegression().fit(X, 1 - Y))
