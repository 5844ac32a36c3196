"""A model's monitoring: what came in, what went out, what turned out to be true."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from mlops_site.core.dashboards import Page
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Action
from monitoring.dashboards.retention import PARTS
from monitoring.selectors.board import shown
from monitoring.selectors.dashboard import dashboard, version_shown
from monitoring.selectors.fleet import volume_by_day
from monitoring.selectors.periods import PRESETS, Period, period
from monitoring.selectors.stamp import AGES, stamp
from registry import selectors as registry
from registry.models import RegisteredModel, Version


class Asked(NamedTuple):
    """What the address asks for; `wrong` says what is wrong with its window, where another is shown."""

    model: RegisteredModel
    version: Version | None
    period: Period
    wrong: str
    metric: str
    feature: str

    @property
    def is_live(self) -> bool:
        """Whether more can come into the window."""
        return bool(self.period.name) or self.period.end > timezone.now() - AGES

    def query(self, start: datetime | None = None, end: datetime | None = None) -> str:
        """The address's query for this window, or for the one from `start` to `end`."""
        said = {"version": self.version.number if self.version else "", "metric": self.metric, "feature": self.feature}
        if start and end:
            said |= {"from": f"{start:%Y-%m-%dT%H:%M:%SZ}", "to": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
        elif self.period.name:
            said["window"] = self.period.name
        else:
            return self.query(self.period.start, self.period.end)
        return urlencode({name: value for name, value in said.items() if value})


class MonitoringPage(Page):
    """It answers 304 to whoever has it already: a page that is open asks every few seconds."""

    template_name = "monitoring/dashboard.html"
    tag = ""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        asked = self.asked
        if asked.version is None:
            return super().get(request, *args, **kwargs)
        self.tag = f'"{stamp(asked.version, asked.period, asked.metric, asked.feature)}"'
        if request.headers.get("If-None-Match") == self.tag:
            return HttpResponseNotModified(headers={"ETag": self.tag})
        answer = super().get(request, *args, **kwargs)
        answer.headers["ETag"] = self.tag
        return answer

    @cached_property
    def asked(self) -> Asked:
        said = self.request.GET
        model = registry.model_named(self.actor, self.kwargs["model"])
        version = version_shown(model, said.get("version", ""))
        chosen, wrong = period_asked(said.get("window", ""), said.get("from", ""), said.get("to", ""))
        return Asked(model, version, chosen, wrong, said.get("metric", "")[:40], said.get("feature", "")[:200])

    def facts(self) -> dict[str, Any]:
        asked = self.asked
        model, version, chosen = asked.model, asked.version, asked.period
        found = dashboard(version, chosen, metric=asked.metric) if version else None
        return {
            "title": f"Monitoring of {model}",
            "model": model,
            "version": version,
            "versions": [row.number for row in registry.versions(model)],
            "period": chosen,
            "wrong": asked.wrong,
            "presets": [(name, preset.words.removeprefix("last ")) for name, preset in PRESETS.items()],
            "may_handle": self.actor.may(Action.ALERT_HANDLE, model.team_id),
            "may_keep": any(self.actor.may(right, model.team_id) for right in PARTS.values()),
            "figures": True,
            "asked": asked_of(model, chosen) if found and not found.now.rows else [],
            "is_live": asked.is_live,
            "tag": self.tag,
            "query": asked.query(),
            **neighbours(asked),
            **(shown(found, feature=asked.feature) if found else {}),
        }


def neighbours(asked: Asked) -> dict[str, str]:
    """Queries for the windows of the same length before and after; none for what has not begun."""
    start, end = asked.period.start, asked.period.end
    length, is_past = end - start, end < timezone.now() - AGES
    after = asked.query(end, end + length) if is_past else ""
    return {"before": asked.query(start - length, start), "after": after}


def period_asked(window: str, start: str, end: str) -> tuple[Period, str]:
    """The window of a page's address, or the default one and what is wrong with what was asked."""
    try:
        return period(window="" if start else window, start=_moment("from", start), end=_moment("to", end)), ""
    except Invalid as error:
        return period(), error.detail


def _moment(field: str, text: str) -> datetime | None:
    """As a date and time field sends it: without a zone it is UTC."""
    try:
        found = parse_datetime(text) if text else None
    except ValueError:
        found = None
    if text and found is None:
        raise Invalid.on(field, f"{field} must be a date and time but got {text[:40]!r}", code="bad_window")
    return make_aware(found) if found is not None and is_naive(found) else found


def asked_of(model: RegisteredModel, chosen: Period) -> list[tuple[str, int]]:
    """(version, predictions) of the window, the newest version first."""
    found: dict[str, int] = defaultdict(int)
    for _, number, rows in volume_by_day(model, chosen.start, chosen.end):
        found[number] += rows
    return sorted(found.items(), key=lambda each: [int(part) for part in each[0].split(".")], reverse=True)
