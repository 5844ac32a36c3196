"""Bucket rows: made, locked in one order, and added to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from django.utils import timezone

from mlops_site.stats.profile import Profile
from monitoring.choices import Span
from monitoring.models import Bucket
from monitoring.selectors.bases import Basis
from monitoring.selectors.spans import STEPS, start_of
from monitoring.stats.breakdown import Breakdown
from monitoring.stats.tally import Tally

Key = tuple[int, datetime]  # version id, start of the bucket


class Vanished(Exception):
    """A bucket was compacted away between its being made and its being locked: roll back and begin again."""


class Content(NamedTuple):
    """What a bucket holds, or what is to be added to it. `profile` is None without a reference."""

    rows: int
    profile: Profile | None
    tally: Tally
    breakdown: Breakdown


def added(first: Content, second: Content) -> Content:
    """Both together, of one version."""
    profile = None if first.profile is None or second.profile is None else first.profile + second.profile
    return Content(first.rows + second.rows, profile, first.tally + second.tally, first.breakdown + second.breakdown)


def placed(at: datetime, now: datetime) -> datetime:
    """Start of the 5-minute bucket that takes what happened at `at`: the first one of the hour or day that is closed
    by now. So what comes late lies in the same windows as the bucket that it will be merged into, and a year of
    history that is logged at once makes a row for each day."""
    for step in STEPS:
        if at < step.closed_before(now):
            return start_of(at, step.into)
    return start_of(at, Span.MINUTES)


def content_of(bucket: Bucket, basis: Basis) -> Content:
    """What a row holds; nothing, of a new one."""
    if basis.bins is None:
        profile = None
    elif bucket.profile is None:
        profile = Profile.empty(basis.bins)
    else:
        profile = Profile.from_bytes(bytes(bucket.profile), basis.bins)
    tally = Tally.from_bytes(bytes(bucket.tally), basis.shape)
    return Content(bucket.rows, profile, tally, Breakdown.from_bytes(bytes(bucket.breakdown), basis.shape))


def locked(keys: Iterable[Key], span_secs: int) -> dict[Key, Bucket]:
    """The rows of the keys, made where they are missing, locked by version and time so that nobody waits in a circle.

    Raises Vanished.
    """
    wanted = sorted(keys)
    Bucket.objects.bulk_create(
        [Bucket(version_id=version, span_secs=span_secs, started_at=at) for version, at in wanted],
        ignore_conflicts=True,
    )
    rows = Bucket.objects.select_for_update().filter(span_secs=span_secs)
    rows = rows.filter(version__in={version for version, _ in wanted}, started_at__in={at for _, at in wanted})
    found = {(row.version_id, row.started_at): row for row in rows.order_by("version_id", "started_at")}
    if not found.keys() >= set(wanted):
        raise Vanished
    return {key: found[key] for key in wanted}


def write(contents: Mapping[Key, Content], span_secs: int) -> list[Bucket]:
    """Give locked rows their new content, in as few statements as the database takes."""
    now = timezone.now()
    rows = [
        Bucket(
            version_id=version,
            span_secs=span_secs,
            started_at=at,
            rows=content.rows,
            profile=None if content.profile is None else content.profile.to_bytes(with_bins=False),
            tally=content.tally.to_bytes(),
            breakdown=content.breakdown.to_bytes(),
            updated_at=now,
        )
        for (version, at), content in contents.items()
    ]
    Bucket.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["version", "span_secs", "started_at"],
        update_fields=["rows", "profile", "tally", "breakdown", "updated_at"],
    )
    return rows


def digest_of_bucket(bucket: Bucket) -> str:
    """sha256 of what the row holds, in hex: how the audit chain knows a closed bucket."""
    parts = [str(bucket.rows).encode(), bytes(bucket.profile or b""), bytes(bucket.tally)]
    parts += [bytes(bucket.breakdown)] if bucket.breakdown else []  # a bucket without has the digest that it had before
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
