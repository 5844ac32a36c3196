"""The endpoints of alarm budgets: validate, call one service or selector, serialise."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.serializers import FiniteField, JobAnswer, StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from mlops_site.core.tasks import ring
from monitoring import services
from monitoring.api.reports import accepted
from monitoring.selectors.alarms import AlarmSaid, alarm_said
from registry.api.views import valid
from registry.models import RegisteredModel
from registry.selectors import model_named, version_numbered


class DriftAlarmFields(StrictSerializer):
    false_alarms_a_month = FiniteField(
        required=False, allow_null=True, help_text="0.1 to 30; null is the standard rule"
    )
    smallest_shift_sd = FiniteField(
        required=False, help_text="the least shift that is worth an alarm, in standard deviations: 0.05 to 2"
    )


class CalibrateFields(StrictSerializer):
    model_version = TextField(max_length=40, required=False, help_text="left out, the one in production")


class DriftRuleAnswer(serializers.Serializer[Any]):
    q = serializers.FloatField(help_text="Benjamini-Hochberg q-value, at most")
    effect = serializers.FloatField(help_text="at least")
    k = serializers.IntegerField(help_text="of the last m windows, the last one among them")
    m = serializers.IntegerField()


class DriftAlarmAnswer(DriftAlarmFields):
    """The budget of a model, and the rule that holds for the version in production, else for the newest."""

    version = serializers.CharField(allow_null=True)
    state = serializers.CharField(help_text="standard, calibrated, calibrating, failed, or waiting for traffic")
    sentence = serializers.CharField(help_text="what the rule means, in words")
    rule = DriftRuleAnswer()
    result = serializers.JSONField(
        allow_null=True,
        help_text="{chosen, standard: {q, effect, k, m, false_alarms_a_month, upper_bound, delays: [{sd, hours, found}]"
        "}, reached, months, features, traffic}",
    )
    calibration = serializers.JSONField(allow_null=True, help_text="{job_id, state, progress, step, error, created_at}")
    set_by = serializers.CharField(allow_null=True)
    updated_at = serializers.DateTimeField(allow_null=True)


class DriftAlarmDetail(ApiView):
    @extend_schema(responses=DriftAlarmAnswer)
    def get(self, request: Request, name: str) -> Response:
        """How easily the model raises an alarm of drift, and what that costs in false alarms and in delay."""
        return Response(answer(alarm_said(model_named(self.actor, name))))

    @extend_schema(request=DriftAlarmFields, responses=DriftAlarmAnswer)
    def put(self, request: Request, name: str) -> Response:
        """Set the budget; what is left out stays. A job turns it into a rule, from a day of traffic on."""
        model, asked = model_named(self.actor, name), valid(DriftAlarmFields(data=request.data))
        _, run = services.set_drift_alarm(model, actor=self.actor, fields=asked)
        if run is not None:
            ring(run)
        return Response(answer(alarm_said(model)))


class Calibrate(ApiView):
    @extend_schema(request=CalibrateFields, responses={202: JobAnswer})
    def post(self, request: Request, name: str) -> Response:
        """Find the rule of the budget anew, in the traffic of now."""
        model, asked = model_named(self.actor, name), valid(CalibrateFields(data=request.data))
        run = services.request_calibration(model, actor=self.actor, version=_version(model, asked))
        return accepted(run)


def _version(model: RegisteredModel, asked: dict[str, Any]) -> Any:
    return version_numbered(model, asked["model_version"]) if asked.get("model_version") else None


def answer(found: AlarmSaid) -> dict[str, Any]:
    """The fields of the REST contract."""
    setting, run = found.alarm.setting, found.alarm.calibration
    about = ("state", "progress", "step", "error", "created_at")
    return {
        "false_alarms_a_month": found.alarm.budget,
        "smallest_shift_sd": found.smallest_shift_sd,
        "version": found.version.number if found.version else None,
        "state": found.alarm.state,
        "sentence": found.sentence,
        "rule": found.alarm.rule._asdict(),
        "result": found.alarm.result,
        "calibration": {"job_id": str(run.pk), **{name: getattr(run, name) for name in about}} if run else None,
        "set_by": setting.set_by.username if setting else None,
        "updated_at": setting.updated_at if setting else None,
    }
