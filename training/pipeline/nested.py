"""The search of a run judged as a whole, where it was asked for: searched again inside each outer fold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from mlops_site.core import jobs
from mlops_site.core.errors import Invalid
from mlops_site.stats import metrics
from training.ml import nested, search, splits
from training.ml.estimators import Recipe, model_type
from training.ml.parted import Table
from training.ml.preparation import Preparations
from training.models import Run, Training
from training.pipeline import selection
from training.pipeline.data import Part, Rows
from training.pipeline.steps import Fence, pass_to, say


class Inner(NamedTuple):
    """An outer fold: its number, its training rows by themselves, and their folds."""

    number: int
    part: Part[Table]
    folds: list[splits.Fold]


def estimate(run: Training, rows: Rows, ranked: list[search.Best]) -> int:
    """Keep in the run how good its search is on rows that the choosing never saw; how many trials that took, none where
    it was not asked for or the run is only done again. What an earlier attempt searched is taken from its studies.

    Raises LeaseLost, and Invalid for data that cannot be split twice.
    """
    outer = run.spec.get("nested_folds")
    if not outer or not isinstance(run, Run):
        return 0
    spent = sum(best.trials for best in ranked)
    per_fold = int(run.spec["n_trials"]) * len(run.spec["model_types"])
    scores: list[nested.OuterScore] = []
    for number, fold in enumerate(_outer(run, rows, outer)):
        before = spent + number * per_fold
        pass_to(run, f"nested search {number + 1} of {outer}", progress=selection.share_done(run, before))
        best = _searched(run, rows, Inner(number, *_inside(run, rows, fold)), before)
        score = _scored(run, rows, fold, best)
        say(run, f"outer fold {number + 1}: {score.model_type}, promised {score.promised:.4f}, found {score.value:.4f}")
        scores.append(score)
    told = nested.told(run.spec["metric"], scores, promised=ranked[0].mean)
    jobs.advance(run, nested=told)
    say(run, f"the search as a whole: {told['mean']:.4f} ± {told['se']:.4f}, its own folds said {told['promised']:.4f}")
    return len(scores) * per_fold


def _outer(run: Run, rows: Rows, outer: int) -> list[splits.Fold]:
    """Of another seed than the run's own folds: with as many of both they would be the same."""
    return _folds(run, rows.training, outer, seed=run.seed + 1)


def _inside(run: Run, rows: Rows, fold: splits.Fold) -> tuple[Part[Table], list[splits.Fold]]:
    mask: NDArray[np.bool_] = np.zeros(len(rows.training), dtype=bool)
    mask[fold[0]] = True
    part = rows.training.taken(mask)
    return part, _folds(run, part, run.spec["cv_folds"], seed=run.seed)


def _folds(run: Run, part: Part[Table], count: int, *, seed: int) -> list[splits.Fold]:
    spec = run.spec
    try:
        return splits.folds(
            spec["cv"],
            part.truth,
            task_type=spec["task_type"],
            n_folds=count,
            seed=seed,
            groups=part.groups,
            times=part.times,
        )
    except ValueError as error:
        message = f"{run.dataset} cannot be split twice, into outer folds and again within each: {error}"
        raise Invalid(message, code="unusable_data") from error


def _searched(run: Run, rows: Rows, inner: Inner, before: int) -> search.Best:
    """The best of all model types on one outer fold's training rows."""
    spec = run.spec
    found: list[search.Best] = []
    prepared = Preparations(inner.part.frame)
    for name in spec["model_types"]:
        at_once = selection.cores() if model_type(name, rows.task_type).parallel else 1
        recipe = Recipe(
            name, rows.task_type, rows.kinds, {}, run.seed, n_jobs=at_once, monotone=spec.get("monotone", {})
        )
        objective = search.Objective(
            recipe,
            inner.part.frame,
            inner.part.truth,
            inner.folds,
            spec["metric"],
            rows.classes,
            prepared,
            selection.rule_of(spec),
            inner.part.weights,
        )
        found.append(_best(run, name, objective, inner, before + len(found) * spec["n_trials"]))
    greater = metrics.metric_named(spec["metric"]).greater_is_better
    return sorted(found, key=lambda best: best.mean, reverse=greater)[0]


def _best(run: Run, name: str, objective: search.Objective, inner: Inner, before: int) -> search.Best:
    def heard(trial: search.Trial) -> None:
        done = before + trial.done
        jobs.advance(run, progress=selection.share_done(run, done), trials_done=done)

    try:
        return search.search(
            objective,
            storage_url=settings.OPTUNA_STORAGE,
            study_name=f"{selection.study_name(run, name)}:outer{inner.number}",
            n_trials=run.spec["n_trials"],
            seed=run.seed,
            overrides=run.spec["search_space"].get(name),
            tune=run.spec["hyperparameter_optimization"],
            on_trial=heard,
            should_stop=Fence(run),
        )
    except search.Stopped:
        raise jobs.LeaseLost(f"attempt {run.attempt} of {run} is no longer current") from None
    except ValueError as error:
        raise Invalid(f"{name} cannot be searched inside outer folds of {run.dataset}: {error}") from error


def _scored(run: Run, rows: Rows, fold: splits.Fold, best: search.Best) -> nested.OuterScore:
    part = rows.training
    try:
        return nested.outer_score(
            best,
            fold,
            part.frame,
            part.truth,
            metric=run.spec["metric"],
            classes=rows.classes,
            weights=part.weights,
        )
    except ValueError as error:
        raise Invalid(f"an outer fold of {run.dataset} cannot be scored: {error}", code="not_trainable") from error
