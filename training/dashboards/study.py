"""The trials of a run as numbers for tables and figures."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

from mlops_site.stats.metrics import metric_named
from training import plots
from training.models import Run
from training.selectors.study import finished_trials, study_of

MIN_TRIALS = 4  # complete ones, below which an importance is noise
MOST_SHOWN = 500  # trials in one figure of parameters, the latest


def history_of(run: Run) -> plots.History:
    """All finished trials of the run's studies, in the order in which they ended."""
    metric = run.spec["metric"]
    greater = metric_named(metric).greater_is_better
    finished = [(name, trial) for name in run.spec["model_types"] for trial in finished_trials(run.pk, name)]
    finished.sort(key=lambda pair: pair[1].datetime_complete)
    values = [_value(trial) for _, trial in finished]
    bests = plots.best_so_far(values, greater_is_better=greater)
    points = [
        plots.TrialPoint(order, name, trial.number, trial.state.name.lower(), value, best, _secs(trial))
        for order, ((name, trial), value, best) in enumerate(zip(finished, values, bests, strict=True), start=1)
    ]
    return plots.History(metric, greater, points)


def tried(run: Run, model_type: str | None = None) -> plots.Tried | None:
    """The parameters of one model type's complete trials with their value, of the winner's if none is named; None if
    there are fewer than two. A parameter that some of the trials do not have is left out."""
    name = model_type or (run.best["model_type"] if run.best else "")
    complete = (
        [trial for trial in finished_trials(run.pk, name) if _value(trial) is not None][-MOST_SHOWN:] if name else []
    )
    if len(complete) < 2:
        return None
    shared = set.intersection(*(set(trial.params) for trial in complete))
    names = [param for param in complete[0].params if param in shared]
    columns = [
        plots.Parameter(param, [trial.params[param] for trial in complete], _is_log(complete[0], param))
        for param in names
    ]
    metric = run.spec["metric"]
    values = [float(trial.value) for trial in complete]
    return plots.Tried(name, metric, metric_named(metric).greater_is_better, values, columns) if columns else None


def importance_of(run: Run) -> plots.Importance | None:
    """Of the winning model type's parameters; None if the run has none. Only asked for once a run has ended."""
    if not run.leaderboard:
        return None
    return _importance(run.pk, run.leaderboard[0]["model_type"])


@lru_cache(maxsize=256)
def _importance(run: UUID, model_type: str) -> plots.Importance:
    import optuna

    study = study_of(run, model_type)
    complete = [] if study is None else [t for t in finished_trials(run, model_type) if _value(t) is not None]
    if study is None or len(complete) < MIN_TRIALS:
        return plots.Importance(
            model_type, [], f"{len(complete)} complete trials tell too little; {MIN_TRIALS} are needed"
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    ranked = sorted(((name, float(share)) for name, share in shares.items()), key=lambda item: -item[1])
    return plots.Importance(model_type, ranked, "" if ranked else "no parameter was varied in every trial")


def _is_log(trial: Any, name: str) -> bool:
    return bool(getattr(trial.distributions[name], "log", False))


def _value(trial: Any) -> float | None:
    """Of a complete trial; that of a pruned one is only where it was given up."""
    return float(trial.value) if trial.state.name == "COMPLETE" else None


def _secs(trial: Any) -> float | None:
    return trial.duration.total_seconds() if trial.duration else None
