"""What a data scientist would write by hand: plain scikit-learn and Optuna, beside which a run is measured."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import optuna


def _pipeline(asked: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
    """The model of the asked type behind its columns, not yet fitted."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    named = {kind: [name for name, of in asked["kinds"].items() if of == kind] for kind in ("number", "category")}
    if asked["type"] == "random_forest":
        model: Any = RandomForestClassifier(**params, random_state=asked["seed"], n_jobs=os.cpu_count())
    else:
        model = HistGradientBoostingClassifier(**params, random_state=asked["seed"])
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    numbers = ("n", SimpleImputer(strategy="median"), named["number"])
    return Pipeline([("columns", ColumnTransformer([numbers, ("c", encoder, named["category"])])), ("model", model)])


def bare(folder: Path) -> None:
    """Plain scikit-learn and Optuna."""
    import optuna
    import pandas as pd
    from optuna.study import MaxTrialsCallback
    from sklearn.metrics import roc_auc_score

    from training.ml.estimators import search_space
    from training.ml.space import suggest  # `trial.suggest_float` and its like

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = json.loads((folder / "asked.json").read_text())
    space = search_space(asked["type"], "classification")
    frame, truth = pd.read_parquet(folder / "rows.parquet"), np.load(folder / "truth.npz")["truth"]

    def fitted(params: Mapping[str, Any], rows: Any) -> Any:
        return _pipeline(asked, params).fit(frame.iloc[rows], truth[rows])

    def objective(trial: optuna.Trial) -> float:
        if "folds" not in trial.user_attrs:  # all that were queued have been taken: no time is lost on one more
            trial.study.stop()
            raise optuna.TrialPruned
        params, folds = suggest(trial, space), trial.user_attrs["folds"]
        values: list[float] = []
        for train, test in asked["folds"][:folds]:
            said = fitted(params, train).predict_proba(frame.iloc[test])[:, 1]
            values.append(float(roc_auc_score(truth[test], said)))
            trial.report(statistics.fmean(values), len(values))
        return statistics.fmean(values)

    if "study" in asked:
        study = optuna.load_study(study_name=asked["study"], storage=asked["storage"])
        study.optimize(objective, callbacks=[MaxTrialsCallback(len(asked["trials"]))])
        return
    study = optuna.create_study(direction="maximize")
    for params, folds in asked["trials"]:
        study.enqueue_trial(params, user_attrs={"folds": folds})
    study.optimize(objective, n_trials=len(asked["trials"]))
    best = max(study.trials, key=lambda trial: trial.value or 0.0)
    fitted(best.params, np.arange(len(frame)))
