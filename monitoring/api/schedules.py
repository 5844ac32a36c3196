"""The endpoints of monitoring's schedules: validate, call one service or selector, serialise."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.serializers import JobAnswer, MomentField, StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from mlops_site.core.tasks import ring
from monitoring import services
from monitoring.api.policy_answers import StrictFlag
from monitoring.models import MonitoringSchedule
from monitoring.selectors.schedules import schedule_of
from monitoring.services.schedules import schedule_said
from registry.api.views import valid
from registry.selectors import model_named, version_numbered

_LENGTH = 'like "7d", "12h" or "30m"'


class ScheduleFields(StrictSerializer):
    enabled = StrictFlag(required=False)
    every = TextField(required=False, max_length=20, help_text=f"{_LENGTH}, at least 5m")
    window = TextField(required=False, max_length=20, help_text=f"what each report is on, {_LENGTH}")
    check_after = serializers.IntegerField(
        required=False, allow_null=True, help_text="new rows that make a look in between; 0: none, null: the default"
    )


class ScheduleAnswer(ScheduleFields):
    """`set_by` is null where the schedule of every model holds."""

    set_by = serializers.CharField(allow_null=True)
    updated_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: MonitoringSchedule) -> dict[str, Any]:
        own = instance.is_own
        by = {"set_by": instance.set_by.username, "updated_at": instance.updated_at} if own else {}
        return {**schedule_said(instance), "set_by": None, "updated_at": None, **by}


class BackfillStart(StrictSerializer):
    model_name = TextField(max_length=63)
    model_version = TextField(max_length=40, required=False, help_text="the one in production if left out")
    to = MomentField()
    every = TextField(required=False, max_length=20, help_text=f"the schedule's if left out; {_LENGTH}")
    window = TextField(required=False, max_length=20, help_text=f"the schedule's if left out; {_LENGTH}")

    def get_fields(self) -> dict[str, Any]:
        """With `from`, which Python does not let a class name."""
        return {**super().get_fields(), "from": MomentField()}


class Schedule(ApiView):
    @extend_schema(responses=ScheduleAnswer)
    def get(self, request: Request, name: str) -> Response:
        """How often a model is looked at, on how long a window, and after how much that is new."""
        return Response(ScheduleAnswer(schedule_of(model_named(self.actor, name))).data)

    @extend_schema(request=ScheduleFields, responses=ScheduleAnswer)
    def put(self, request: Request, name: str) -> Response:
        """Give the model a schedule of its own; what is left out stays."""
        model, asked = model_named(self.actor, name), valid(ScheduleFields(data=request.data))
        return Response(ScheduleAnswer(services.set_monitoring_schedule(model, actor=self.actor, fields=asked)).data)

    @extend_schema(responses=ScheduleAnswer)
    def delete(self, request: Request, name: str) -> Response:
        """Give up the model's own schedule; the one of every model holds then. 409 `no_schedule`."""
        model = model_named(self.actor, name)
        return Response(ScheduleAnswer(services.drop_monitoring_schedule(model, actor=self.actor)).data)


class Backfill(ApiView):
    @extend_schema(request=BackfillStart, responses={202: JobAnswer})
    def post(self, request: Request) -> Response:
        """Queue reports on the windows of up to 366 days that are over. They raise no alerts; windows with a report are
        passed over."""
        asked = valid(BackfillStart(data=request.data))
        model = model_named(self.actor, asked["model_name"])
        number = asked.get("model_version")
        run = services.request_backfill(
            actor=self.actor,
            model=model,
            version=version_numbered(model, number) if number else None,
            window_from=asked["from"],
            window_to=asked["to"],
            every=asked.get("every"),
            length=asked.get("window"),
        )
        ring(run)
        answer = {"job_id": str(run.pk), "status_url": reverse("api:job", args=[run.pk])}
        return Response(answer, status=status.HTTP_202_ACCEPTED, headers={"Location": answer["status_url"]})
