"""Units by the day of their assignment, so that both arms are judged after the same time.

Labels come late, and not at random: a refused claim is known the same day, fraud after months. While units arrive, the
newer ones lack their late labels; an arm whose units are newer on average (B, in a ramp) would look better or worse for
that alone. So sums are kept by the day of assignment and by how many days later something became known, and both arms
are compared on the units that were followed up for a given time, as they were known after that time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Generic, NamedTuple, Protocol, Self, TypeVar


class Sums(Protocol):
    """A tally: what `+` makes of two."""

    def __add__(self, other: Self, /) -> Self: ...


T = TypeVar("T", bound=Sums)


class Cohort(NamedTuple, Generic[T]):
    """What became known `days_later` days after `day` about the units assigned on that day: at first their answers,
    with each label the tally with it less the one without, with each correction the new one less the old one."""

    day: date
    days_later: int
    sums: T


def is_followed_up(day: date, days_later: int, *, days: int, today: date) -> bool:
    """Whether a cohort takes part in a comparison at a follow-up of `days` days; ValueError for a negative number.

    >>> [is_followed_up(date(2026, 3, 1), later, days=30, today=date(2026, 5, 1)) for later in (0, 30, 31)]
    [True, True, False]
    """
    if days < 0:
        raise ValueError(f"days must be at least 0 but got {days}")
    return day < today - timedelta(days=days) and 0 <= days_later <= days


def followed_up(cohorts: Iterable[Cohort[T]], *, days: int, today: date, empty: T) -> T:
    """Sum over the units that were assigned more than `days` days before `today`, as known `days` days after.

    Labels and corrections that came later are left out for the older units too: whoever waits longer compares all units
    after the longer time. Where the sums are stored as bytes, asking `is_followed_up` of each and adding them by
    `sum_of_bytes` takes a third of the time.

    >>> from mlops_site.stats.exact import Moments
    >>> known = [Cohort(date(2026, 3, 1), later, Moments(1)) for later in (0, 5, 40)]
    >>> followed_up(known, days=30, today=date(2026, 5, 1), empty=Moments()).count
    2
    """
    total = empty
    for cohort in cohorts:
        if is_followed_up(cohort.day, cohort.days_later, days=days, today=today):
            total = total + cohort.sums
    return total
