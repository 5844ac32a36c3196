"""Whether a dashboard would show anything new, without computing it."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, Max, Sum

from mlops_site.core.events import digest_of
from monitoring.models import Alert, Bucket, Report
from monitoring.selectors.periods import Period, floor
from registry.models import Version

AGES = timedelta(minutes=5)  # as long may a text such as "2 h ago" be behind


def stamp(version: Version, period: Period, *more: str) -> str:
    """The same as long as nothing that the page is made of has changed; three queries that read no profile. `more` is
    whatever else decides what is shown."""
    length = period.end - period.start
    buckets = Bucket.objects.filter(version=version, started_at__gte=period.start - length, started_at__lt=period.end)
    alerts = Alert.objects.filter(model=version.model_id)
    reports = Report.objects.filter(model=version.model_id)
    found = [
        *buckets.order_by().aggregate(Count("pk"), Sum("rows"), Max("updated_at")).values(),
        *alerts.order_by()
        .aggregate(
            Count("pk"), Sum("count"), Sum("escalations"), *map(Max, ("last_seen_at", "acknowledged_at", "resolved_at"))
        )
        .values(),
        reports.order_by("-created_at").values_list("created_at", flat=True).first(),
    ]
    about = [version.pk, period.name, period.start.isoformat(), floor(period.end, AGES).isoformat(), *more]
    return digest_of([*about, *map(str, found)])[:32]
