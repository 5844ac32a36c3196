"""Reports that nobody asks for: on time, and in between when enough is new."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from django.db.models import F

from mlops_site.core import events
from monitoring.choices import DAY, Occasion
from monitoring.models import MonitoringRun, MonitoringSchedule, Unchecked
from monitoring.selectors.schedules import due_checks, serving
from monitoring.services.reports import request_report, window_before
from registry.models import Version


def request_scheduled(model: str = "") -> list[MonitoringRun]:
    """A report on the last window of the model, by its own schedule; left out, of every model in production without
    one. The caller rings the bells."""
    found = serving(own=bool(model), model=model)
    return [_request(interval.version, Occasion.SCHEDULE) for interval in found]


def request_due_checks() -> list[MonitoringRun]:
    """A report on the last window of each version of which enough is new; the caller rings the bells. Of any number
    who ask at the same moment one gets it."""
    return [run for row in due_checks().values_list("pk", "rows") if (run := _claimed(*row))]


def count_unchecked(folded: Mapping[int, int]) -> None:
    """Version id -> answers and labels that were folded just now, in the folder's transaction. The rows are locked in
    one order, after all others of the folder."""
    for version_id, rows in sorted(folded.items()):
        if not Unchecked.objects.filter(pk=version_id).update(rows=F("rows") + rows):
            Unchecked.objects.bulk_create([Unchecked(pk=version_id)], ignore_conflicts=True)
            Unchecked.objects.filter(pk=version_id).update(rows=F("rows") + rows)


def _claimed(version_id: int, rows: int) -> MonitoringRun | None:
    with events.atomic():
        taken = Unchecked.objects.filter(pk=version_id, rows__gte=rows, rows__gt=0).update(rows=0)
        if not taken:
            return None
        rows_of = Version.objects.select_related("model__team").defer("reference", "golden", "signature")
        return _request(rows_of.get(pk=version_id), Occasion.IN_TIME)


def _request(version: Version, occasion: Occasion) -> MonitoringRun:
    schedule = MonitoringSchedule.objects.filter(model=version.model_id).only("window").first()
    length: timedelta = schedule.window if schedule else DAY
    span = window_before(length)
    about = {"actor": None, "model": version.model, "version": version, "explicit": False, "occasion": occasion}
    return request_report(**about, window_from=span.start, window_to=span.end)  # type: ignore[arg-type]
