"""An Optuna search of one model type: resumable, shared by any number of workers, ending with exactly n trials."""

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
import pandas as pd
from numpy.typing import ArrayLike
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.study import MaxTrialsCallback, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from mlops_site.stats.metrics import metric_named
from training.ml.decisions import BEST_F1, Rule
from training.ml.estimators import Recipe, Weights, default_params, search_space
from training.ml.evaluate import Classes, FoldScores, cross_validate
from training.ml.preparation import Preparations
from training.ml.space import Space, suggest
from training.ml.spaces import Params
from training.ml.splits import Fold
from training.ml.studies import HEARTBEAT_SECS, open_storage

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class Stopped(Exception):
    """The caller asked for the end; finished trials are kept and the study can be resumed."""


class _Surplus(Exception):
    """Enough trials are finished or under way in other workers."""


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
    frame: pd.DataFrame
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
    alone: bool = True,
) -> Best:
    """Search until the study has `n_trials` finished trials (one, of the defaults, without `tune`).

    A study of that name is resumed: what is finished counts, and a trial whose process died is tried again with
    its parameters: at once if the caller is `alone` at the study (it holds the run's lease), else when its
    heartbeat is stale. The first trial is the default parameters where the space has them. A pruned trial
    counts as finished. `should_stop` is asked after every fold.

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
        if alone:
            _retry_running(study, storage)
        _run(study, objective, space, wanted, seed if alone else seed + os.getpid(), on_trial, should_stop)
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


def _retry_running(study: optuna.Study, storage: RDBStorage) -> None:
    """Fail what a dead process left running and queue it again; a late answer from it is then refused."""
    retry = storage.get_heartbeat_stale_trial_callback()
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        with contextlib.suppress(UpdateFinishedTrialError):
            storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)
            if retry is not None:
                retry(study, storage.get_trial(trial._trial_id))


def _retry_stale(study: optuna.Study) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(study)


def _run(
    study: optuna.Study,
    objective: Objective,
    space: Space,
    wanted: int,
    seed: int,
    on_trial: Callable[[Trial], None],
    should_stop: Callable[[], bool],
) -> None:
    def measured(trial: optuna.Trial) -> float:
        _check_room(study, trial, wanted)
        return _measured(trial, objective, space, should_stop)

    def heard(_: optuna.Study, trial: FrozenTrial) -> None:
        if trial.state in FINISHED:
            on_trial(_finished(study, trial, wanted))

    while _count(study) < wanted:
        _stop_if(should_stop)
        if _count(study, TrialState.RUNNING) >= wanted:
            _retry_stale(study)
            time.sleep(HEARTBEAT_SECS / 5)
            continue
        # A resumed sampler with the first seed would propose the first trials again.
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.get_trials(deepcopy=False)))
        with contextlib.suppress(_Surplus, UpdateFinishedTrialError), _told_already():
            study.optimize(measured, callbacks=[heard, MaxTrialsCallback(wanted, states=FINISHED)])


@contextlib.contextmanager
def _told_already() -> Iterator[None]:
    """On SQLite two workers can both take the trial that waits first: who ends second finds it finished, goes on."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("Cannot tell a "):
            raise


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


def _check_room(study: optuna.Study, trial: optuna.Trial, wanted: int) -> None:
    """Give way when enough other trials are finished or were started before this one."""
    others = study.get_trials(deepcopy=False, states=(*FINISHED, TrialState.RUNNING))
    ahead = [o for o in others if o.state in FINISHED or o.number < trial.number]
    if len(ahead) >= wanted:
        raise _Surplus


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
