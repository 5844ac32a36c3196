"""A model's life in one column, newest first: what was asked of it, what went wrong, who did what about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from mlops_site.core.dashboards import Page
from mlops_site.pages.happenings import Happening, sources
from monitoring.selectors.fleet import volume_by_day
from registry import selectors
from registry.models import RegisteredModel

SHOWN = 60
QUIET = 3  # so many days without anything but predictions stand in one line


class Asked(NamedTuple):
    """Predictions of one version."""

    number: str
    rows: int


class Day(NamedTuple):
    """A day, or several quiet ones from `first` to `last`, with what was asked in them."""

    first: date
    last: date
    asked: list[Asked]
    rows: list[Happening]


class TimelinePage(Page):
    template_name = "pages/timeline.html"

    def facts(self) -> dict[str, Any]:
        model = selectors.model_named(self.actor, self.kwargs["model"])
        before = _moment(self.request.GET.get("before", ""))
        rows, older = newest(model, before)
        return {
            "title": f"Timeline of {model}",
            "model": model,
            "days": days(rows, _asked(model, rows if older else [], before)),
            "older": older,
            "before": before,
        }


def newest(model: RegisteredModel, before: datetime | None, *, count: int = SHOWN) -> tuple[list[Happening], str]:
    """The latest `count` of what happened before a moment, and the moment (ISO) that the next page is before, or ""
    at the end. What happened at the same moment stays together, so that no page loses it."""
    found = [row for source in sources(model) for row in source.newest(before, count + 1)]
    found.sort(key=lambda row: row.at, reverse=True)
    if len(found) <= count:
        return found, ""
    last = found[count - 1].at
    shown = [row for row in found if row.at >= last]
    return shown, last.isoformat() if len(shown) < len(found) else ""


def _asked(model: RegisteredModel, rows: list[Happening], before: datetime | None) -> dict[date, list[Asked]]:
    """Predictions of the days down to the last of the rows, without rows of all. The day at which a page begins was
    counted on the page before."""
    since = _start_of(rows[-1].at) if rows else None
    until = _start_of(before) if before else timezone.now() + timedelta(days=1)
    found: dict[date, list[Asked]] = defaultdict(list)
    for day, number, count in volume_by_day(model, since, until):
        found[day].append(Asked(number, count))
    return found


def days(rows: Iterable[Happening], asked: dict[date, list[Asked]]) -> list[Day]:
    """What happened by day, newest first; runs of quiet days are one."""
    by_day: dict[date, list[Happening]] = {day: [] for day in asked}
    for row in rows:
        by_day.setdefault(row.at.date(), []).append(row)
    found: list[Day] = []
    quiet: list[Day] = []
    for day in sorted(by_day, reverse=True):
        here = Day(day, day, asked.get(day, []), gathered(by_day[day]))
        if here.rows:
            found += [*joined(quiet), here]
            quiet = []
        else:
            quiet.append(here)
    return found + joined(quiet)


def gathered(rows: list[Happening]) -> list[Happening]:
    """Reports in a row, newest first, as one line: what lasts is found every hour."""
    found: list[Happening] = []
    for kind, group in groupby(rows, key=lambda row: row.kind):
        lines = list(group)
        if kind == "report" and len(lines) > 1:
            since = f"The latest of {len(lines)} such reports since {lines[-1].at:%H:%M}. {lines[0].detail}"
            lines = [lines[0]._replace(detail=since)]
        found += lines
    return found


def joined(quiet: list[Day]) -> list[Day]:
    """Days in a row, newest first, as one if they are many; their predictions add up."""
    if len(quiet) < QUIET:
        return quiet
    sums: dict[str, int] = defaultdict(int)
    for day in quiet:
        for asked in day.asked:
            sums[asked.number] += asked.rows
    return [Day(quiet[-1].first, quiet[0].last, [Asked(*item) for item in sums.items()], [])]


def _start_of(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _moment(text: str) -> datetime | None:
    """A time with a zone as the link of the page before wrote it, in UTC; None for anything else, and for the ends of
    the calendar, whose time in UTC no calendar has."""
    try:
        found = parse_datetime(text)
        return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
