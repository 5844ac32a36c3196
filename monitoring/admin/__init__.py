"""Predictions as they were answered, and alerts, to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from mlops_site.core.admin import TeamAdmin
from mlops_site.core.templatetags.steward import figure, moment, pretty, tag
from monitoring.admin import channels, schedules  # noqa: F401  register themselves
from monitoring.choices import Severity
from monitoring.models import Alert, Prediction


@admin.register(Prediction)
class PredictionAdmin(TeamAdmin):
    """Newest first; found by the caller's request id or unit id, exactly. One of them has a page of its own."""

    team_path = "model__team"
    list_display = ("request_id", "model", "number", "answer", "score_said", "state", "took", "at")
    list_select_related = ("model", "version__model")
    list_filter = ("status",)
    search_fields = ("=request_id", "=unit_id", "=model__name")
    ordering = ("-predicted_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prediction]:
        return super().get_queryset(request).defer("version__golden", "version__reference", "version__signature")

    @admin.display(description="version")
    def number(self, row: Prediction) -> str:
        return row.version.number

    @admin.display(description="prediction")
    def answer(self, row: Prediction) -> str:
        return figure(row.prediction) if isinstance(row.prediction, int | float) else str(row.prediction)

    @admin.display(description="score", ordering="score")
    def score_said(self, row: Prediction) -> str:
        return figure(row.score)

    @admin.display(description="status")
    def state(self, row: Prediction) -> SafeString:
        return tag(row.status)

    @admin.display(description="took", ordering="latency_ms")
    def took(self, row: Prediction) -> str:
        return "–" if row.latency_ms is None else f"{row.latency_ms:.1f} ms"

    @admin.display(description="at", ordering="predicted_at")
    def at(self, row: Prediction) -> SafeString:
        return moment(row.predicted_at)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """What was asked is shown on one page only, to those who may see it."""
        try:
            return HttpResponseRedirect(reverse("prediction", args=[object_id]))
        except NoReverseMatch:
            raise Http404(object_id[:80]) from None


@admin.register(Alert)
class AlertAdmin(TeamAdmin):
    """Every alert there was; what is done about one is done on its page."""

    team_path = "model__team"
    list_display = ("summary", "model", "level", "state", "count", "first_seen", "last_seen")
    list_select_related = ("model",)
    list_filter = ("status", "severity", "rule")
    search_fields = ("summary", "=model__name", "=subject_key")
    ordering = ("-last_seen_at",)
    fields = (
        "page",
        "model",
        "number",
        "rule",
        "subject_key",
        "level",
        "state",
        "summary",
        "count",
        "first_seen",
        "last_seen",
        "acknowledged_by",
        "resolved_by",
        "comment",
        "assignee",
        "escalates_at",
        "seen",
    )
    readonly_fields = ("page", "number", "level", "state", "first_seen", "last_seen", "seen")

    @admin.display(description="page")
    def page(self, row: Alert) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("alert", args=[row.pk]), row.pk)

    @admin.display(description="version")
    def number(self, row: Alert) -> str:
        return row.version.number

    @admin.display(description="severity", ordering="severity")
    def level(self, row: Alert) -> SafeString:
        return tag(row.severity, "bad" if row.severity in (Severity.CRITICAL, Severity.HIGH) else "plain")

    @admin.display(description="status", ordering="status")
    def state(self, row: Alert) -> SafeString:
        return tag(row.status)

    @admin.display(description="first seen", ordering="first_seen_at")
    def first_seen(self, row: Alert) -> SafeString:
        return moment(row.first_seen_at)

    @admin.display(description="last seen", ordering="last_seen_at")
    def last_seen(self, row: Alert) -> SafeString:
        return moment(row.last_seen_at)

    @admin.display(description="evidence")
    def seen(self, row: Alert) -> SafeString:
        return format_html('<pre class="log">{}</pre>', pretty(row.evidence))
