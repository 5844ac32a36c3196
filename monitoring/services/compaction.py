"""Older buckets become hours, then days: a month of a version is a hundred rows and not nine thousand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from mlops_site.core import events
from mlops_site.core.permissions import Actor
from monitoring.choices import Span
from monitoring.models import Bucket
from monitoring.selectors.bases import basis_of
from monitoring.selectors.spans import STEPS, Step, start_of
from monitoring.services.buckets import Vanished, added, content_of, digest_of_bucket, locked, write
from monitoring.services.folding import recall_waiting
from monitoring.services.volumes import keep_hours
from registry.models import Version


def compact(now: datetime) -> int:
    """Merge what is old enough, each hour and each day in a transaction of its own; how many rows were merged away.
    Safe beside folders and other compactions: what one finds gone has been merged."""
    recall_waiting()
    return sum(_close(version, step, start) for step in STEPS for version, start in _closable(step, now))


def _closable(step: Step, now: datetime) -> list[tuple[int, datetime]]:
    """Version ids and starts of the hours or days that hold something finer and are over."""
    rows = Bucket.objects.filter(span_secs__in=step.spans, started_at__lt=step.closed_before(now))
    found = rows.values_list("version_id", "started_at").distinct()
    return sorted({(version, start_of(at, step.into)) for version, at in found})


def _close(version_id: int, step: Step, start: datetime) -> int:
    try:
        with events.atomic():
            return _merge(version_id, step, start)
    except Vanished:
        return 0  # the next compaction finds what is left


def _merge(version_id: int, step: Step, start: datetime) -> int:
    within = Bucket.objects.select_for_update().filter(version=version_id, span_secs__in=step.spans)
    within = within.filter(started_at__gte=start, started_at__lt=start + timedelta(seconds=step.into))
    finer = list(within.order_by("span_secs", "started_at"))  # the folder's order: see locked
    if not finer:
        return 0
    version = Version.objects.select_related("model__team").defer("reference", "golden", "signature").get(pk=version_id)
    basis, key = basis_of(version), (version_id, start)
    content = content_of(locked([key], step.into)[key], basis)
    for bucket in finer:
        content = added(content, content_of(bucket, basis))
    if step.into == Span.DAY:
        keep_hours(version.model, start, finer)
    Bucket.objects.filter(pk__in=[bucket.pk for bucket in finer]).delete()
    (closed,) = write({key: content}, step.into)
    _say(closed, version, finer)
    return len(finer)


def _say(closed: Bucket, version: Version, finer: Sequence[Bucket]) -> None:
    data = {
        "started_at": closed.started_at.isoformat(),
        "span_secs": int(closed.span_secs),
        "rows": closed.rows,
        "merged": len(finer),
        "digest": digest_of_bucket(closed),
    }
    team = version.model.team.name
    events.record("bucket.closed", actor=Actor.system("folder"), subject=version.subject, team=team, data=data)
