"""The trials of a run as Optuna keeps them, and how long the rest of them may take.

Optuna is imported when the first run is looked at: a web process that shows none does not need it."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings

from mlops_site.core.choices import JobState
from training.models import Run

if TYPE_CHECKING:
    import optuna
    from optuna.storages import RDBStorage


def seconds_left(run: Run) -> float | None:
    """How long the trials that are left may take, at the pace of those before; None before the first has ended, and
    of a run that is not at work. What comes after the trials is not in it."""
    from training.ml import pace

    if run.state != JobState.RUNNING or not run.trials_done or run.trials_done >= run.trials_total:
        return None
    spent = {}
    for name in run.spec["model_types"]:
        trials = [trial for trial in finished_trials(run.pk, name) if trial.datetime_start and trial.datetime_complete]
        spent[name] = [(t.datetime_start.timestamp(), t.datetime_complete.timestamp()) for t in trials]
    return pace.seconds_left(spent, run.spec["n_trials"], rest=run.trials_total - run.trials_done)


def finished_trials(run: UUID, model_type: str) -> list[Any]:
    """Complete and pruned ones of one model type, as Optuna's FrozenTrial."""
    from training.ml.sharing import FINISHED

    study = study_of(run, model_type)
    return [] if study is None else study.get_trials(deepcopy=False, states=FINISHED)


def study_of(run: UUID, model_type: str) -> optuna.Study | None:
    """The study of one model type; None before it has begun."""
    import optuna

    try:
        return optuna.load_study(study_name=f"{run}:{model_type}", storage=study_storage())
    except KeyError:
        return None


@cache
def study_storage() -> RDBStorage:
    """Where the studies are; opened once in a process, because opening checks the tables."""
    from training.ml.studies import open_storage

    opened = ExitStack()
    atexit.register(opened.close)
    return opened.enter_context(open_storage(settings.OPTUNA_STORAGE))
