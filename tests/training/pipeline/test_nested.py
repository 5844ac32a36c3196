"""A run that asks how good its search is as a whole: outer folds by group or time, continued where it was killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.conf import settings

from mlops_site.core import jobs
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from tests.training.claims import claims
from tests.training.pipeline.conftest import executed
from training.ml.studies import open_storage
from training.models import DatasetVersion, Run
from training.pipeline import data, execute, nested

Train = Callable[..., Run]


def studies(run: Run) -> dict[str, int]:
    """Finished trials by study, the outer folds' by their suffix."""
    import optuna

    with open_storage(settings.OPTUNA_STORAGE) as storage:
        names = [s.study_name for s in storage.get_all_studies() if s.study_name.startswith(str(run.pk))]
        found = {name: optuna.load_study(study_name=name, storage=storage) for name in names}
        return {name.rpartition(":")[2]: sum(t.state.is_finished() for t in s.trials) for name, s in found.items()}


def test_a_nested_run_says_how_good_its_search_is(train: Train, dataset: DatasetVersion) -> None:
    run = train(dataset, nested_folds=2, n_trials=2)
    assert run.version is not None
    assert run.nested is not None
    assert (run.spec["nested_folds"], run.trials_total, run.trials_done) == (2, 6, 6)
    assert studies(run) == {"logistic_regression": 2, "outer0": 2, "outer1": 2}
    assert run.nested["promised"] == run.leaderboard[0]["mean"]
    assert sum(fold["rows"] for fold in run.nested["folds"]) == run.version.facts["data"]["training_rows"]
    assert run.nested["ci95"][0] < run.nested["mean"] < run.nested["ci95"][1]
    assert run.version.facts["nested"] == run.nested


def test_a_run_that_is_killed_inside_an_outer_fold_goes_on_there(
    request_small: Train, dataset: DatasetVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = executed(request_small(dataset, nested_folds=2, n_trials=2))
    run = request_small(dataset, nested_folds=2, n_trials=2)
    claimed = jobs.claim(run, worker="test")
    assert claimed is not None

    class Killed(BaseException):
        """Not an Exception: nothing here catches it."""

    scored: list[Any] = []
    real = nested._scored

    def die(*args: Any) -> Any:
        if scored:
            raise Killed
        scored.append(real(*args))
        return scored[0]

    with monkeypatch.context() as patch:
        patch.setattr(nested, "_scored", die)
        with pytest.raises(Killed):
            execute(claimed)
    jobs.release(claimed, error="killed")
    again = executed(run)
    assert again.nested == whole.nested
    assert studies(again) == {"logistic_regression": 2, "outer0": 2, "outer1": 2}


@pytest.mark.parametrize("cv", ["group", "time", "group_time"])
def test_outer_and_inner_folds_keep_groups_together_and_look_back_only(
    request_small: Train, upload: Callable[..., DatasetVersion], cv: str
) -> None:
    frame = claims()
    dated = frame.assign(year=2_000 + np.arange(len(frame)) % 24)
    run = jobs.claim(request_small(upload(dated), nested_folds=2, cv=cv, cv_folds=2), worker="test")
    assert run is not None
    rows = data.rows_of(run)
    for fold in nested._outer(run, rows, 2):
        part, inner = nested._inside(run, rows, fold)
        assert len(part) == len(fold[0])
        sides = [(rows.training, *fold), *((part, *pair) for pair in inner)]
        for of, train, test in sides:
            if "group" in cv:
                assert of.groups is not None
                assert not set(of.groups[train]) & set(of.groups[test])
            if "time" in cv:
                assert of.times is not None
                assert of.times[train].max() < of.times[test].min()
    for what in ("groups",) * ("group" in cv) + ("times",) * ("time" in cv):
        assert not np.isin(getattr(rows.holdout, what), getattr(rows.training, what)).any()


def test_a_refused_number_of_outer_folds_is_named(
    request_small: Train, dataset: DatasetVersion, scientist: Actor
) -> None:
    for wrong in (1, 11, "3", 2.0, True):
        with pytest.raises(Invalid) as caught:
            request_small(dataset, nested_folds=wrong)
        assert [error.field for error in caught.value.errors] == ["nested_folds"]
    few = request_small(dataset, cv="time", nested_folds=5, cv_folds=5)  # six years
    claimed = jobs.claim(few, worker="test")
    assert claimed is not None
    with pytest.raises(Invalid, match="distinct times"):
        execute(claimed)
