"""Asking for reports on windows of production, and keeping them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.durations import length_within
from mlops_site.core.errors import Conflict, Invalid
from mlops_site.core.models import User
from mlops_site.core.permissions import Action, Actor, require
from monitoring.choices import Occasion
from monitoring.models import MonitoringRun, Report, Unchecked
from monitoring.selectors.periods import within
from monitoring.selectors.spans import span_after, start_of, whole
from monitoring.services.alerts import raise_alerts
from monitoring.services.recoveries import count_clean
from registry import selectors as registry
from registry.models import RegisteredModel, Version

SHORTEST, LONGEST = timedelta(minutes=5), timedelta(days=366)
CLOCKS_DIFFER = timedelta(minutes=1)


class Window(NamedTuple):
    """From `start` to before `end`."""

    start: datetime
    end: datetime


class Content(NamedTuple):
    """What a report says: the columns of `Report` that are computed."""

    samples: int
    overall_score: float | None
    severity: str
    body: dict[str, Any]
    findings: list[dict[str, Any]]


def request_report(
    *,
    actor: Actor | None,
    model: RegisteredModel,
    version: Version | None = None,
    window_from: datetime,
    window_to: datetime,
    explicit: bool = True,
    occasion: Occasion = Occasion.SCHEDULE,
) -> MonitoringRun:
    """A queued job that reports on the answers of one version (the one in production if left out) in a window, which
    is widened to whole buckets; the caller rings the bell. Without an actor it is made by itself, at an
    `occasion`, and what was folded so far counts as looked at.

    Raises Forbidden, Conflict `no_production_version`, and Invalid for a window that ends before it starts, lies
    before 2000 or in the future, or is longer than 366 days.
    """
    now = timezone.now()
    asked = checked_window(window_from, window_to, now=now)
    window = Window(*whole(*asked, now=now))
    with events.atomic():
        if actor is not None:
            require(actor, Action.MONITORING_RUN, model.team, subject=model.subject)
        chosen = version_or_serving(model, version)
        run = MonitoringRun.objects.create(
            model=model,
            version=chosen,
            window_from=window.start,
            window_to=window.end,
            explicit=explicit,
            occasion=occasion,
            requested_by=actor.user if actor else None,
            step="waiting for a worker",
        )
        if not explicit:
            Unchecked.objects.filter(version=chosen).update(rows=0)
        if actor is not None:
            data = {"version": chosen.number, "from": window.start.isoformat(), "to": window.end.isoformat()}
            events.record("monitoring.requested", actor=actor, subject=run.subject, team=model.team.name, data=data)
    return run


def version_or_serving(model: RegisteredModel, version: Version | None) -> Version:
    """The version, or else the one in production. Conflict `no_production_version` where neither is there."""
    chosen = version or registry.in_production(model)
    if chosen is None:
        raise Conflict(f"{model.name} has no version in production; name one", code="no_production_version")
    return chosen


def window_of(length: object, *, now: datetime | None = None) -> Window:
    """The last "30m", "24h" or "7d" up to now, from the start of the bucket that the first moment lies in; Invalid for
    anything else, and outside 5 minutes to 366 days."""
    try:
        last = length_within(length, SHORTEST, LONGEST)
    except ValueError as error:
        raise Invalid.on("window", f"window {error}", code="invalid_window") from error
    return window_before(last, now=now)


def window_before(length: timedelta, *, now: datetime | None = None) -> Window:
    """The last `length` up to now, from the start of the bucket that its first moment lies in."""
    end = now or timezone.now()
    return Window(start_of(end - length, span_after(length)), end)


def checked_window(start: datetime, end: datetime, *, now: datetime) -> Window:
    """The window; Invalid where `request_report` says."""
    for name, moment in (("from", start), ("to", end)):
        if moment > now + CLOCKS_DIFFER:
            message = f"window.{name} must not lie in the future but got {moment.isoformat()}; it is {now.isoformat()}"
            raise Invalid.on(f"window.{name}", message, code="window_in_the_future")
        within(f"window.{name}", moment)
    if start >= end:
        message = f"window.from must be before window.to but got {start.isoformat()} and {end.isoformat()}"
        raise Invalid.on("window.from", message, code="invalid_window")
    if end - start > LONGEST:
        message = f"a window must be at most {LONGEST.days} days long but got {(end - start).days} days"
        raise Invalid.on("window.from", message, code="window_too_long")
    return Window(start, end)


def keep_report(
    version: Version,
    content: Content,
    window: Window,
    *,
    explicit: bool,
    occasion: Occasion = Occasion.SCHEDULE,
    from_frames: bool = False,
    created_by: User | None = None,
) -> Report:
    """Keep what was computed, raise its alerts and, on schedule, count towards the end of others, in the caller's
    transaction or one of its own. One that is made afterwards raises none: nobody can act on what is over."""
    with events.atomic():
        report = Report.objects.create(
            model=version.model,
            version=version,
            window_from=window.start,
            window_to=window.end,
            explicit=explicit,
            occasion=occasion,
            from_frames=from_frames,
            created_by=created_by,
            **content._asdict(),
        )
        if occasion != Occasion.BACKFILL:
            raise_alerts(report)
        if occasion == Occasion.SCHEDULE:
            count_clean(report)
        if not explicit:
            Unchecked.objects.filter(version=version).update(samples=report.samples)
    return report
