"""An Optuna search of one model type: resumable, shared by any number of workers, ending with exactly n trials."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from numpy.typing import ArrayLike
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import MaxTrialsCallback, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from mlops_site.stats.metrics import metric_named
from training.ml.decisions import BEST_F1, Rule
from training.ml.estimators import Recipe, Weights, default_params, search_space
from training.ml.evaluate import Classes, FoldScores, cross_validate
from training.ml.parted import Table
from training.ml.preparation import Preparations
from training.ml.sharing import FINISHED, Lost, Surplus, check_room, quiet_about, retry_running, told_already
from training.ml.space import Space, suggest
from training.ml.spaces import Params
from training.ml.splits import Fold
from training.ml.studies import open_storage

WAIT_SECS = 0.2  # between looks at a study that others fill


class Stopped(Exception):
    """The caller asked for the end; finished trials are kept and the study can be resumed."""


@dataclass(frozen=True)
class Trial:
    """A finished trial: `value` is the mean over the folds (None if pruned), `done` of `total` counts them all."""

    number: int
    state: str
    value: float | None
    params: Params
    done: int
    total: int
    best: float | None


@dataclass(frozen=True)
class Best:
    """The best recipe of a search, its metric on each fold, and its threshold (see `FoldScores`)."""

    recipe: Recipe
    number: int
    values: tuple[float, ...]
    mean: float
    se: float
    threshold: float | None
    trials: int


@dataclass(frozen=True, eq=False)
class Objective:
    """What every trial is measured on; `recipe` carries all but the parameters."""

    recipe: Recipe
    frame: Table
    y: ArrayLike
    splits: Sequence[Fold]
    metric: str
    classes: Classes = None
    prepared: Preparations | None = None  # shared by the searches of one run
    rule: Rule = BEST_F1
    weights: Weights = None

    def scores(self, params: Mapping[str, Any], on_fold: Callable[[int, float], None]) -> FoldScores:
        return cross_validate(
            replace(self.recipe, params=dict(params)),
            self.frame,
            self.y,
            self.splits,
            metric=self.metric,
            classes=self.classes,
            on_fold=on_fold,
            prepared=self.prepared,
            rule=self.rule,
            weights=self.weights,
        )


def search(
    objective: Objective,
    *,
    storage_url: str,
    study_name: str,
    n_trials: int,
    seed: int,
    overrides: Mapping[str, object] | None = None,
    tune: bool = True,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    should_stop: Callable[[], bool] = lambda: False,
    worker: str = "",
) -> Best:
    """Search until the study has `n_trials` finished trials (one, of the defaults, without `tune`).

    A study of that name is resumed: what is finished counts, and a trial whose process died is tried again with
    its parameters. Without `worker` the caller is alone at the study (it holds the run's lease), and what is found
    running is of the dead. With it, as one of several, only what bears its own name is; that of others is dead when
    its heartbeat is stale, and each worker needs a `seed` of its own. The first trial is the default parameters where
    the space has them. A pruned trial counts as finished. `should_stop` is asked after every fold.

    Raises:
        Stopped: `should_stop` said so.
        ValueError: a parameter of `overrides` or the metric is unknown, or a fold cannot be scored.
    """
    if n_trials < 1:
        raise ValueError(f"n_trials must be at least 1 but got {n_trials}")
    recipe, wanted = objective.recipe, n_trials if tune else 1
    space = search_space(recipe.name, recipe.task_type, overrides=overrides)
    with open_storage(storage_url) as storage:
        study = _study(storage, study_name, objective)
        _first_defaults(study, recipe, space)
        retry_running(study, storage, worker)
        lost = Lost(study, storage)
        _run(study, objective, space, wanted, seed, on_trial, should_stop, worker, lost)
        return _best(study, recipe)


def _study(storage: RDBStorage, study_name: str, objective: Objective) -> optuna.Study:
    greater = metric_named(objective.metric, task_type=objective.recipe.task_type).greater_is_better
    return optuna.create_study(
        storage=storage,
        study_name=study_name,
        direction=StudyDirection.MAXIMIZE if greater else StudyDirection.MINIMIZE,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
        load_if_exists=True,
    )


def _first_defaults(study: optuna.Study, recipe: Recipe, space: Space) -> None:
    defaults = default_params(recipe.name, recipe.task_type)
    fitting = {name: value for name, value in defaults.items() if value in space[name]}
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(fitting)


def _run(
    study: optuna.Study,
    objective: Objective,
    space: Space,
    wanted: int,
    seed: int,
    on_trial: Callable[[Trial], None],
    should_stop: Callable[[], bool],
    worker: str,
    lost: Lost,
) -> None:
    def measured(trial: optuna.Trial) -> float:
        check_room(study, trial, wanted)
        if worker:
            trial.set_user_attr("worker", worker)
        return _measured(trial, objective, space, should_stop)

    def heard(_: optuna.Study, trial: FrozenTrial) -> None:
        if trial.state in FINISHED:
            on_trial(_finished(study, trial, wanted))

    while _count(study) < wanted:
        _stop_if(should_stop)
        if _count(study, TrialState.RUNNING) >= wanted:
            lost.retry()
            time.sleep(WAIT_SECS)
            continue
        # A resumed sampler with the first seed would propose the first trials again.
        study.sampler = optuna.samplers.TPESampler(seed=(seed + len(study.get_trials(deepcopy=False))) % 2**32)
        with contextlib.suppress(Surplus, UpdateFinishedTrialError), told_already(), quiet_about(Surplus, Stopped):
            study.optimize(measured, callbacks=[heard, MaxTrialsCallback(wanted, states=FINISHED)])


def _measured(trial: optuna.Trial, objective: Objective, space: Space, should_stop: Callable[[], bool]) -> float:
    seen: list[float] = []

    def on_fold(number: int, value: float) -> None:
        _stop_if(should_stop)
        seen.append(value)
        trial.report(sum(seen) / len(seen), number)
        # After the last fold nothing is saved by pruning.
        if len(seen) < len(objective.splits) and trial.should_prune():
            raise optuna.TrialPruned

    scores = objective.scores(suggest(trial, space), on_fold)
    trial.set_user_attr("folds", list(scores.values))
    trial.set_user_attr("se", scores.se)
    trial.set_user_attr("threshold", scores.threshold)
    return scores.mean


def _stop_if(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise Stopped


def _count(study: optuna.Study, *more: TrialState) -> int:
    return len(study.get_trials(deepcopy=False, states=(*FINISHED, *more)))


def _finished(study: optuna.Study, trial: FrozenTrial, wanted: int) -> Trial:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    value = trial.value if trial.state == TrialState.COMPLETE else None
    best = study.best_value if complete else None
    return Trial(trial.number, trial.state.name.lower(), value, dict(trial.params), _count(study), wanted, best)


def _best(study: optuna.Study, recipe: Recipe) -> Best:
    trial = study.best_trial
    folds, se, threshold = (trial.user_attrs[key] for key in ("folds", "se", "threshold"))
    params = {**default_params(recipe.name, recipe.task_type), **trial.params}
    found = replace(recipe, params=params)
    return Best(found, trial.number, tuple(folds), study.best_value, se, threshold, _count(study))
