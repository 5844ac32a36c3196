"""When something was last heard of the models in production."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db.models import OuterRef, Subquery

from monitoring.models import Prediction, Report
from registry.choices import Stage
from registry.models import StageInterval, Version

LAST = ("predictions", "reports")


class Heard(NamedTuple):
    """Of a model: the version that serves, since when, and the last of each kind, None if there was none."""

    version: Version
    since: datetime
    predictions: datetime | None
    reports: datetime | None

    def last(self, subject: str) -> datetime:
        """The later of the last one and the time from which on it can be expected."""
        found: datetime | None = getattr(self, subject)
        return max(self.since, found) if found else self.since


def heard_of_all(now: datetime) -> dict[int, Heard]:
    """By model id, of every model with a version in production; two queries. A prediction counts by the time it was
    made, at the latest now; a report if it is the schedule's."""
    answers = Prediction.objects.filter(version=OuterRef("version"), predicted_at__lte=now).order_by("-predicted_at")
    written = Report.objects.filter(model=OuterRef("version__model"), explicit=False, from_frames=False)
    rows = StageInterval.objects.open().filter(stage=Stage.PRODUCTION).select_related("version__model__team")
    rows = rows.defer("version__reference", "version__golden", "version__signature")
    last = rows.annotate(
        last_answer=Subquery(answers.values("predicted_at")[:1]),
        last_report=Subquery(written.order_by("-created_at").values("created_at")[:1]),
    )
    times = {pk: pair for pk, *pair in last.values_list("pk", "last_answer", "last_report")}
    return {row.version.model_id: Heard(row.version, row.started_at, *times.get(row.pk, (None, None))) for row in rows}
