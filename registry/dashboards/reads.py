"""What the registry's pages show beside its selectors, with a number of queries that does not grow with the rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.http import QueryDict
from django.urls import NoReverseMatch, reverse

from registry.choices import Stage
from registry.models import RegisteredModel, StageInterval, Version
from registry.plots import MetricHistory
from registry.selectors import Facet
from registry.selectors.models import stages_of

LINEAGE = {"dataset": "data set", "lock": "packages", "parent": "version before", "trigger_reason": "reason"}
HEADLINES = ("roc_auc", "f1_score", "accuracy", "rmse", "mae", "r2")


class Metric(NamedTuple):
    """A measured figure with its 95 % interval, where one is known."""

    name: str
    value: float | None
    ci95: list[float] | None


class ModelLine(NamedTuple):
    """A model in a list: its production version with its headline metric, the newest in staging."""

    model: RegisteredModel
    versions: int
    production: str | None  # number
    since: datetime | None
    headline: Metric | None
    staging: str | None  # number


def model_lines(rows: Iterable[RegisteredModel]) -> list[ModelLine]:
    """Of models as `selectors.models` gives them; one query more."""
    found = list(rows)
    serving = StageInterval.objects.open().filter(model__in=found, stage=Stage.PRODUCTION).select_related("version")
    shown = serving.only("model", "started_at", "version__model", "version__metrics")
    current = {interval.model_id: interval for interval in shown}
    return [_line(model, current.get(model.pk)) for model in found]


def _line(model: RegisteredModel, now: StageInterval | None) -> ModelLine:
    stages = stages_of(model)
    count: int = model.version_count  # type: ignore[attr-defined]
    return ModelLine(
        model,
        count,
        stages.get(Stage.PRODUCTION),
        now.started_at if now else None,
        headline(now.version.metrics) if now else None,
        stages.get(Stage.STAGING),
    )


def metrics_of(version: Version) -> list[Metric]:
    """A version's metrics, the headline first."""
    names = sorted(version.metrics, key=lambda name: (HEADLINES.index(name) if name in HEADLINES else 99, name))
    return [_metric(version.metrics, name) for name in names]


def headline(metrics: Mapping[str, Any]) -> Metric | None:
    """The one figure that stands for a version in a list."""
    name = next((name for name in HEADLINES if name in metrics), None)
    return _metric(metrics, name) if name else None


def _metric(metrics: Mapping[str, Any], name: str) -> Metric:
    return Metric(name, metrics[name].get("value"), metrics[name].get("ci95"))


class Origin(NamedTuple):
    """One line of where a version came from, with the address of its page if it has one here."""

    name: str
    value: str
    url: str


def origins(version: Version) -> list[Origin]:
    """The lineage of a version in the order in which it is stored, what is empty left out."""
    return [_origin(name, value) for name, value in version.lineage.items() if value not in ("", None)]


def _origin(name: str, value: Any) -> Origin:
    if name == "trigger" and isinstance(value, dict) and isinstance(alert := value.get("alert"), str):
        return Origin("because of", f"alert {alert[:8]}", _page("alert", alert))
    return Origin(LINEAGE.get(name, name), _said(value), _page(name, str(value)))


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _page(name: str, value: str) -> str:
    """Lineage is plain identifiers, some of them not of this install: only what has an address gets a link."""
    if name not in ("run", "dataset", "alert"):
        return ""
    try:
        return reverse(name, args=[value])
    except NoReverseMatch:
        return ""


def metric_history(versions: Sequence[Version]) -> MetricHistory:
    """The headline metric of versions given newest first, as the figure wants it: oldest first."""
    first = next((found for version in versions if (found := headline(version.metrics))), None)
    name = first.name if first else ""
    rows = [
        (v.number, v.metrics[name]["value"], v.metrics[name].get("ci95") or [None, None])
        for v in versions
        if name in v.metrics
    ]
    rows.reverse()
    return MetricHistory(
        name, [r[0] for r in rows], [r[1] for r in rows], [r[2][0] for r in rows], [r[2][1] for r in rows]
    )


class Choice(NamedTuple):
    """A link that narrows what is shown, or widens it again."""

    label: str
    rows: int | None  # how many there are
    query: str
    is_on: bool


class FacetLine(NamedTuple):
    name: str
    choices: list[Choice]


def facet(found: Facet, query: QueryDict, shown: int) -> FacetLine:
    """A facet's values as links from the address that is asked for."""
    now = query.get(found.name, "")
    rows = found.values if now == "" else [row for row in found.values if row[0] == now] or found.values
    return FacetLine(found.name, [_choice(found.name, value, count, query, now) for value, count in rows[:shown]])


def _choice(name: str, value: str, count: int, query: QueryDict, now: str) -> Choice:
    return Choice(value, count, _changed(query, name, None if value == now else value), value == now)


def chips(asked: Mapping[str, str], query: QueryDict) -> list[Choice]:
    """What is asked for, each as the link that leaves it out."""
    return [Choice(f"{name}: {value}", None, _changed(query, name, None), True) for name, value in asked.items()]


def _changed(query: QueryDict, name: str, value: str | None) -> str:
    """The address's query with one filter changed, from the first page on."""
    changed = query.copy()
    changed.pop("page", None)
    changed.pop(name, None)
    if value is not None:
        changed[name] = value
    return f"?{changed.urlencode()}"
