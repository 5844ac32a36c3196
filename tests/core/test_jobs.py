"""The leased row: claimed once, fenced by its attempt, given up after three attempts without progress."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from mlops_site.core import jobs
from mlops_site.core.choices import JobState, Queue
from mlops_site.core.errors import Conflict
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from tests.jobsapp.models import Errand

pytestmark = pytest.mark.django_db
SOMEBODY = Actor.system("tests")


def queued(**fields: object) -> Errand:
    return Errand.objects.create(**fields)


def claimed(job: Errand | None = None, worker: str = "w1") -> Errand:
    job = jobs.claim(job or queued(), worker=worker)
    assert job is not None
    return job


def lose_lease(job: Errand) -> None:
    Errand.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def again(job: Errand) -> Errand:
    return Errand.objects.get(pk=job.pk)


class TestClaim:
    def test_it_takes_a_queued_job_once(self) -> None:
        job = queued()
        mine = jobs.claim(again(job), worker="w1")
        assert mine is not None
        assert (mine.state, mine.attempt, mine.stalled, mine.worker) == ("running", 1, 1, "w1")
        assert mine.lease_until is not None
        assert timedelta(seconds=25) < mine.lease_until - timezone.now() < timedelta(seconds=31)
        assert jobs.claim(again(job), worker="w2") is None
        assert again(job).worker == "w1"

    def test_it_takes_over_when_the_lease_has_run_out_and_only_then(self) -> None:
        first = claimed()
        assert jobs.claim(again(first), worker="w2") is None
        lose_lease(first)
        second = claimed(again(first), "w2")
        assert (second.attempt, second.worker) == (2, "w2")
        assert second.started_at == first.started_at is not None

    @pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
    def test_it_leaves_what_has_ended(self, state: str) -> None:
        job = queued(state=state)
        assert jobs.claim(job, worker="w") is None
        assert again(job).state == state

    @pytest.mark.postgres
    @pytest.mark.django_db(transaction=True)
    def test_sixteen_threads_claim_thirty_jobs_once_each(self) -> None:
        """With `filter(pk=...)` alone in place of the claimable rows, a job is claimed sixteen times (tried)."""
        waiting = [queued() for _ in range(30)]
        won: list[tuple[str, int]] = []
        start = threading.Barrier(16)

        def work(worker: str) -> None:
            start.wait()
            for job in waiting:
                if mine := jobs.claim(again(job), worker=worker):
                    won.append((str(mine.pk), mine.attempt))
            connection.close()

        threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == sorted((str(job.pk), 1) for job in waiting)


class TestFence:
    def test_an_attempt_that_lost_its_lease_writes_nothing(self) -> None:
        old = claimed()
        lose_lease(old)
        new = claimed(again(old), "w2")
        assert not jobs.beat(old)
        assert not jobs.finish(old, JobState.SUCCEEDED)
        with pytest.raises(jobs.LeaseLost, match="attempt 1 of errand"):
            jobs.advance(old, progress=0.5)
        with pytest.raises(jobs.LeaseLost), jobs.fenced(old):
            Errand.objects.update(note="written by the old attempt")
        jobs.release(old, error="x")
        row = again(new)
        assert (row.state, row.attempt, row.progress, row.note, row.error) == ("running", 2, 0.0, "", "")
        assert AuditRecord.objects.count() == 0

    def test_the_current_attempt_writes_and_ends_once(self) -> None:
        job = claimed()
        with jobs.fenced(job) as row:
            assert row.pk == job.pk
            assert jobs.finish(job, JobState.SUCCEEDED, note="done")
        assert not jobs.finish(job, JobState.FAILED, error="late")
        row = again(job)
        assert (row.state, row.note, row.error, row.lease_until) == ("succeeded", "done", "", None)
        assert row.finished_at is not None
        fact = AuditRecord.objects.get()
        assert (fact.action, fact.subject, fact.team) == ("errand.succeeded", f"errand:{job.pk}", "claims")

    def test_what_fails_inside_the_fence_leaves_nothing(self) -> None:
        job = claimed()
        with pytest.raises(ZeroDivisionError), jobs.fenced(job):
            jobs.finish(job, JobState.SUCCEEDED)
            raise ZeroDivisionError
        assert again(job).state == "running"
        assert AuditRecord.objects.count() == 0

    def test_a_cancelled_job_does_not_pass_the_fence(self) -> None:
        job = claimed()
        jobs.cancel(again(job), actor=SOMEBODY, team="claims")
        with pytest.raises(jobs.LeaseLost), jobs.fenced(job):
            raise AssertionError

    def test_a_heartbeat_extends_the_lease(self) -> None:
        job = claimed()
        lose_lease(job)
        assert jobs.beat(job)
        lease = again(job).lease_until
        assert lease is not None
        assert lease > timezone.now() + timedelta(seconds=25)

    def test_the_database_knows_the_states(self) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            queued(state="lost")


class TestProgress:
    def test_it_is_written_and_never_shrinks(self) -> None:
        job = claimed()
        jobs.advance(job, step="fold 1", progress=0.5, note="half")
        jobs.advance(job, step="x" * 300, progress=0.2)
        row = again(job)
        assert (row.progress, row.note, row.step, job.progress) == (0.5, "half", "x" * 200, 0.5)
        jobs.advance(job, progress=7.0)
        assert again(job).progress == 1.0

    def test_a_step_alone_is_no_progress(self) -> None:
        job = claimed()
        jobs.advance(job, step="loading")
        assert (again(job).step, again(job).stalled) == ("loading", 1)
        jobs.advance(job)
        lose_lease(job)
        claimed(again(job))
        with pytest.raises(jobs.LeaseLost):
            jobs.advance(job)

    def crash(self, job: Errand, *, after: float | None) -> Errand:
        mine = claimed(job)
        if after is not None:
            jobs.advance(mine, progress=after)
        jobs.release(mine, error=f"attempt {mine.attempt} was killed by SIGKILL")
        return again(mine)

    def test_three_attempts_without_progress_are_enough(self) -> None:
        job = queued()
        for _ in range(3):
            job = self.crash(job, after=None)
            assert job.state == "queued"
        assert jobs.claim(job, worker="w") is None
        row = again(job)
        assert (row.state, row.attempt) == ("failed", 3)
        assert row.error == ("stopped after 3 attempts without progress; the last one: attempt 3 was killed by SIGKILL")

    def test_progress_starts_the_count_again(self) -> None:
        job = queued()
        for attempt in range(8):
            job = self.crash(job, after=(attempt + 1) / 10)
        assert (job.state, job.attempt, job.stalled) == ("queued", 8, 0)

    def test_the_same_steps_again_are_no_progress(self) -> None:
        job = queued()
        for _ in range(4):
            job = self.crash(job, after=0.3)
        assert (job.state, job.attempt, job.stalled) == ("queued", 4, 3)
        assert jobs.claim(job, worker="w") is None
        assert again(job).state == "failed"

    def test_a_worker_that_vanished_three_times_is_named(self) -> None:
        job = queued()
        for _ in range(3):
            lose_lease(claimed(again(job)))
        assert jobs.claim(again(job), worker="w") is None
        assert again(job).error.endswith("its worker was lost")


class TestCancel:
    def test_one_that_waits_ends_at_once(self) -> None:
        job = jobs.cancel(queued(), actor=SOMEBODY, team="claims")
        assert (job.state, job.error) == ("cancelled", "cancelled")
        assert job.has_ended
        assert list(AuditRecord.objects.values_list("action", flat=True)) == [
            "errand.cancel_requested",
            "errand.cancelled",
        ]

    def test_one_that_runs_is_asked_once(self) -> None:
        job = claimed()
        for _ in range(2):
            assert jobs.cancel(again(job), actor=SOMEBODY, team="claims").state == "running"
        assert again(job).cancel_requested_at is not None
        assert AuditRecord.objects.count() == 1
        lose_lease(job)
        assert jobs.claim(again(job), worker="w") is None
        assert again(job).state == "cancelled"
        assert jobs.cancel(again(job), actor=SOMEBODY, team="claims").state == "cancelled"

    def test_one_that_has_ended_is_refused_with_its_state(self) -> None:
        job = claimed()
        jobs.finish(job, JobState.SUCCEEDED)
        with pytest.raises(Conflict, match="cannot be cancelled because it has succeeded") as caught:
            jobs.cancel(again(job), actor=SOMEBODY, team="claims")
        assert caught.value.code == "already_ended"


class TestSweep:
    def test_it_sees_what_waits_and_what_was_abandoned(self) -> None:
        waits, runs, abandoned, ended = queued(), claimed(), claimed(), claimed()
        lose_lease(abandoned)
        jobs.finish(ended, JobState.FAILED, error="x")
        assert {job.pk for job in jobs.due()} == {waits.pk, abandoned.pk} - {runs.pk}

    def test_a_released_job_is_due_again(self) -> None:
        job = claimed()
        jobs.release(job, error="killed")
        assert (again(job).state, again(job).error, again(job).lease_until) == ("queued", "killed", None)
        assert [due.pk for due in jobs.due()] == [job.pk]

    def test_a_long_line_at_one_queue_hides_nothing_of_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jobs, "SWEPT", 2)
        heavy = [Errand.objects.create(queue=Queue.GPU) for _ in range(3)]
        light = queued()
        assert {job.pk for job in jobs.due()} == {heavy[0].pk, heavy[1].pk, light.pk}

    def test_jobs_are_found_by_id_whatever_their_kind(self) -> None:
        job = queued()
        assert Errand in jobs.kinds()
        assert jobs.find(str(job.pk)) == job
        for absent in (uuid4(), "no id", "", "../1"):
            assert jobs.find(absent) is None
