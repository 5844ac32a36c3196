"""Data sets made through the services, and runs as their workers leave them: the pages only read."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import numpy as np
import optuna
import pandas as pd
from django.utils import timezone
from PIL import Image

from mlops_site.core.choices import JobState
from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from training import services as training
from training.ml import repeats
from training.models import DatasetVersion, Reproduction, Run, RunLine, RunNote
from training.selectors.study import study_storage

GATE: dict[str, Any] = {
    "passed": True,
    "policy": {"metric": "roc_auc", "need": "non_inferior", "margin": 0.01},
    "checks": [
        {
            "name": "holdout_rows",
            "level": "pass",
            "passed": True,
            "values": {"rows": 1139},
            "message": "The holdout has 1,139 rows, 120 of the rarest class; at least 200 and 20 are needed.",
        },
        {
            "name": "threshold",
            "level": "remark",
            "passed": None,
            "values": {"estimate": 0.749},
            "message": "roc_auc on the holdout is 0.7490 (95 % interval 0.7290 to 0.7690); no threshold was set.",
        },
        {
            "name": "comparison",
            "level": "pass",
            "passed": True,
            "values": {"estimate": 0.013},
            "message": "Against the champion the gain in roc_auc is +0.0130 (95 % interval +0.0060 to +0.0200); "
            "to be no worse the lower end must lie above -0.0100.",
        },
        {
            "name": "slices",
            "level": "pass",
            "passed": True,
            "message": "0 of 2 slices are significantly worse; the largest loss is -0.0040 in plan = free.",
            "values": {
                "slices": [
                    {"slice": "plan = free", "rows": 380, "gain": -0.004, "p_value": 0.41, "adjusted": 0.82},
                    {"slice": "plan = family", "rows": 402, "gain": 0.011, "p_value": 0.93, "adjusted": 0.93},
                ]
            },
        },
    ],
}


def dataset_version(scientist: Actor, *, name: str = "hie", rows: int = 300) -> DatasetVersion:
    """A csv of claims with a gap and a category, uploaded."""
    random = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "person": np.arange(rows) // 2,
            "age": random.normal(50, 10, rows).round(1),
            "visits": random.poisson(3, rows),
            "plan": random.choice(["free", "family", "individual"], rows),
            "high_cost": random.integers(0, 2, rows),
        }
    )
    frame.loc[5, "age"] = None
    source = io.BytesIO(frame.to_csv(index=False).encode())
    return training.create_dataset_version(
        actor=scientist, name=name, source=source, filename=f"{name}.csv", target="high_cost", group_column="person"
    )


def queued_run(scientist: Actor, model: RegisteredModel, dataset: DatasetVersion, **asked: Any) -> Run:
    types = ["random_forest", "logistic_regression"]
    spec = {"n_trials": 6, "model_types": types, "metric": "roc_auc", **asked}
    return training.request_run(actor=scientist, model_name=model.name, dataset=str(dataset), **spec)


def working_run(scientist: Actor, model: RegisteredModel, dataset: DatasetVersion, *, trials: bool = True) -> Run:
    """A run in the middle of its search."""
    run = queued_run(scientist, model, dataset)
    if trials:
        studied(run, "random_forest", 4)
    return _written(
        run,
        state=JobState.RUNNING,
        progress=0.35,
        step="search random_forest",
        trials_done=4,
        attempt=1,
        started_at=timezone.now() - timedelta(seconds=95),
        lease_until=timezone.now() + timedelta(hours=1),
        best={"model_type": "random_forest", "value": 0.7461},
    )


def succeeded_run(scientist: Actor, model: RegisteredModel, dataset: DatasetVersion, *, trials: bool = True) -> Run:
    run = queued_run(scientist, model, dataset)
    for name in run.spec["model_types"] if trials else ():
        studied(run, name, 6)
    board = [
        {
            "model_type": name,
            "metric": "roc_auc",
            "mean": mean,
            "se": 0.0061,
            "folds": [mean - 0.01, mean, mean + 0.01],
            "params": {},
        }
        for name, mean in (("random_forest", 0.7512), ("logistic_regression", 0.7304))
    ]
    now = timezone.now()
    return _written(
        run,
        state=JobState.SUCCEEDED,
        progress=1.0,
        step="done",
        trials_done=12,
        attempt=1,
        leaderboard=board,
        gate=GATE,
        best={"model_type": "random_forest", "value": 0.7512},
        started_at=now - timedelta(minutes=4),
        finished_at=now,
    )


def reproduced_run(scientist: Actor, run: Run, *, equal: bool = False) -> Reproduction:
    """The run done again: the same came out, or a fold and two predictions are not the same."""
    row = training.request_reproduction(run, actor=scientist)
    was = [0.7412, 0.7512, 0.7612]
    now = was if equal else [0.7412, 0.7512, 0.7597]
    folds = repeats.folds_compared([_entry(was)], [_entry(now)])
    holdout = repeats.metrics_compared({"roc_auc": 0.749}, {"roc_auc": 0.749 if equal else 0.748})
    answers = pd.DataFrame({"row_key": np.arange(60), "score": 0.25})
    moved = answers.assign(score=np.where(answers.row_key < (0 if equal else 2), 0.26, 0.25))
    predictions = repeats.answers_compared(answers, moved)
    message = "requirements.lock is another one"
    differs = [] if equal else [{"what": "lock", "was": "a" * 64, "now": "b" * 64, "message": message}]
    outcome = {"equal": equal, "folds": folds, "holdout": holdout, "predictions": predictions, "differences": differs}
    ended = {"state": JobState.SUCCEEDED, "attempt": 1, "progress": 1.0, "step": "done", "outcome": outcome}
    Reproduction.objects.filter(pk=row.pk).update(**ended, finished_at=timezone.now())
    row.refresh_from_db()
    return row


def _entry(folds: list[float]) -> dict[str, Any]:
    return {"model_type": "random_forest", "metric": "roc_auc", "folds": folds, "params": {}}


def noted(scientist: Actor, run: Run) -> RunNote:
    """A note with a small figure."""
    sink = io.BytesIO()
    Image.new("RGB", (64, 40), (0, 114, 178)).save(sink, "PNG")
    sink.seek(0)
    return training.add_note(run, actor=scientist, text="The folds agree.", figure=sink, name="folds.png")


def failed_run(scientist: Actor, model: RegisteredModel, dataset: DatasetVersion) -> Run:
    error = "stopped after 3 attempts without progress; the last one: it was killed by signal 9"
    run = queued_run(scientist, model, dataset)
    now = timezone.now()
    return _written(run, state=JobState.FAILED, attempt=3, error=error, started_at=now, finished_at=now)


def _written(run: Run, **fields: Any) -> Run:
    """As the worker leaves it; the pages only read."""
    Run.objects.filter(pk=run.pk).update(**fields)
    for text in ("read hie@1: 300 rows, 4 columns", "240 rows to train on, 60 held out", "search random_forest"):
        RunLine.objects.create(run=run, attempt=1, text=text)
    run.refresh_from_db()
    return run


def studied(run: Run, model_type: str, trials: int) -> None:
    """Finished trials of an Optuna study, one of them pruned."""
    distributions = {
        "max_depth": optuna.distributions.IntDistribution(2, 12),
        "max_features": optuna.distributions.FloatDistribution(0.1, 1.0),
    }
    study = optuna.create_study(storage=study_storage(), study_name=f"{run.pk}:{model_type}", direction="maximize")
    for number in range(trials):
        params = {"max_depth": 2 + 2 * number % 10, "max_features": 0.1 + 0.13 * (number % 7)}
        state = optuna.trial.TrialState.PRUNED if number == 2 else optuna.trial.TrialState.COMPLETE
        value = 0.70 + 0.02 * ((number * 7) % 5) / 5 + 0.003 * params["max_depth"]
        study.add_trial(optuna.trial.create_trial(state=state, value=value, params=params, distributions=distributions))
