"""Crashes at random moments, under a real Celery worker: every run completes, once.

A kill is SIGKILL, of the worker's whole process group or of the run's child alone. The long form (`make drill`)
kills ten times each; `make test` once each.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import optuna
import psutil
import pytest
from django.conf import settings

from mlops_site.core.permissions import Actor
from registry.models import PromotionRequest, RegisteredModel, Version
from tests.processes import Process
from tests.training import workers
from tests.training.claims import SMALL, claims
from tests.training.workers import child_of, fresh, until
from training.ml.studies import open_storage
from training.models import DatasetVersion, Run, Share
from training.pipeline.selection import study_name
from training.services import cancel_run, request_run
from training.tasks import ring

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]

Kill = Callable[[Run], None]
FINISHED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
KILLS = [1, pytest.param(10, marks=pytest.mark.slow)]


class Site:
    """A worker with its Beat, and a way to kill and restart them, as a supervisor does."""

    def __init__(self, processes: Callable[..., Process], tmp_path: Path) -> None:
        self.processes, self.tmp_path = processes, tmp_path
        self.worker = workers.start_worker(processes, tmp_path)

    def kill_worker(self, run: Run) -> None:
        self.worker.kill()
        self.worker = workers.start_worker(self.processes, self.tmp_path)

    def kill_child(self, run: Run) -> None:
        if child := child_of(run):
            child.kill()


@pytest.fixture
def site(processes: Callable[..., Process], tmp_path: Path) -> Site:
    return Site(processes, tmp_path)


@pytest.fixture
def begin(scientist: Actor, model: RegisteredModel, upload: Callable[..., DatasetVersion]) -> Callable[..., Run]:
    """A run of five trials that is running when it is returned."""
    upload(claims(1500))

    def create(seed: int, **changes: int) -> Run:
        asked = {**SMALL, "n_trials": 5, "model_name": model.name, "dataset": "hie", "seed": seed, **changes}
        run = request_run(actor=scientist, **asked)
        ring(run)
        until(lambda: fresh(run).state == "running")
        return run

    return create


def finished_trials(run: Run) -> dict[int, float | None]:
    try:
        with open_storage(settings.OPTUNA_STORAGE) as storage:
            study = optuna.load_study(study_name=study_name(run, "logistic_regression"), storage=storage)
            return {trial.number: trial.value for trial in study.get_trials(states=FINISHED)}
    except KeyError:  # killed before the study was made
        return {}


def assert_done_once(run: Run, kept: dict[int, float | None], *, trials: int = 5) -> None:
    until(lambda: fresh(run).has_ended)
    run = fresh(run)
    finished = finished_trials(run)
    assert (run.state, run.error) == ("succeeded", "")
    assert kept.items() <= finished.items()
    assert len(finished) == run.trials_done == run.trials_total == trials
    assert Version.objects.filter(lineage__run=str(run.pk)).count() == 1
    assert PromotionRequest.objects.filter(version=run.version).count() == 1


@pytest.mark.parametrize("kills", KILLS)
@pytest.mark.parametrize("victim", ["worker", "child"])
def test_a_run_completes_once_whatever_is_killed(
    site: Site, begin: Callable[[int], Run], victim: str, kills: int
) -> None:
    chance, took_secs = random.Random(kills + len(victim)), 10.0
    kill: Kill = site.kill_worker if victim == "worker" else site.kill_child
    for seed in range(kills):
        run, started = begin(seed), time.monotonic()
        workers.some_moment(took_secs, chance)
        kept = finished_trials(run)
        kill(run)
        assert_done_once(run, kept)
        if fresh(run).attempt == 1:  # the moment was after the end: aim earlier
            took_secs = 0.8 * (time.monotonic() - started)


def at_work_or_over(job: Run | Share, run: Run) -> bool:
    return child_of(job) is not None or fresh(run).has_ended


def test_a_spread_run_completes_once_although_both_who_work_on_it_are_killed(
    site: Site, processes: Callable[..., Process], tmp_path: Path, begin: Callable[..., Run]
) -> None:
    workers.start_worker(processes, tmp_path)
    run = begin(0, n_trials=12, workers=2)
    share = run.shares.get()
    for job, other in ((share, run), (run, share)):
        for each in (job, other):
            until(partial(at_work_or_over, each, run))
        if child := child_of(job):
            child.kill()
    until(lambda: fresh(run).has_ended)
    assert_done_once(run, {}, trials=12)
    until(lambda: Share.objects.get(pk=share.pk).has_ended)
    assert Share.objects.get(pk=share.pk).state == "succeeded"


def test_a_run_that_always_dies_is_given_up_with_the_reason(site: Site, begin: Callable[[int], Run]) -> None:
    run = begin(0)
    killed: set[psutil.Process] = set()

    def kill_whatever_works_on_it() -> bool:
        child = child_of(run)
        if child is not None and child not in killed:
            child.kill()
            killed.add(child)
        return fresh(run).has_ended

    until(kill_whatever_works_on_it)
    run = fresh(run)
    assert run.state == "failed"
    assert run.error == "stopped after 3 attempts without progress; the last one: attempt 3 was killed by SIGKILL"
    assert len(killed) == run.attempt == 3
    assert not Version.objects.exists()


def test_a_running_run_is_cancelled(site: Site, begin: Callable[[int], Run], scientist: Actor) -> None:
    run = begin(0)
    until(lambda: child_of(run))
    cancel_run(fresh(run), actor=scientist)
    until(lambda: fresh(run).has_ended, within_secs=20)
    assert fresh(run).state == "cancelled"
    until(lambda: child_of(run) is None, within_secs=20)
    assert not Version.objects.exists()


def test_a_run_beyond_its_memory_fails_with_the_reason(
    site: Site, scientist: Actor, model: RegisteredModel, dataset: DatasetVersion
) -> None:
    run = request_run(actor=scientist, model_name=model.name, dataset="hie", **SMALL)
    Run.objects.filter(pk=run.pk).update(memory_limit_mb=60)
    ring(run)
    until(lambda: fresh(run).has_ended)
    assert fresh(run).state == "failed"
    assert fresh(run).error.startswith("memory limit of 60 MB reached")
    assert fresh(run).attempt == 1
