"""The trials of a run as Optuna keeps them, as numbers for a table and a figure.

Optuna and scikit-learn are imported when the first run is looked at: a web process that shows none needs neither."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings

from mlops_site.stats.metrics import metric_named
from training import plots
from training.models import Run

if TYPE_CHECKING:
    import optuna
    from optuna.storages import RDBStorage

MIN_TRIALS = 4  # complete ones, below which an importance is noise


def history_of(run: Run) -> plots.History:
    """All finished trials of the run's studies, in the order in which they ended."""
    metric = run.spec["metric"]
    greater = metric_named(metric).greater_is_better
    finished = [(name, trial) for name in run.spec["model_types"] for trial in _finished(run.pk, name)]
    finished.sort(key=lambda pair: pair[1].datetime_complete)
    values = [_value(trial) for _, trial in finished]
    bests = plots.best_so_far(values, greater_is_better=greater)
    points = [
        plots.TrialPoint(order, name, trial.number, trial.state.name.lower(), value, best, _secs(trial))
        for order, ((name, trial), value, best) in enumerate(zip(finished, values, bests, strict=True), start=1)
    ]
    return plots.History(metric, greater, points)


def importance_of(run: Run) -> plots.Importance | None:
    """Of the winning model type's parameters; None if the run has none. Only asked for once a run has ended."""
    if not run.leaderboard:
        return None
    return _importance(run.pk, run.leaderboard[0]["model_type"])


@lru_cache(maxsize=256)
def _importance(run: UUID, model_type: str) -> plots.Importance:
    import optuna

    study = _study(run, model_type)
    complete = [] if study is None else [t for t in _finished(run, model_type) if _value(t) is not None]
    if study is None or len(complete) < MIN_TRIALS:
        return plots.Importance(
            model_type, [], f"{len(complete)} complete trials tell too little; {MIN_TRIALS} are needed"
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    ranked = sorted(((name, float(share)) for name, share in shares.items()), key=lambda item: -item[1])
    return plots.Importance(model_type, ranked, "" if ranked else "no parameter was varied in every trial")


def _finished(run: UUID, model_type: str) -> list[Any]:
    from training.ml.sharing import FINISHED

    study = _study(run, model_type)
    return [] if study is None else study.get_trials(deepcopy=False, states=FINISHED)


def _study(run: UUID, model_type: str) -> optuna.Study | None:
    import optuna

    try:
        return optuna.load_study(study_name=f"{run}:{model_type}", storage=study_storage())
    except KeyError:  # not begun
        return None


@cache
def study_storage() -> RDBStorage:
    """Where the studies are; opened once in a process, because opening checks the tables."""
    from training.ml.studies import open_storage

    opened = ExitStack()
    atexit.register(opened.close)
    return opened.enter_context(open_storage(settings.OPTUNA_STORAGE))


def _value(trial: Any) -> float | None:
    """Of a complete trial; that of a pruned one is only where it was given up."""
    return float(trial.value) if trial.state.name == "COMPLETE" else None


def _secs(trial: Any) -> float | None:
    return trial.duration.total_seconds() if trial.duration else None
