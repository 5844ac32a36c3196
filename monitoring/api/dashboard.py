"""The dashboard as data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.serializers import MomentField, StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from mlops_site.core.errors import NotFound
from monitoring.api.report_answers import EstimatedAnswer
from monitoring.api.serializers import AlertLine, PredictionsAnswer
from monitoring.selectors.dashboard import Dashboard, dashboard, version_shown
from monitoring.selectors.drift import ranked_json
from monitoring.selectors.followup import followup_json
from monitoring.selectors.periods import period
from monitoring.selectors.predicted import predicted_json
from monitoring.selectors.spells import spells
from monitoring.stats.scores import score_distribution
from registry import selectors as registry


class WindowFilter(StrictSerializer):
    """The query: a preset, or from and to."""

    window = TextField(max_length=10, required=False, default="", help_text="24h (the default), 7d or 30d")
    version = TextField(max_length=40, required=False, default="", help_text="left out, the one in production")
    to = MomentField(required=False, default=None)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With `from`, which Python does not let a class name."""
        return {**super().get_fields(), "from": MomentField(required=False, default=None)}


class DashboardFilter(WindowFilter):
    metric = TextField(max_length=40, required=False, default="", help_text="the one of the series")


class WindowAnswer(serializers.Serializer[Any]):
    """`name` is empty for a window that was asked for by its ends."""

    name = serializers.CharField()
    to = serializers.DateTimeField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With `from`, which Python does not let a class name."""
        return {**super().get_fields(), "from": serializers.DateTimeField()}


class DashboardAnswer(serializers.Serializer[Any]):
    model = serializers.CharField()
    version = serializers.CharField()
    window = WindowAnswer()
    health = serializers.JSONField(help_text="{status, sentence}")
    metrics = serializers.JSONField(help_text="[{name, value, ci95, n, before, change, better, certain, baseline}]")
    label_coverage = serializers.FloatField(allow_null=True)
    estimated = EstimatedAnswer(help_text="as in a report")
    drift = serializers.JSONField(help_text="as in a report, with `most` and `least` drifted and the threshold's note")
    answers = serializers.JSONField(help_text="as in a report: drift of score, prediction and label")
    quality = serializers.JSONField(help_text="as in a report")
    volume = serializers.JSONField(help_text="as in a report")
    operations = serializers.JSONField(
        help_text="{predictions, per_hour, mean_ms, p50_ms, p95_ms, errors, error_rate, load}; load is the share of "
        "the window that serving processes spent scoring"
    )
    followup = serializers.JSONField(
        help_text="{calibration, label_coverage, label_lag, overrides, failures, slices}, as in a report; over time in "
        "series.followup"
    )
    misdated = serializers.IntegerField(
        help_text="predictions that said a time ahead of ours or before 2000: they count when they arrived"
    )
    scores = serializers.JSONField(
        help_text="[{score, before, window}]: shares of the scores of two classes; empty for other tasks"
    )
    predictions = PredictionsAnswer(allow_null=True, help_text="null where nothing was answered")
    open_alerts = AlertLine(many=True, help_text="worst first")
    alert_times = serializers.JSONField(
        help_text="[{subject, severity, start, end, is_open, summary}] of alerts that stood in the window, newest first"
    )
    series = serializers.JSONField(help_text="{step_secs, steps: [...], drift: [...], events: [...]}")
    expected_volume = serializers.JSONField(
        help_text="{expected, lower, upper, others, pattern}: by step of the series, of all versions of the model; "
        "others are the predictions of versions beside this one. null while less than a day is known"
    )


class DashboardDetail(ApiView):
    @extend_schema(parameters=[DashboardFilter], responses=DashboardAnswer)
    def get(self, request: Request, model: str) -> Response:
        """What the dashboard page shows: figures of a window with their change against the one before."""
        asked = DashboardFilter(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        version = version_shown(registry.model_named(self.actor, model), said["version"])
        if version is None:
            raise NotFound(f"{model} has no version yet", code="unknown_version")
        chosen = period(window=said["window"], start=said["from"], end=said["to"])
        return Response(answer(dashboard(version, chosen, metric=said["metric"])))


def answer(found: Dashboard) -> dict[str, Any]:
    """The fields of the REST contract."""
    period, now = found.period, found.now
    return {
        "model": found.model.name,
        "version": found.version.number,
        "window": {"name": period.name, "from": period.start, "to": period.end},
        "health": {"status": found.health.status, "sentence": found.health.sentence},
        "metrics": [row._asdict() for row in found.metrics],
        "label_coverage": now.tally.coverage,
        "estimated": found.estimated.to_json(),
        "drift": _drift(found),
        "answers": {"against": found.answers[1], "rows": [row._asdict() for row in found.answers[0]]},
        "quality": [row._asdict() for row in found.quality],
        "volume": found.volume._asdict(),
        "operations": found.operations._asdict(),
        "followup": followup_json(found.followed),
        "misdated": found.misdated,
        "scores": _scores(found),
        "predictions": predicted_json(found.predicted),
        "open_alerts": AlertLine(found.alerts, many=True).data,
        "alert_times": [spell._asdict() for spell in spells(found.model, found.period)],
        "series": _series(found),
        "expected_volume": None if found.band is None else found.band._asdict(),
    }


def _scores(found: Dashboard) -> list[dict[str, Any]]:
    scores = score_distribution(found.now.tally, found.past.tally)
    rows = scores.rows if scores else []
    return [{"score": piece, "before": before, "window": now} for piece, before, now in rows]


def _drift(found: Dashboard) -> dict[str, Any]:
    """As in a report; nothing is drifted where nothing could be computed."""
    ends = [{"name": row.name, "effect": row.effect} for row in found.by_effect]
    most, least = (ends[0], ends[-1]) if ends else (None, None)
    if found.drift is None:
        empty: dict[str, Any] = {"overall_score": None, "severity": "unknown", "drifted": 0, "total": 0, "features": []}
        return {**empty, "most": None, "least": None, "note": found.drift_note, "rule": None, "triage": []}
    features = [asdict(row) for row in found.ranked]
    beside = {"rule": found.rule._asdict(), "triage": [ranked_json(row) for row in found.triage]}
    ends_said = {"most": most, "least": least, "note": found.drift_note}
    return {**asdict(found.drift), "features": features, **ends_said, **beside}


def _series(found: Dashboard) -> dict[str, Any]:
    series = found.series
    performance, latency = series.performance, series.latency
    columns = {
        "at": series.volume.times,
        "predictions": series.volume.rows,
        "errors": series.volume.errors,
        "p50_ms": latency.p50_ms,
        "p95_ms": latency.p95_ms,
        "labelled": series.labelled,
        "value": performance.values,
        "ci95": [
            None if low is None else [low, high] for low, high in zip(performance.lower, performance.upper, strict=True)
        ],
        "estimated": [one and one.value for one in found.expected],
        "estimated_ci95": [one and list(one.ci95) for one in found.expected],
    }
    return {
        "step_secs": series.step_secs,
        "metric": performance.name,
        "baseline": performance.baseline,
        "steps": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
        "drift": [
            {"at": at, "overall_score": score}
            for at, score in zip(series.drift.times, series.drift.scores, strict=True)
        ],
        "events": [event._asdict() for event in series.events],
        "followup": [{**step._asdict(), "overrides": step.overrides._asdict()} for step in series.followed],
    }
