"""Light jobs are done in the process that claimed them."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_site.core import child, jobs, tasks
from mlops_site.core.choices import JobState
from mlops_site.core.models import Job
from mlops_site.core.permissions import Actor
from tests.jobsapp.models import Errand

pytestmark = pytest.mark.django_db


def run(*orders: str) -> Errand:
    job = jobs.claim(Errand.objects.create(orders=list(orders)), worker="w")
    assert job is not None
    jobs.run_here(job)
    return Errand.objects.get(pk=job.pk)


def test_it_is_brought_to_its_own_end() -> None:
    job = run("succeed here")
    assert (job.state, job.note, job.error) == ("succeeded", "here", "")


def test_a_refusal_ends_it() -> None:
    job = run("refuse there is no such thing")
    assert (job.state, job.error) == ("failed", "there is no such thing")


def test_an_error_puts_it_back_until_three_attempts_are_spent(caplog: pytest.LogCaptureFixture) -> None:
    job = run("fail by zero")
    assert (job.state, job.error, job.lease_until) == ("queued", "ZeroDivisionError: by zero", None)
    assert "by zero" in caplog.text
    for _ in range(2):
        claimed = jobs.claim(job, worker="w")
        assert claimed is not None
        jobs.run_here(claimed)
        job = Errand.objects.get(pk=job.pk)
    assert jobs.claim(job, worker="w") is None
    assert Errand.objects.get(pk=job.pk).state == JobState.FAILED


def test_one_that_ends_nothing_is_put_back() -> None:
    job = run("reach 0.5")
    assert (job.state, job.error) == ("queued", "attempt 1 ended without a result")


def test_one_that_was_cancelled_meanwhile_ends_as_that() -> None:
    job = jobs.claim(Errand.objects.create(orders=["succeed late"]), worker="w")
    assert job is not None
    jobs.cancel(Errand.objects.get(pk=job.pk), actor=Actor.system("tests"), team="claims")
    jobs.run_here(job)
    assert Errand.objects.get(pk=job.pk).state == JobState.CANCELLED


def test_what_was_taken_by_another_attempt_is_left_alone() -> None:
    job = jobs.claim(Errand.objects.create(orders=["succeed twice"]), worker="w")
    assert job is not None
    Errand.objects.filter(pk=job.pk).update(attempt=2)
    jobs.run_here(job)
    assert Errand.objects.get(pk=job.pk).state == JobState.RUNNING


@pytest.mark.parametrize("is_light", [True, False])
def test_the_bell_starts_a_child_only_for_heavy_jobs(is_light: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[Job] = []
    monkeypatch.setattr(child, "watch", watched.append)
    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)  # it would end the test's transaction
    monkeypatch.setattr(Errand, "in_process", is_light)
    job = Errand.objects.create(orders=["succeed in process"])
    for _ in range(2):
        tasks.execute_job(str(job.pk))
    assert (Errand.objects.get(pk=job.pk).state == JobState.SUCCEEDED) is is_light
    assert watched == ([] if is_light else [job])


def test_the_bell_is_rung_after_the_commit(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    rung: list[tuple[str, str]] = []
    monkeypatch.setattr(tasks.execute_job, "apply_async", lambda args, *, queue: rung.append((*args, queue)))
    job = Errand.objects.create()
    with django_capture_on_commit_callbacks(execute=True):
        tasks.ring(job)
        assert rung == []
    assert rung == [(str(job.pk), "default")]
