"""The winner's scores as probabilities, where the run asked for it and it helps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from training.ml import calibration, evaluate, search
from training.models import Training
from training.pipeline.data import Rows
from training.pipeline.selection import rule_of
from training.pipeline.steps import say


class Calibrated(NamedTuple):
    """The pipeline that is kept, its threshold, and what was tried; None where nothing was asked for."""

    pipeline: Any
    threshold: float | None
    told: dict[str, Any] | None = None


def calibrated(run: Training, best: search.Best, pipeline: Any, rows: Rows) -> Calibrated:
    """Calibrate a refitted winner by what it says out of fold, and cut its new scores by the run's own rule."""
    asked = run.spec.get("calibration")
    if asked is None or rows.classes is None:
        return Calibrated(pipeline, best.threshold)
    training = rows.training
    scores = evaluate.cross_validate(
        best.recipe,
        training.frame,
        training.truth,
        rows.folds,
        metric="log_loss",
        classes=rows.classes,
        weights=training.weights,
    )
    positive = training.truth == rows.classes[1]
    methods = calibration.METHODS if asked == "auto" else (asked,)
    log_odds = hasattr(pipeline[-1], "decision_function")
    choice = calibration.choose(scores.out_of_fold, positive, rows.folds, methods, log_odds=log_odds)
    told = {"asked": asked, **choice.to_json()}
    if choice.method is None:
        say(run, f"no calibration: {' and '.join(methods)} would not lower log loss and Brier score out of fold")
        return Calibrated(pipeline, best.threshold, told)
    before, after = choice.tried["none"], choice.tried[choice.method]
    say(run, f"{choice.method} calibration: log loss out of fold {before['log_loss']:.4f} to {after['log_loss']:.4f}")
    done = calibration.calibrated(pipeline, choice.method, scores.out_of_fold, positive, rows.classes[1])
    said = calibration.applied(done, scores.out_of_fold, rows.classes[1])
    known = np.isfinite(said)
    return Calibrated(done, rule_of(run.spec).threshold(said[known], positive[known]), told)
