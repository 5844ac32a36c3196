"""How many predictions a model was asked for, hour by hour, all of its versions together.

Versions share the traffic of their model, so a new version or a split does not look like a drop.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from mlops_site.stats.scored import Floats
from monitoring.choices import Span
from monitoring.models import Bucket, VolumeDay
from monitoring.selectors.periods import Period
from monitoring.selectors.spans import STEPS, start_of
from monitoring.stats.expected import WEEK, WEEKS, Baseline, baseline
from monitoring.stats.volume import LARGEST_DROP, Band, Cut, Volume, band, expected_volume, volume
from registry.models import RegisteredModel, Version

HOUR = timedelta(hours=1)


def has_hour(at: datetime, span_secs: int) -> bool:
    """Whether a bucket of a closed day tells its hour: what comes after days is put at the day's start."""
    is_start = at.hour == at.minute == 0
    return span_secs == Span.HOUR or (span_secs == Span.MINUTES and not is_start)


def hours_of(model: RegisteredModel, start: datetime, count: int) -> Floats:
    """Predictions of each of `count` hours from a whole hour on, shape (count,): 0 where nobody asked, NaN on days of
    which the hours are not known. Two queries."""
    end = start + count * HOUR
    first = start_of(start, Span.DAY)
    found = np.zeros((int((end - first) / HOUR) + 25) // 24 * 24)
    kept = VolumeDay.objects.filter(model=model, day__gte=first.date(), day__lte=end.date())
    days = dict(kept.values_list("day", "hours"))
    for day, hours in days.items():
        at = _place(day, first)
        found[at : at + 24] += np.array(hours, dtype=np.float64)[: max(0, len(found) - at)]
    unknown = _add_buckets(model, first, end, found) - set(days)
    for day in unknown:
        at = _place(day, first)
        if not found[at : at + 24].any():
            found[at : at + 24] = np.nan
    offset = int((start - first) / HOUR)
    return found[offset : offset + count]


def _place(day: date, first: datetime) -> int:
    return (day - first.date()).days * 24


def _add_buckets(model: RegisteredModel, first: datetime, end: datetime, found: Floats) -> set[date]:
    """Add what is not yet a day's; the days of which some rows have no hour."""
    closed = STEPS[0].closed_before(timezone.now())
    rows = Bucket.objects.filter(version__model=model, started_at__gte=first, started_at__lt=end, rows__gt=0)
    untimed = set()
    for at, span_secs, count in rows.order_by().values_list("started_at", "span_secs", "rows"):
        if at >= closed or has_hour(at, span_secs):
            found[int((at - first) / HOUR)] += count
        else:
            untimed.add(at.astimezone(UTC).date())
    return untimed


def band_of(version: Version, period: Period, known: Baseline | None) -> Band | None:
    """What the steps of a period should bring, by the baseline of the hour in which it begins, and what other versions
    of the model brought in each. None while too little is known, or for steps shorter than an hour."""
    if known is None or period.step < HOUR:
        return None
    others = [0] * len(period.times)
    rows = Bucket.objects.filter(version__model=version.model_id, started_at__gte=period.start)
    rows = rows.filter(started_at__lt=period.end).exclude(version=version).order_by()
    for at, count in rows.values_list("started_at", "rows"):
        others[(at - period.start) // period.step] += count
    first = start_of(period.start, Span.HOUR)
    starts = np.array([(at - first) / HOUR for at in period.times])
    ends = np.minimum(starts + period.step / HOUR, (period.end - first) / HOUR)
    return band(known, starts, ends, others)


def rows_of(model: RegisteredModel, start: datetime, end: datetime) -> int:
    """Predictions of the buckets that begin in the window."""
    rows = Bucket.objects.filter(version__model=model, started_at__gte=start, started_at__lt=end)
    return rows.aggregate(rows=Sum("rows"))["rows"] or 0


def baseline_before(model: RegisteredModel, start: datetime) -> Baseline | None:
    """What the eight weeks before a whole hour say of the hours after it."""
    return baseline(hours_of(model, start - WEEKS * WEEK * HOUR, WEEKS * WEEK))


def volume_of(model: RegisteredModel, start: datetime, end: datetime, *, largest_drop: float | None = None) -> Volume:
    """How many predictions a window brought, beside what the weeks before it let expect, or the window before it while
    less than a day of hours is known. Six queries at most."""
    known = baseline_before(model, start_of(start, Span.HOUR))
    return judged_volume(model, start, end, known, largest_drop=largest_drop or LARGEST_DROP)


def judged_volume(
    model: RegisteredModel,
    start: datetime,
    end: datetime,
    known: Baseline | None,
    *,
    largest_drop: float = LARGEST_DROP,
) -> Volume:
    """`volume_of` with the baseline of the hour in which the window begins. What has not happened yet is not judged."""
    rows, before = rows_of(model, start, end), rows_of(model, start - (end - start), start)
    now, least = timezone.now(), settings.MIN_SAMPLES_FOR_MONITORING
    if start >= now:
        return Volume(rows, before, None, False, "not judged: the window has not begun")
    if known is None:
        return volume(rows, before, min_samples=least, largest_drop=largest_drop)
    first = start_of(start, Span.HOUR)
    whole, part = divmod((min(end, now) - first) / HOUR, 1)
    cut = Cut(lead=(start - first) / HOUR, part=part)
    hours = hours_of(model, first, int(whole))
    return expected_volume(
        rows, before, known=known, hours=hours, cut=cut, min_samples=least, largest_drop=largest_drop
    )
