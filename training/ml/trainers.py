"""Trainers of which `fit` returns another model than themselves: a plain one of scikit-learn, set right for serving."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from mlops_site.stats.scored import TaskType
from training.ml.histograms import settle, single


class Histograms:
    """Histogram boosting that answers in single precision as in double."""

    def __init__(self, task_type: TaskType, **settings: Any) -> None:
        made = HistGradientBoostingRegressor if task_type == "regression" else HistGradientBoostingClassifier
        self.estimator = made(**settings)

    def fit(self, columns: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on prepared columns (n, columns) and their truth (n,)."""
        return settle(self.estimator.fit(single(columns).astype(np.float64), y, sample_weight=sample_weight))


class Network:
    """A network of `hidden_layers` layers, each of `hidden_units`. Values are learnt on their own scale: what they are
    scaled by is then made part of the last layer."""

    def __init__(self, task_type: TaskType, *, hidden_layers: int, hidden_units: int, **settings: Any) -> None:
        made = MLPRegressor if task_type == "regression" else MLPClassifier
        self.estimator = made(hidden_layer_sizes=(hidden_units,) * hidden_layers, **settings)

    def fit(self, columns: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on prepared columns (n, columns) and their truth (n,)."""
        if isinstance(self.estimator, MLPClassifier):
            return _settled_for(self.estimator, columns, y, sample_weight)
        truth = np.asarray(y, np.float64)
        middle, spread = float(truth.mean()), float(truth.std()) or 1.0
        model = _settled_for(self.estimator, columns, (truth - middle) / spread, sample_weight)
        model.coefs_[-1] *= spread
        model.intercepts_[-1] = model.intercepts_[-1] * spread + middle
        return model


class Elastic:
    """Linear (values) or logistic (classes) regression under both penalties."""

    def __init__(self, task_type: TaskType, **settings: Any) -> None:
        if task_type == "regression":
            self.estimator: Any = ElasticNet(max_iter=5_000, **settings)
        else:
            self.estimator = LogisticRegression(solver="saga", max_iter=1_000, tol=1e-3, **settings)

    def fit(self, columns: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on prepared columns (n, columns) and their truth (n,)."""
        return _settled_for(self.estimator, columns, y, sample_weight)


def _settled_for(estimator: Any, columns: Any, y: Any, sample_weight: Any = None) -> Any:
    """Fit, and take what the last iteration gives: folds judge it, not the distance to an optimum."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(columns, y, sample_weight=sample_weight)
