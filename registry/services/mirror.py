"""The outbox to MLflow: what it must be told is written with the change itself, so that no outage loses it."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Now

from registry.models import MirrorChange, MirroredVersion, StageInterval, Version

FIRST_WAIT_SECS, LONGEST_WAIT_SECS = 10, 300


def note_change(version: Version, interval: StageInterval | None = None) -> None:
    """MLflow has to hear of the version, or of the stage that it has begun; in the caller's transaction."""
    MirrorChange.objects.create(model_id=version.model_id, version=version, interval=interval)


def note_missing() -> int:
    """Note every version that MLflow was never told of, with the stage that it is in, oldest first; how many."""
    noted = MirrorChange.objects.filter(interval=None).values("version")
    rows = Version.objects.exclude(pk__in=noted).exclude(pk__in=MirroredVersion.objects.values("version"))
    found = list(rows.order_by("pk").only("model", "pk"))
    with transaction.atomic():
        for version in found:
            note_change(version)
            note_change(version, StageInterval.objects.open().get(version=version))
    return len(found)


def next_change() -> MirrorChange | None:
    """The oldest change that is due, of the first ones of each model: nothing overtakes within a model."""
    first = MirrorChange.objects.filter(model=OuterRef("model")).order_by("pk").values("pk")[:1]
    rows = MirrorChange.objects.filter(next_at__lte=Now(), pk=Subquery(first))
    joined = rows.select_related("version__model__team", "version__artifact", "version__created_by", "interval__by")
    return joined.select_related("version__mirrored").order_by("pk").first()


def told(change: MirrorChange, *, number: int | None = None, run_id: str = "") -> None:
    """MLflow has it; `number` is what it calls a version that was registered."""
    with transaction.atomic():
        if number is not None:
            keep_name(change.version, number, run_id)
        change.delete()


def keep_name(version: Version, number: int, run_id: str) -> None:
    """What MLflow calls a version."""
    named = {"number": number, "run_id": run_id}
    version.mirrored, _ = MirroredVersion.objects.update_or_create(version=version, defaults=named)


def postpone(change: MirrorChange, error: str, everything: bool) -> None:
    """Try it again later, the more often it failed the later; `everything` where MLflow itself is down."""
    wait = timedelta(seconds=min(FIRST_WAIT_SECS * 2**change.attempts, LONGEST_WAIT_SECS))
    later = {"attempts": F("attempts") + 1, "error": error[:300], "next_at": Now() + wait}
    MirrorChange.objects.filter(pk=change.pk).update(**later)
    if everything:
        MirrorChange.objects.filter(next_at__lt=Now() + wait).update(next_at=Now() + wait)


def hurry() -> None:
    """Make everything due now: the operator knows that MLflow is back."""
    MirrorChange.objects.update(next_at=Now())
