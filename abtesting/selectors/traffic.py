"""What a model is really asked, how much of it gets a label, and how long that takes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from django.db.models import Min, Sum
from django.utils import timezone

from abtesting.stats.power import Traffic
from monitoring.models import Bucket, Label, Prediction
from monitoring.selectors import bases
from monitoring.stats.tally import Tally
from registry.models import RegisteredModel, Version

WINDOW = timedelta(days=30)
LATEST_LABELS = 2_000
_DAY = timedelta(days=1)
_LONGEST = 400.0  # days that a label may take to count for "old enough"


class Seen(NamedTuple):
    """Claims a day over the last 30 days, or since the first; the share of those old enough that has a label, and how
    many days the middle label took. None for what nobody knows yet."""

    claims: int
    per_day: float
    label_share: float | None
    label_days: float | None
    labels: int  # behind label_days

    @property
    def says(self) -> str:
        """In a sentence."""
        if not self.claims:
            return "No traffic yet: no claim was answered in the last 30 days."
        asked = f"{self.per_day:,.0f} claim{'' if round(self.per_day) == 1 else 's'} a day in the last 30 days"
        if not self.label_share:
            return f"{asked}; none has a label yet, so nobody can say how long labels take."
        took = "" if self.label_days is None else f"; half of the labels come within {_days(self.label_days)}"
        return f"{asked}, of which {self.label_share:.0%} get a label{took}."

    def expected(self, *, holdout: float = 0.0) -> Traffic:
        """As the power calculation takes it: nothing a day where no label is to be expected."""
        if not self.label_share:
            return Traffic(0.0, holdout=holdout)
        return Traffic(self.per_day, min(1.0, self.label_share), self.label_days or 0.0, holdout)


def traffic_of(model: RegisteredModel, *, now: datetime | None = None) -> Seen:
    """Over all versions of a model; four queries, whose cost does not depend on the claims."""
    now = now or timezone.now()
    rows = Bucket.objects.filter(version__model=model, rows__gt=0, started_at__lt=now).order_by()
    first = rows.aggregate(at=Min("started_at"))["at"]
    claims = rows.filter(started_at__gte=now - WINDOW).aggregate(n=Sum("rows"))["n"] or 0
    if first is None:
        return Seen(0, 0.0, None, None, 0)
    delays = label_days(model)
    middle, late = (float(np.quantile(delays, share)) for share in (0.5, 0.9)) if delays else (None, 0.0)
    ripe = now - timedelta(days=min(late, _LONGEST))
    tallies = _tallies(model, ripe - WINDOW, ripe) or _tallies(model, now - WINDOW, now)
    answers, labelled = (sum(getattr(tally, part) for tally in tallies.values()) for part in ("rows", "labelled"))
    days = max(min(now - first, WINDOW) / _DAY, 1.0)
    return Seen(claims, claims / days, labelled / answers if answers else None, middle, len(delays))


def label_days(model: RegisteredModel) -> list[float]:
    """Days from a claim to its first label, of the latest labels."""
    rows = Label.objects.filter(model=model, revision=1).order_by("-pk")
    latest = list(rows.values_list("request_id", "received_at", "observed_at")[:LATEST_LABELS])
    asked = {request_id: (received, observed) for request_id, received, observed in latest}
    found = Prediction.objects.filter(model=model, request_id__in=list(asked))
    return [
        max(_taken(predicted, logged, *asked[request_id]) / _DAY, 0.0)
        for request_id, predicted, logged in found.values_list("request_id", "predicted_at", "received_at")
    ]


def judged_of(version: Version, *, now: datetime | None = None) -> Tally | None:
    """What the version answered in the last 30 days; None for nothing. One query for a version known already."""
    now = now or timezone.now()
    return _tallies(version.model, now - WINDOW, now, version=version).get(version.pk)


def _taken(predicted: datetime, logged: datetime, received: datetime, observed: datetime) -> timedelta:
    """Of a claim that was logged long after it was answered, when its label came says nothing: what counts is when it
    became known."""
    return (received if logged - predicted < _DAY else observed) - predicted


def _tallies(
    model: RegisteredModel, start: datetime, end: datetime, *, version: Version | None = None
) -> dict[int, Tally]:
    rows = Bucket.objects.filter(version__model=model, rows__gt=0, started_at__gte=start, started_at__lt=end)
    rows = rows if version is None else rows.filter(version=version)
    parts: dict[int, list[bytes]] = {}
    for version_id, tally in rows.order_by().values_list("version", "tally"):
        parts.setdefault(version_id, []).append(bytes(tally))
    known = bases(parts) if parts else {}
    return {pk: Tally.sum_of_bytes(parts[pk], basis.shape) for pk, basis in known.items()}


def _days(days: float) -> str:
    """
    >>> _days(0.01), _days(1.2), _days(33.4)
    ('an hour', '29 hours', '33 days')
    """
    if days < 2:
        hours = max(1, round(days * 24))
        return "an hour" if hours == 1 else f"{hours} hours"
    return f"{days:.0f} days"
