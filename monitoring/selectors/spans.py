"""How long the buckets of what is so old are, and windows that cut none of them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from monitoring.choices import Span


class Step(NamedTuple):
    """Buckets of `spans` go into one of `into` once that ended `after` ago."""

    into: Span
    spans: tuple[Span, ...]
    after: timedelta

    def closed_before(self, now: datetime) -> datetime:
        """Every bucket of `into` that starts before this is closed."""
        return start_of(now - self.after, self.into)


STEPS = (  # days first, so that what comes very late makes no hour on its way
    Step(Span.DAY, (Span.MINUTES, Span.HOUR), timedelta(days=3)),
    Step(Span.HOUR, (Span.MINUTES,), timedelta(hours=2)),
)


def start_of(at: datetime, span_secs: int) -> datetime:
    """Start of the bucket of a moment: a whole multiple of the span since 1970, in UTC."""
    return datetime.fromtimestamp(math.floor(at.timestamp() / span_secs) * span_secs, tz=UTC)


def span_after(age: timedelta) -> Span:
    """How long the buckets of what is so old are, or soon will be."""
    return next((step.into for step in STEPS if age >= step.after), Span.MINUTES)


def whole(start: datetime, end: datetime, *, now: datetime) -> tuple[datetime, datetime]:
    """The window widened to the buckets that its answers are, or soon will be, added up by: a part of an hour or a day
    cannot be told from the rest, and would be counted in the window before instead.

    >>> morning = datetime(2026, 11, 24, 5, 10, tzinfo=UTC)
    >>> found = whole(morning, morning + timedelta(hours=1), now=morning + timedelta(hours=8))
    >>> [f"{moment:%H:%M}" for moment in found]
    ['05:00', '07:00']
    """
    span = span_after(now - end)
    last = start_of(end, span)
    ends_in_it = span != Span.MINUTES and last < end
    return start_of(start, span_after(now - start)), last + timedelta(seconds=span) if ends_in_it else end
