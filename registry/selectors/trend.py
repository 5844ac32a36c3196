"""One metric over the versions of a model, with what served when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from mlops_site.core.errors import Invalid
from mlops_site.stats import metrics
from registry.choices import Stage
from registry.models import RegisteredModel, StageInterval
from registry.selectors.versions import versions

MAX_VERSIONS = 200
HEADLINES = ("roc_auc", "f1_score", "accuracy", "rmse", "mae", "r2")


class Stay(NamedTuple):
    """A time in production; `to` is None while it lasts."""

    since: datetime
    to: datetime | None


class TrendPoint(NamedTuple):
    version: str
    value: float
    ci95: list[float] | None
    stage: str
    registered_at: datetime
    production: list[Stay]


class Trend(NamedTuple):
    """Points in the order of their numbers, of the newest MAX_VERSIONS at most; `known` are the metrics of any."""

    metric: str | None
    greater_is_better: bool | None
    points: list[TrendPoint]
    known: list[str]
    left_out: int  # older versions


def metric_trend(model: RegisteredModel, *, metric: str | None = None) -> Trend:
    """Three queries. The headline metric where none is asked for; Invalid names the known ones for another."""
    rows = list(versions(model)[: MAX_VERSIONS + 1])
    left_out = model.versions.count() - MAX_VERSIONS if len(rows) > MAX_VERSIONS else 0
    rows = rows[:MAX_VERSIONS][::-1]
    known = sorted({name for row in rows for name in row.metrics}, key=_rank)
    if metric is not None and metric not in known:
        listed = ", ".join(known[:50]) or "none"
        message = f"metric must be one that a version of {model} has ({listed}) but got {metric[:80]!r}"
        raise Invalid.on("metric", message, code="unknown_metric")
    chosen = metric or (known[0] if known else None)
    stays = _stays(row.pk for row in rows)
    points = [
        TrendPoint(row.number, entry["value"], entry.get("ci95"), row.stage, row.created_at, stays.get(row.pk, []))
        for row in rows
        if chosen is not None and (entry := row.metrics.get(chosen)) is not None
    ]
    entry_of: Any = metrics.METRICS.get(chosen or "")
    return Trend(chosen, None if entry_of is None else entry_of.greater_is_better, points, known, left_out)


def _rank(name: str) -> tuple[int, str]:
    return (HEADLINES.index(name) if name in HEADLINES else len(HEADLINES), name)


def _stays(keys: Iterable[int]) -> dict[int, list[Stay]]:
    rows = StageInterval.objects.filter(version__in=list(keys), stage=Stage.PRODUCTION).order_by("started_at", "pk")
    found: dict[int, list[Stay]] = {}
    for key, since, to in rows.values_list("version", "started_at", "ended_at"):
        found.setdefault(key, []).append(Stay(since, to))
    return found
