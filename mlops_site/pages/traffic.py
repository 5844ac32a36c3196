"""What was asked of models lately, from sums: what it costs does not grow with the traffic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from django.utils import timezone

from monitoring.models import Bucket
from monitoring.plots import spark
from monitoring.selectors import Point, series
from monitoring.selectors.periods import floor
from monitoring.stats.operations import quantile_ms
from registry.models import RegisteredModel, Version

HOUR = timedelta(hours=1)
HOURS = 24


class Part(NamedTuple):
    """What one version answered of a model's traffic."""

    version: int
    predictions: int
    labelled: int


class Traffic(NamedTuple):
    """Folded predictions of the last 24 hours: how many, how many of them failed or are labelled, mean and median of
    the response times (None where none was measured), the predictions of each hour, oldest first, and each version's
    part of one model's traffic."""

    predictions: int
    errors: int
    labelled: int
    mean_ms: float | None
    median_ms: float | None
    by_hour: list[int]
    parts: tuple[Part, ...] = ()

    @property
    def per_hour(self) -> float:
        return self.predictions / HOURS

    @property
    def line(self) -> str:
        """Points of a small line; empty where nothing was asked."""
        return spark(self.by_hour) if self.predictions else ""

    def of(self, version: int) -> Part:
        """Nothing where it was not asked."""
        return next((part for part in self.parts if part.version == version), Part(version, 0, 0))


def last_day(models: Iterable[RegisteredModel]) -> dict[int, Traffic]:
    """Model -> its traffic, of those that were asked something; a fixed number of queries."""
    since = floor(timezone.now() - timedelta(hours=HOURS), HOUR)
    busy = Bucket.objects.filter(started_at__gte=since, rows__gt=0).order_by().values("version").distinct()
    versions = list(Version.objects.filter(model__in=models, pk__in=busy).only("model"))
    model_of = {version.pk: version.model_id for version in versions}
    points: dict[int, list[Point]] = defaultdict(list)
    for point in series(versions, since, timezone.now(), HOUR):
        points[model_of[point.version_id]].append(point)
    return {model: _traffic(found, [since + n * HOUR for n in range(HOURS + 1)]) for model, found in points.items()}


def together(parts: Iterable[Traffic]) -> Traffic:
    """Of several models: numbers add up, the mean weighs each by its predictions; there is no common median."""
    found = [part for part in parts if part.predictions]
    timed = [(part.mean_ms, part.predictions) for part in found if part.mean_ms is not None]
    hours = [sum(column) for column in zip(*(part.by_hour for part in found), strict=True)]
    return Traffic(
        sum(part.predictions for part in found),
        sum(part.errors for part in found),
        sum(part.labelled for part in found),
        sum(mean * rows for mean, rows in timed) / sum(rows for _, rows in timed) if timed else None,
        found[0].median_ms if len(found) == 1 else None,
        hours,
    )


NOTHING = Traffic(0, 0, 0, None, None, [])


def _traffic(points: list[Point], hours: list[object]) -> Traffic:
    rows: dict[object, int] = defaultdict(int)
    by_version: dict[int, list[Point]] = defaultdict(list)
    for point in points:
        rows[point.at] += point.rows
        by_version[point.version_id].append(point)
    latency = np.sum([point.tally.latency for point in points], axis=0)
    timed, total_us = int(latency.sum()), float(sum(point.tally.sums["latency_us"] for point in points))
    return Traffic(
        sum(point.rows for point in points),
        sum(point.tally.errors for point in points),
        sum(point.tally.labelled for point in points),
        total_us / timed / 1000 if timed else None,
        quantile_ms(latency, 0.5),
        [rows[hour] for hour in hours],
        tuple(
            Part(version, sum(point.rows for point in mine), sum(point.tally.labelled for point in mine))
            for version, mine in by_version.items()
        ),
    )
