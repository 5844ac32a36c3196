"""When models are looked at."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django_celery_beat.models import PeriodicTask

from mlops_site.core.beats import length_of
from mlops_site.core.choices import JobState
from monitoring.choices import Occasion
from monitoring.models import MonitoringRun, MonitoringSchedule, Unchecked
from monitoring.stats.looks import SHARE
from registry.choices import Stage
from registry.models import RegisteredModel, StageInterval

WATCHING = "monitoring of "  # and the model's name: the rows from which Beat reads the schedules of models
EVERY_MODEL = "monitoring: every model, hourly"  # the row of those without one of their own


def schedule_of(model: RegisteredModel) -> MonitoringSchedule:
    """The model's own schedule; where none is set, that of every model, by nobody."""
    found = MonitoringSchedule.objects.select_related("model__team", "set_by").filter(model=model).first()
    return found or MonitoringSchedule(model=model)


def usual_interval() -> timedelta:
    """How far apart looks at models without a schedule of their own are."""
    row = PeriodicTask.objects.select_related("interval").filter(name=EVERY_MODEL).first()
    return timedelta(hours=1) if row is None else length_of(row)


def serving(*, own: bool, model: str = "") -> QuerySet[StageInterval]:
    """Versions in production, with their models, of models that have a schedule of their own or not."""
    rows = StageInterval.objects.open().filter(stage=Stage.PRODUCTION)
    has_own = Exists(MonitoringSchedule.objects.filter(model=OuterRef("model")))
    rows = rows.filter(has_own) if own else rows.filter(~has_own)
    if model:
        rows = rows.filter(model__name=model)
    chosen = rows.select_related("version__model__team").order_by("pk")
    return chosen.defer("version__reference", "version__golden", "version__signature")


def due_checks() -> QuerySet[Unchecked]:
    """Versions in production with enough that is new to look before time: as many answers and labels as the schedule
    says, and one for each `SHARE` answers of the last report, so that a busy model is not looked at all the time. One
    look of a version at a time. `least` is what the schedule says."""
    schedule = MonitoringSchedule.objects.filter(model=OuterRef("version__model"))
    said: Subquery = Subquery(schedule.values("check_after")[:1], output_field=IntegerField())
    rows = Unchecked.objects.annotate(least=Coalesce(said, Value(settings.MONITORING_CHECK_AFTER)))
    enough = Q(least__gt=0, rows__gte=F("least")) & Q(samples__lte=F("rows") * SHARE)
    in_production = StageInterval.objects.open().filter(stage=Stage.PRODUCTION, version=OuterRef("version"))
    under_way = MonitoringRun.objects.filter(
        version=OuterRef("version"), occasion=Occasion.IN_TIME, state__in=[JobState.QUEUED, JobState.RUNNING]
    )
    off = schedule.filter(enabled=False)
    return rows.filter(enough, Exists(in_production), ~Exists(under_way), ~Exists(off)).order_by("pk")
