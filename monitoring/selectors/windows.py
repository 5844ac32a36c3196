"""Sums over a window of production, from bucket rows alone: what they cost does not grow with traffic.

A bucket belongs to the window in which it starts, so neighbouring windows share none and leave none out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import NamedTuple

from django.db.models import QuerySet

from mlops_site.stats.profile import Bins, Profile
from monitoring.choices import Span
from monitoring.models import Bucket
from monitoring.selectors.bases import bases, basis_of
from monitoring.stats.tally import Tally
from registry.models import Version


class Summed(NamedTuple):
    """The answers of one version in a window. `start` and `end` are what the sums really cover: an hour or a day that
    begins before the window is left out, one that ends after it is in. `profile` is None without a reference."""

    profile: Profile | None
    tally: Tally
    rows: int
    start: datetime
    end: datetime

    @property
    def span_secs(self) -> float:
        return (self.end - self.start).total_seconds()


class Point(NamedTuple):
    """The answers of one version in one step of a chart."""

    version_id: int
    at: datetime  # start of the step
    rows: int
    tally: Tally


def window_sum(version: Version, start: datetime, end: datetime) -> Summed:
    """What the folded answers with a `predicted_at` from `start` to before `end` add up to; one query for a version
    that this process knows already.

    Raises ValueError for a window that ends before it starts.
    """
    if end < start:
        raise ValueError(f"end must not be before start but got {start} to {end}")
    basis = basis_of(version)
    buckets = list(_touching([version.pk], start, end))
    inside = [bucket for bucket in buckets if bucket.started_at >= start]
    before = [_end(bucket) for bucket in buckets if bucket.started_at < start]
    return Summed(
        profile=None if basis.bins is None else sum_profiles(inside, basis.bins),
        tally=Tally.sum_of_bytes((bytes(bucket.tally) for bucket in inside), basis.shape),
        rows=sum(bucket.rows for bucket in inside),
        start=min([max([start, *before]), end]),
        end=max([end, *map(_end, inside)]),
    )


def series(versions: Version | Sequence[Version], start: datetime, end: datetime, step: timedelta) -> list[Point]:
    """Tallies of each version per step of the window, by time and version; steps without answers are left out. A
    bucket longer than the step counts where it starts."""
    if step <= timedelta(0):
        raise ValueError(f"step must be longer than nothing but got {step}")
    chosen = [versions] if isinstance(versions, Version) else versions
    known = bases([version.pk for version in chosen])
    sums: dict[tuple[datetime, int], tuple[int, Tally]] = {}
    for bucket in _touching(list(known), start, end).defer("profile"):
        if bucket.started_at < start:
            continue
        shape = known[bucket.version_id].shape
        key = start + (bucket.started_at - start) // step * step, bucket.version_id
        rows, tally = sums.get(key, (0, Tally.empty(shape)))
        sums[key] = rows + bucket.rows, tally + Tally.from_bytes(bytes(bucket.tally), shape)
    return [
        Point(version_id, at, rows, tally)
        for (at, version_id), (rows, tally) in sorted(sums.items(), key=itemgetter(0))
    ]


def sum_profiles(buckets: Iterable[Bucket], bins: Bins) -> Profile:
    """The profiles of buckets on one reference's bins, added up."""
    return Profile.sum_of_bytes((bytes(b.profile) for b in buckets if b.profile is not None), bins)


def _touching(version_ids: Sequence[int], start: datetime, end: datetime) -> QuerySet[Bucket]:
    """Buckets that begin before `end`, and no earlier than the longest before `start`."""
    longest = timedelta(seconds=max(Span.values))
    rows = Bucket.objects.filter(version__in=version_ids, started_at__gt=start - longest, started_at__lt=end)
    return rows.order_by("started_at", "version_id", "span_secs")


def _end(bucket: Bucket) -> datetime:
    return bucket.started_at + timedelta(seconds=bucket.span_secs)
