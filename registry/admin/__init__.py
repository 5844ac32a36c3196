"""The approval queue, and the page behind each of its rows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.safestring import SafeString

from mlops_site.core.admin import TeamAdmin
from mlops_site.core.api.auth import actor_of
from mlops_site.core.templatetags.steward import moment, tag
from registry import selectors
from registry.admin.approval import ApprovalPage
from registry.choices import RequestStatus
from registry.models import PromotionRequest


@admin.register(PromotionRequest)
class PromotionRequestAdmin(TeamAdmin):
    team_path = "model__team"
    list_display = ("question", "state", "risk", "requester", "asked_at", "waits_for")
    list_filter = ("status",)
    search_fields = ("model__name", "requester__username", "reason")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PromotionRequest]:
        return selectors.requests(actor_of(request))

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        """What waits comes first."""
        return (Case(When(status=RequestStatus.PENDING, then=Value(0)), default=Value(1)), "-created_at", "-pk")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        return ApprovalPage.as_view()(request, pk=object_id)

    @admin.display(description="question")
    def question(self, row: PromotionRequest) -> str:
        return f"Put {row.version} into production?"

    @admin.display(description="status", ordering="status")
    def state(self, row: PromotionRequest) -> SafeString:
        return tag(row.status)

    @admin.display(description="risk", ordering="model__risk_tier")
    def risk(self, row: PromotionRequest) -> SafeString:
        return tag(row.model.risk_tier)

    @admin.display(description="requested", ordering="created_at")
    def asked_at(self, row: PromotionRequest) -> SafeString:
        return moment(row.created_at)

    @admin.display(description="waits for")
    def waits_for(self, row: PromotionRequest) -> str:
        if row.status != RequestStatus.PENDING:
            return f"decided by {row.closed_by}" if row.closed_by else "–"
        return " and ".join(f"one {role}" for role in selectors.missing_roles(row.model.risk_tier, row.reviews.all()))
