"""From model types to one winner: a search each on the same folds, the leaderboard, the refit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import optuna
from django.conf import settings
from django.db.models import Value
from django.db.models.functions import Greatest
from optuna.exceptions import OptunaError, StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from mlops_site.core import jobs
from mlops_site.core.errors import Invalid, Unavailable
from mlops_site.stats import metrics
from training.ml import search, studies
from training.ml.decisions import Rule
from training.ml.estimators import Recipe, device, model_type
from training.ml.preparation import Preparations
from training.models import Run, Share, Training
from training.pipeline.data import Rows
from training.pipeline.steps import Fence, pass_to, say

SEARCH_FROM, SEARCH_TO = 0.05, 0.85  # the share of the progress bar that belongs to the trials


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_storage() -> None:
    """Make Optuna's tables if they are missing. Two first runs may try at once; the slower one looks again."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # each trial is a line of the run's own log
    for wait_secs in (0.5, 1.0, 2.0):
        try:
            with studies.open_storage(settings.OPTUNA_STORAGE):
                return
        except (SQLAlchemyError, OptunaError):
            time.sleep(wait_secs)
    with studies.open_storage(settings.OPTUNA_STORAGE):
        pass


def objective_of(run: Training | Share, rows: Rows, name: str, prepared: Preparations) -> search.Objective:
    """What the trials of one model type of a run are measured on: the same in every process that works on it."""
    jobs_at_once = cores() if model_type(name, rows.task_type).parallel else 1
    monotone = run.spec.get("monotone", {})
    recipe = Recipe(name, rows.task_type, rows.kinds, {}, run.seed, n_jobs=jobs_at_once, monotone=monotone)
    return search.Objective(
        recipe,
        rows.training.frame,
        rows.training.truth,
        rows.folds,
        run.spec["metric"],
        rows.classes,
        prepared,
        rule_of(run.spec),
        rows.training.weights,
    )


def join(
    run: Training | Share,
    objective: search.Objective,
    *,
    seed: int,
    on_trial: Callable[[search.Trial], None],
    should_stop: Callable[[], bool],
    worker: str = "",
) -> search.Best:
    """Work on the study of one model type of a run until it is full, alone or as one `worker` of several. Raises
    LeaseLost, Invalid for data that cannot be scored, Unavailable where Optuna's storage is away."""
    spec, name = run.spec, objective.recipe.name
    of = run.run if isinstance(run, Share) else run
    try:
        return search.search(
            objective,
            storage_url=settings.OPTUNA_STORAGE,
            study_name=study_name(of, name),
            n_trials=spec["n_trials"],
            seed=seed,
            overrides=spec["search_space"].get(name),
            tune=spec["hyperparameter_optimization"],
            on_trial=on_trial,
            should_stop=should_stop,
            worker=worker,
        )
    except search.Stopped:
        raise jobs.LeaseLost(f"attempt {run.attempt} of {run} is no longer current") from None
    except (SQLAlchemyError, StorageInternalError) as error:
        raise Unavailable(f"Optuna's storage does not answer: {type(error).__name__}", code="optuna_down") from error
    except ValueError as error:
        raise Invalid(f"{name} cannot be trained on {run.dataset}: {error}", code="not_trainable") from error


def searched(run: Training, rows: Rows) -> list[search.Best]:
    """The best of each model type, best first, with the leaderboard kept in the row. A study that an earlier
    attempt began is continued. Raises LeaseLost, and Invalid for data that cannot be scored."""
    found: list[search.Best] = []
    prepared = Preparations(rows.training.frame)
    for name in run.spec["model_types"]:
        done = sum(best.trials for best in found)
        pass_to(run, f"search {name}", progress=share_done(run, done), trials_done=_at_least(done))
        found.append(_best(run, rows, name, prepared, done=done))
        found.sort(key=lambda best: best.mean, reverse=_greater(run))
        board = [entry(run, best) for best in found]
        if len(board) > len(run.leaderboard):
            best = {"model_type": board[0]["model_type"], "value": board[0]["mean"]}
            jobs.advance(run, leaderboard=board, best=best)
    return found


def rule_of(spec: dict[str, Any]) -> Rule:
    """How the run chooses between two classes."""
    return Rule.of(spec.get("cost_matrix"), spec.get("capacity"))


def entry(run: Training, best: search.Best) -> dict[str, Any]:
    """A model type's line on the leaderboard."""
    return {
        "model_type": best.recipe.name,
        "metric": run.spec["metric"],
        "mean": best.mean,
        "se": best.se,
        "folds": list(best.values),
        "params": dict(best.recipe.params),
    }


def study_name(run: Training, model_type: str) -> str:
    """The name of the Optuna study of one model type of a run."""
    return f"{run.pk}:{model_type}"


def _best(run: Training, rows: Rows, name: str, prepared: Preparations, *, done: int) -> search.Best:
    if found := device(name):
        say(run, f"{name} trains on {found[0]}: {found[1]}")
    return join(
        run,
        objective_of(run, rows, name, prepared),
        seed=run.seed,
        on_trial=lambda trial: _hear(run, name, trial, done),
        should_stop=Fence(run),
        worker=str(run.pk) if is_spread(run) else "",
    )


def is_spread(run: Training) -> bool:
    """Whether other workers join the studies; a reproduction is always alone."""
    return isinstance(run, Run) and run.spec.get("workers", 1) > 1


def _hear(run: Training, name: str, trial: search.Trial, done: int) -> None:
    """A finished trial: progress, the best so far and a line of the log."""
    metric, total = run.spec["metric"], done + trial.done
    value = "pruned" if trial.value is None else f"{metric} {trial.value:.4f}"
    best = run.best
    if trial.value is not None and (best is None or _better(run, trial.value, best["value"])):
        best = {"model_type": name, "value": trial.value}
    jobs.advance(run, progress=share_done(run, total), trials_done=_at_least(total), best=best)
    shown = f"{best['value']:.4f}" if best else "none"
    say(run, f"{name} trial {trial.done} of {trial.total}: {value}, best so far {shown}")


def _at_least(done: int) -> Any:
    """Another worker may have counted further."""
    return Greatest("trials_done", Value(done))


def share_done(run: Training | Share, done: int) -> float:
    """The progress of a run of which so many trials are finished."""
    return SEARCH_FROM + (SEARCH_TO - SEARCH_FROM) * done / run.trials_total


def _greater(run: Training) -> bool:
    return metrics.metric_named(run.spec["metric"]).greater_is_better


def _better(run: Training, value: float, best: float) -> bool:
    return value > best if _greater(run) else value < best
