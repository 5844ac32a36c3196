"""Scores of two classes as probabilities that hold, where that helps: judged out of fold, never on the holdout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV, _CalibratedClassifier, _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression
from sklearn.pipeline import Pipeline

from mlops_site.stats.metrics import evaluate
from training.ml.splits import Fold

Floats = NDArray[np.float64]
Method = Literal["sigmoid", "isotonic"]
METHODS: tuple[Method, ...] = get_args(Method)
_LEAST = 1e-9  # a probability of nought has no finite log-odds


@dataclass(frozen=True)
class Choice:
    """What was chosen: `method` or None where nothing helps; log loss and Brier score out of fold of each that was
    tried and of "none"."""

    method: Method | None
    tried: dict[str, dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def choose(
    scores: Floats,
    positive: NDArray[np.bool_],
    splits: Sequence[Fold],
    methods: Sequence[Method],
    *,
    log_odds: bool = False,
) -> Choice:
    """The method of which log loss and Brier score are both below those of the scores as they are.

    `scores` (n,) were given out of fold, NaN where a row is in no test fold; each fold's are calibrated by what the
    others say; with `log_odds` as `calibrated` does it for a model that has a decision function.
    """
    asked = np.where(np.isfinite(scores), _log_odds(scores), np.nan) if log_odds else scores
    rows = np.concatenate([test for _, test in splits])
    tried = {"none": _judged(scores[rows], positive[rows])}
    for method in methods:
        said = np.empty(len(rows))
        at = 0
        for _, test in splits:
            others = np.setdiff1d(rows, test)
            said[at : at + len(test)] = _fitted(method, asked[others], positive[others]).predict(asked[test])
            at += len(test)
        tried[method] = _judged(np.clip(said, 0, 1), positive[rows])
    before = tried["none"]
    helping = [method for method in methods if all(tried[method][name] < before[name] for name in before)]
    ranked = sorted(helping, key=lambda method: tried[method]["log_loss"])
    return Choice(ranked[0] if ranked else None, tried)


def calibrated(pipeline: Pipeline, method: Method, scores: Floats, positive: NDArray[np.bool_], label: Any) -> Pipeline:
    """The pipeline with its last step wrapped as scikit-learn wraps it; `label` is the positive class of the scores."""
    model = pipeline[-1]
    known = np.isfinite(scores)
    said, truth = scores[known], positive[known]
    if model.classes_.tolist()[1] != label:
        said, truth = 1 - said, ~truth
    if hasattr(model, "n_jobs"):
        model.set_params(n_jobs=None)  # else the artifact would tell how many cores this machine has
    asked = _log_odds(said) if hasattr(model, "decision_function") else said
    one = _CalibratedClassifier(model, [_fitted(method, asked, truth)], classes=model.classes_, method=method)
    whole = CalibratedClassifierCV(method=method, ensemble=False)
    whole.classes_, whole.calibrated_classifiers_, whole.n_features_in_ = model.classes_, [one], model.n_features_in_
    return Pipeline([*pipeline.steps[:-1], ("model", whole)])


def applied(pipeline: Pipeline, scores: Floats, label: Any) -> Floats:
    """What a calibrated pipeline makes of scores (n,) of the class `label`; NaN stays."""
    (one,) = pipeline[-1].calibrated_classifiers_
    known, turned = np.isfinite(scores), one.classes.tolist()[1] != label
    said = 1 - scores[known] if turned else scores[known]
    asked = _log_odds(said) if hasattr(one.estimator, "decision_function") else said
    found = np.clip(one.calibrators[0].predict(asked), 0, 1)
    out = np.full(len(scores), np.nan)
    out[known] = 1 - found if turned else found
    return out


def _fitted(method: Method, scores: Floats, positive: NDArray[np.bool_]) -> Any:
    made = IsotonicRegression(out_of_bounds="clip") if method == "isotonic" else _SigmoidCalibration()
    return made.fit(scores, positive.astype(np.float64))


def _log_odds(scores: Floats) -> Floats:
    inside = np.clip(scores, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(inside / (1 - inside)), np.float64)


def _judged(scores: Floats, positive: NDArray[np.bool_]) -> dict[str, float]:
    return evaluate("classification", positive.astype(int), score=scores, positive=1, metrics=["log_loss", "brier"])
