"""Channels, to look at; switched and tried out by the services that their pages call."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.safestring import SafeString

from mlops_site.core.admin import TeamAdmin, say
from mlops_site.core.api.auth import actor_of
from mlops_site.core.permissions import Action
from mlops_site.core.templatetags.steward import moment, tag
from monitoring import services
from monitoring.models import Channel


@admin.register(Channel)
class ChannelAdmin(TeamAdmin):
    """One of them has a page of its own. Its address and secret are shown nowhere."""

    list_display = ("name", "kind", "place", "state", "min_severity", "digest", "team", "made")
    list_select_related = ("team",)
    list_filter = ("kind", "enabled")
    search_fields = ("name", "place")
    ordering = ("name",)
    actions = ("switch_on", "switch_off", "try_out")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        return super().get_queryset(request).filter(deleted_at=None).defer("address", "secret")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(actor_of(request).teams(Action.CHANNEL_SET))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        return HttpResponseRedirect(reverse("channel_kinds"))

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        found = self.get_object(request, object_id)
        return HttpResponseRedirect(reverse("channel", args=[found.pk]) if found else reverse("channels"))

    @admin.display(description="state", ordering="enabled")
    def state(self, row: Channel) -> SafeString:
        return tag("on", "ok") if row.enabled else tag("off", "plain")

    @admin.display(description="set up", ordering="created_at")
    def made(self, row: Channel) -> SafeString:
        return moment(row.created_at)

    @admin.action(description="Switch on")
    def switch_on(self, request: HttpRequest, rows: QuerySet[Channel]) -> None:
        for row in rows:
            say(request, f"{row} is on", services.change_channel, row, fields={"enabled": True})

    @admin.action(description="Switch off: what waits for it is not sent")
    def switch_off(self, request: HttpRequest, rows: QuerySet[Channel]) -> None:
        for row in rows:
            say(request, f"{row} is off", services.change_channel, row, fields={"enabled": False})

    @admin.action(description="Send a test")
    def try_out(self, request: HttpRequest, rows: QuerySet[Channel]) -> None:
        for row in rows:
            say(request, f"A test of {row} is on its way", services.try_channel, row)
