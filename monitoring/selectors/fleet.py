"""Many models at once: how much each is asked, its latest report, what is open about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import NamedTuple

from django.db.models import Count, OuterRef, Subquery, Sum
from django.db.models.functions import TruncDay

from monitoring.choices import UNRESOLVED, Severity
from monitoring.models import Alert, Bucket, Report
from registry.models import RegisteredModel

HOURS = 24
_WORST_FIRST = tuple(Severity)


class Open(NamedTuple):
    """Unresolved alerts of a model: how many, and the worst."""

    number: int
    worst: Severity


def volume_by_day(model: RegisteredModel, start: datetime | None, end: datetime) -> list[tuple[date, str, int]]:
    """(day, version, predictions) of the buckets that begin in [start, end), latest first; one query."""
    rows = Bucket.objects.filter(version__model=model, started_at__lt=end, rows__gt=0)
    rows = rows if start is None else rows.filter(started_at__gte=start)
    numbers = ("version__major", "version__minor", "version__patch")
    days = rows.annotate(day=TruncDay("started_at")).order_by().values("day", *numbers).annotate(asked=Sum("rows"))
    newest = days.order_by("-day", *(f"-{name}" for name in numbers))
    return [(row["day"].date(), ".".join(str(row[name]) for name in numbers), row["asked"]) for row in newest]


def open_alerts(models: Iterable[RegisteredModel]) -> dict[int, Open]:
    """Model -> its unresolved alerts, of those that have any; one query."""
    rows = Alert.objects.filter(model__in=models, status__in=UNRESOLVED).order_by()
    found: dict[int, dict[str, int]] = {}
    for model_id, severity, count in rows.values_list("model", "severity").annotate(n=Count("pk")):
        found.setdefault(model_id, {})[severity] = count
    worst = {pk: next(level for level in _WORST_FIRST if level in counts) for pk, counts in found.items()}
    return {pk: Open(sum(counts.values()), worst[pk]) for pk, counts in found.items()}


def latest_reports(versions: Collection[int]) -> dict[int, Report]:
    """Version -> its latest report on logged rows; one query."""
    same = Report.objects.filter(version=OuterRef("version"), from_frames=False).order_by("-created_at")
    rows = Report.objects.filter(version__in=versions, from_frames=False, pk=Subquery(same.values("pk")[:1]))
    return {report.version_id: report for report in rows}
