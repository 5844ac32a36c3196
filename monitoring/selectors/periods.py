"""Windows of time as people ask for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

from mlops_site.core.errors import Invalid
from mlops_site.core.rows import NEWEST, OLDEST
from monitoring.selectors.spans import whole

LONGEST = timedelta(days=400)
STEPS = tuple(timedelta(minutes=minutes) for minutes in (5, 60, 360, 1440, 7 * 1440))
MOST_STEPS = 60


class _Preset(NamedTuple):
    length: timedelta
    step: timedelta
    words: str


PRESETS = {
    "24h": _Preset(timedelta(days=1), timedelta(hours=1), "last 24 hours"),
    "7d": _Preset(timedelta(days=7), timedelta(hours=6), "last 7 days"),
    "30d": _Preset(timedelta(days=30), timedelta(days=1), "last 30 days"),
}


class Period(NamedTuple):
    """From `start` to before `end`, drawn in steps of `step`; `name` is that of a preset or empty."""

    name: str
    start: datetime
    end: datetime
    step: timedelta
    words: str

    @property
    def secs(self) -> float:
        return (self.end - self.start).total_seconds()

    @property
    def times(self) -> list[datetime]:
        """Starts of the steps."""
        return [self.start + n * self.step for n in range(-(-(self.end - self.start) // self.step))]


def period(
    *, window: str = "", start: datetime | None = None, end: datetime | None = None, now: datetime | None = None
) -> Period:
    """A preset (24h if nothing is said), or from `start` to `end`, which is now if left out, widened to whole buckets.

    Raises Invalid for an unknown preset, for both at once, and for what ends before it starts, is too long or lies
    outside 2000 to 2200.
    """
    now = now or timezone.now()
    if start is None and end is None:
        return _preset(window or "24h", now)
    if window:
        raise Invalid.on(
            "window", f"window must be left out with from and to but got {window[:40]!r}", code="bad_window"
        )
    if start is None:
        raise Invalid.on("from", "from must be given with to", code="bad_window")
    return _between(within("from", start), within("to", end or now), now)


def within(field: str, moment: datetime) -> datetime:
    """The moment in UTC; Invalid before 2000, when nothing was logged, and from 2200 on. At the ends of the calendar
    there is no window before, and the moment itself may have no time in UTC."""
    if OLDEST <= moment < NEWEST:
        return moment.astimezone(UTC)
    message = f"{field} must be from {OLDEST:%Y} to {NEWEST:%Y} but got {moment.isoformat()}"
    raise Invalid.on(field, message, code="out_of_range")


def _preset(name: str, now: datetime) -> Period:
    found = PRESETS.get(name)
    if found is None:
        message = f"window must be one of {', '.join(PRESETS)} but got {name[:40]!r}"
        raise Invalid.on("window", message, code="unknown_window")
    start, end = whole(now - found.length, now, now=now)
    return Period(name, start, end, found.step, found.words)


def _between(start: datetime, end: datetime, now: datetime) -> Period:
    if not start < end:
        raise Invalid.on(
            "to", f"to must be after from but got {start.isoformat()} to {end.isoformat()}", code="bad_window"
        )
    if end - start > LONGEST:
        raise Invalid.on(
            "from", f"a window must be at most {LONGEST.days} days but got {(end - start).days}", code="bad_window"
        )
    start, end = whole(start, end, now=now)
    step = next(step for step in STEPS if (end - start) <= step * MOST_STEPS)
    return Period("", start, end, step, f"{start:%d %b %Y %H:%M} to {end:%d %b %Y %H:%M}")


def floor(moment: datetime, grain: timedelta) -> datetime:
    """The last whole multiple of `grain` (up to a day, since midnight UTC) that is not after the moment.

    >>> floor(datetime(2026, 11, 24, 9, 12, 30), timedelta(minutes=5))
    datetime.datetime(2026, 11, 24, 9, 10)
    """
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (moment - midnight) // grain * grain
