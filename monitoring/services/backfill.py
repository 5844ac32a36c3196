"""Reports on windows that are over: what charts and persistence would show, had monitoring run then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.durations import length_within, spelt
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Action, Actor, require
from monitoring.choices import Occasion
from monitoring.models import MonitoringRun
from monitoring.selectors.schedules import schedule_of
from monitoring.selectors.spans import whole
from monitoring.services.reports import LONGEST, SHORTEST, Window, checked_window, version_or_serving
from registry.models import RegisteredModel, Version


def request_backfill(
    *,
    actor: Actor,
    model: RegisteredModel,
    version: Version | None = None,
    window_from: datetime,
    window_to: datetime,
    every: object = None,
    length: object = None,
) -> MonitoringRun:
    """A queued job that reports on one version (the one in production if left out) in each window of `length` that
    ends `every` so long after the last, from `window_from` to `window_to`, and raises no alerts; the caller rings the
    bell. Both lengths are the schedule's if left out. Windows that have a report are passed over.

    Raises Forbidden, Conflict `no_production_version`, and Invalid for times that are no window (see
    `request_report`), and for lengths outside 5 minutes to 366 days.
    """
    schedule, now = schedule_of(model), timezone.now()
    asked = checked_window(window_from, window_to, now=now)
    step = _length("every", every, schedule.every)
    size = _length("window", length, schedule.window)
    count = len(list(windows_of(asked, step, size, now=now)))
    if not count:
        message = f"every must be at most {spelt(asked.end - asked.start)}, from `from` to `to`, but got {spelt(step)}"
        raise Invalid.on("every", message, code="no_window")
    with events.atomic():
        require(actor, Action.MONITORING_RUN, model.team, subject=model.subject)
        chosen = version_or_serving(model, version)
        run = MonitoringRun.objects.create(
            model=model,
            version=chosen,
            window_from=asked.start,
            window_to=asked.end,
            explicit=False,
            occasion=Occasion.BACKFILL,
            every=step,
            length=size,
            requested_by=actor.user,
            step="waiting for a worker",
        )
        data = {"version": chosen.number, "from": asked.start.isoformat(), "to": asked.end.isoformat()}
        data["windows"] = str(count)
        events.record("monitoring.backfilled", actor=actor, subject=run.subject, team=model.team.name, data=data)
    return run


def windows_of(asked: Window, every: timedelta, length: timedelta, *, now: datetime) -> Iterator[Window]:
    """From old to new, each widened to whole buckets; of those that become the same, one. Not more than some 500 in a
    year, as buckets are days before three days ago."""
    last, steps = None, (asked.end - asked.start) // every
    for step in range(1, steps + 1):
        end = asked.start + step * every
        window = Window(*whole(end - length, end, now=now))
        if window != last:
            yield window
        last = window


def _length(field: str, value: object, default: timedelta) -> timedelta:
    try:
        return default if value is None else length_within(value, SHORTEST, LONGEST)
    except ValueError as error:
        raise Invalid.on(field, f"{field} {error}", code="invalid") from error
