"""What MLflow has still to be told of runs; the run's own row and what it left say the rest."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from mlops_site.core.choices import ENDED
from training.models import Run, UnrecordedRun

FIRST_WAIT_SECS, LONGEST_WAIT_SECS = 10, 300


def note_run(run: Run) -> None:
    """MLflow has to hear of the run once it has ended; in the caller's transaction."""
    UnrecordedRun.objects.create(run=run)


def note_missing_runs() -> int:
    """Note every run that MLflow has no record of and was never to hear of; how many."""
    rows = Run.objects.filter(mlflow={}, unrecorded=None).only("pk")
    return len(UnrecordedRun.objects.bulk_create([UnrecordedRun(run=run) for run in rows], ignore_conflicts=True))


def next_unrecorded() -> UnrecordedRun | None:
    """The oldest run that has ended and is due."""
    rows = UnrecordedRun.objects.filter(run__state__in=ENDED, next_at__lte=Now())
    joined = rows.select_related("run__model__team", "run__dataset__dataset", "run__version", "run__requested_by")
    return joined.order_by("run__finished_at", "pk").first()


def recorded(waiting: UnrecordedRun, told: dict[str, str]) -> None:
    """MLflow has the run: {"run_id", "url"}."""
    with transaction.atomic():
        Run.objects.filter(pk=waiting.run_id).update(mlflow=told)
        waiting.delete()


def postpone_record(waiting: UnrecordedRun, error: str, everything: bool) -> None:
    """Try it again later, the more often it failed the later; `everything` where MLflow itself is down."""
    wait = timedelta(seconds=min(FIRST_WAIT_SECS * 2**waiting.attempts, LONGEST_WAIT_SECS))
    later = {"attempts": F("attempts") + 1, "error": error[:300], "next_at": Now() + wait}
    UnrecordedRun.objects.filter(pk=waiting.pk).update(**later)
    if everything:
        UnrecordedRun.objects.filter(next_at__lt=Now() + wait).update(next_at=Now() + wait)


def hurry_records() -> None:
    """Make everything due now: the operator knows that MLflow is back."""
    UnrecordedRun.objects.update(next_at=Now())
