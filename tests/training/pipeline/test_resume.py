"""A run that was interrupted goes on where it was, and one that gets nowhere is given up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import pytest
from django.conf import settings
from django.db.models.signals import post_save

from mlops_site.core import jobs
from registry.models import PromotionRequest, Version
from tests.training.claims import claims
from tests.training.pipeline.conftest import executed
from training.ml.studies import open_storage
from training.models import DatasetVersion, Run, RunLine
from training.pipeline import execute
from training.pipeline.selection import study_name

Create = Callable[..., Run]


class Crash(Exception):
    """Stands for whatever ends an attempt."""


@contextmanager
def crash_at(text: str) -> Iterator[None]:
    """Crash once the run's log says `text`."""

    def hear(instance: RunLine, **kwargs: Any) -> None:
        if text in instance.text:
            raise Crash(instance.text)

    post_save.connect(hear, sender=RunLine)
    try:
        yield
    finally:
        post_save.disconnect(hear, sender=RunLine)


def crashed(run: Run, text: str) -> Run:
    """One attempt that crashes there, given back to the queue as its watcher would."""
    claimed = jobs.claim(run, worker="test")
    assert claimed is not None
    with crash_at(text), pytest.raises(Crash):
        execute(claimed)
    jobs.release(claimed, error=f"crashed at {text}")
    return Run.objects.get(pk=run.pk)


def trials(run: Run) -> list[optuna.trial.FrozenTrial]:
    name = study_name(run, "logistic_regression")
    with open_storage(settings.OPTUNA_STORAGE) as storage:
        return optuna.load_study(study_name=name, storage=storage).trials


@pytest.mark.parametrize("place", ["trial 2 of 3", "refit", "evaluate", "convert", "gate and register"])
def test_finished_trials_are_kept_and_there_are_exactly_as_many_as_asked(
    request_small: Create, dataset: DatasetVersion, place: str
) -> None:
    run = crashed(request_small(dataset), place)
    before = {t.number: t.value for t in trials(run) if t.state.is_finished()}
    assert run.stalled == 0
    run = executed(run)
    after = {t.number: t.value for t in trials(run)}
    assert run.state == "succeeded"
    assert run.attempt == 2
    assert run.trials_done == run.trials_total == len(after) == 3
    assert before.items() <= after.items()


def test_a_crash_while_registering_leaves_one_version_and_one_request(
    request_small: Create, upload: Callable[..., DatasetVersion]
) -> None:
    run = crashed(request_small(upload(claims(1500))), "registered 1.0.0")
    assert not Version.objects.exists()
    run = executed(run)
    assert Version.objects.get() == run.version
    assert PromotionRequest.objects.get().version == run.version


def test_steps_done_before_are_no_progress(request_small: Create, dataset: DatasetVersion) -> None:
    run = crashed(request_small(dataset), "evaluate")
    assert run.stalled == 0
    for stalled in (1, 2, 3):  # each repeats the search, which is done, and dies in the step after it
        run = crashed(run, "refit")
        assert run.stalled == stalled
    assert jobs.claim(run, worker="test") is None
    run.refresh_from_db()
    assert run.state == "failed"
    assert "3 attempts without progress" in run.error


def test_an_attempt_that_lost_its_lease_writes_nothing(request_small: Create, dataset: DatasetVersion) -> None:
    claimed = jobs.claim(request_small(dataset), worker="test")
    assert claimed is not None
    Run.objects.filter(pk=claimed.pk).update(attempt=2)
    with pytest.raises(jobs.LeaseLost):
        execute(claimed)
    assert Run.objects.get(pk=claimed.pk).trials_done == 0
    assert not Version.objects.exists()
