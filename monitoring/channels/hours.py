"""When a message may go: digests and quiet hours, by the wall clock of the channel's time zone."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from monitoring.choices import Digest

DAILY_AT = time(8)


def due_at(
    now: datetime, *, digest: str = Digest.NONE, quiet: tuple[time, time] | None = None, zone: str = "UTC"
) -> datetime:
    """The first moment from `now` on (both in UTC) at which it may go.

    >>> night, now = (time(22), time(7)), datetime(2026, 1, 5, 23, 30, tzinfo=UTC)
    >>> due_at(now, quiet=night).isoformat(), due_at(now, digest="hourly").isoformat()
    ('2026-01-06T07:00:00+00:00', '2026-01-06T00:00:00+00:00')
    """
    local = now.astimezone(ZoneInfo(zone))
    if digest == Digest.HOURLY:
        at = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    elif digest == Digest.DAILY:
        at = _next(local, DAILY_AT)
    else:
        at = now
    return _after(at.astimezone(ZoneInfo(zone)), quiet).astimezone(UTC) if quiet else at.astimezone(UTC)


def _next(local: datetime, clock: time) -> datetime:
    """When the clock on the wall next shows it."""
    day = local.date() if local.time() < clock else local.date() + timedelta(days=1)
    return datetime.combine(day, clock, tzinfo=local.tzinfo)


def _after(local: datetime, quiet: tuple[time, time]) -> datetime:
    start, end = quiet
    shown = local.time()
    is_quiet = start <= shown < end if start < end else shown >= start or shown < end
    return _next(local, end) if is_quiet else local
