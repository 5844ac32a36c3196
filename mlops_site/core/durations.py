"""Durations as people type them: 7d, 12h, 30m."""

from __future__ import annotations

import re
from datetime import timedelta

HOUR, YEAR = timedelta(hours=1), timedelta(days=366)
_SIZES = {"d": 1440, "h": 60, "m": 1}  # minutes


def spelt(length: timedelta) -> str:
    """A duration in the largest unit that holds it whole.

    >>> spelt(timedelta(days=7)), spelt(timedelta(hours=36)), spelt(timedelta(minutes=90))
    ('7d', '36h', '90m')
    """
    minutes = round(length.total_seconds() / 60)
    unit, size = next((unit, size) for unit, size in _SIZES.items() if minutes % size == 0)
    return f"{minutes // size}{unit}"


def duration_of(value: object) -> timedelta:
    """What "7d", "12h" or "30m" means; ValueError for anything else, and for what has seconds.

    >>> duration_of("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", value) if isinstance(value, str) else None
    if found:
        return timedelta(minutes=int(found[1]) * _SIZES[found[2]])
    if isinstance(value, timedelta) and not value % timedelta(minutes=1):
        return value
    raise ValueError(f'must be like "7d", "12h" or "30m" but got {value!r:.80}')


def length_within(value: object, low: timedelta, high: timedelta = YEAR) -> timedelta:
    """The duration; ValueError where it is none, or outside the limits."""
    length = duration_of(value)
    if not low <= length <= high:
        raise ValueError(f"must be from {spelt(low)} to {spelt(high)} but got {spelt(length)}")
    return length
