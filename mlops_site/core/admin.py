"""The admin's pages of people, tokens and the audit chain. Who may see or do what is core.permissions' table:
Django's own permissions and `is_superuser` grant nothing."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import axes.admin  # noqa: F401  registers itself; imported first so that taking it out below lasts
import django.contrib.auth.admin  # noqa: F401
import django_celery_beat.admin  # noqa: F401
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Group
from django.core.exceptions import SuspiciousOperation, ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_celery_beat import models as beat
from unfold.admin import ModelAdmin

from mlops_site.core import people, teams, tokens
from mlops_site.core.api.auth import actor_of
from mlops_site.core.choices import DeliveryState
from mlops_site.core.errors import StewardError
from mlops_site.core.models import AuditRecord, Delivery, Membership, Team, Token
from mlops_site.core.permissions import Action, visible
from mlops_site.core.templatetags.steward import moment, tag

RAW_TABLES = [
    Group, AccessAttempt, AccessFailureLog, AccessLog, beat.PeriodicTask, beat.IntervalSchedule, beat.CrontabSchedule,
    beat.SolarSchedule, beat.ClockedSchedule,
]  # fmt: skip
admin.site.unregister(RAW_TABLES)


class TeamAdmin(ModelAdmin):
    """Rows of the actor's teams, to look at; what changes them is a service."""

    needed: ClassVar[Action] = Action.VIEW
    team_path: ClassVar[str] = "team"
    actions: Any = None
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return visible(actor_of(request), rows, team=self.team_path, action=self.needed)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """The filters that the page shows: Django would take any lookup of any column, regular expressions too."""
        return lookup in {f"{name}__exact" for name in self.list_filter}

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Django looks for whatever was sent as a key."""
        key = self.model._meta.pk
        try:
            for sent in request.POST.getlist(ACTION_CHECKBOX_NAME):
                key.run_validators(key.to_python(sent))
        except ValidationError as error:
            raise SuspiciousOperation("what was chosen is no key") from error
        return super().response_action(request, queryset)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_authenticated and actor_of(request).teams(self.needed))

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Membership)
class MembershipAdmin(TeamAdmin):
    """People and their roles, for admins of the team."""

    needed = Action.PEOPLE_MANAGE
    list_display = ("user", "role_name", "team", "last_seen")
    list_select_related = ("user", "team")
    list_filter = ("role",)
    search_fields = ("user__username",)
    ordering = ("user__username",)
    actions = ("remove", "deactivate")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        return people.PersonPage.as_view()(request)

    @admin.display(description="role", ordering="role")
    def role_name(self, row: Membership) -> SafeString:
        return tag(row.get_role_display(), "info")

    @admin.display(description="last log-in", ordering="user__last_login")
    def last_seen(self, row: Membership) -> SafeString:
        return moment(row.user.last_login)

    @admin.action(description="Remove from the team")
    def remove(self, request: HttpRequest, rows: QuerySet[Membership]) -> None:
        for row in rows:
            say(request, f"{row.user} is no longer in {row.team}", teams.remove_member, row.user, team=row.team)

    @admin.action(description="Deactivate: no log-in and no token any more")
    def deactivate(self, request: HttpRequest, rows: QuerySet[Membership]) -> None:
        for row in rows:
            say(request, f"{row.user} is deactivated", teams.deactivate_user, row.user)


@admin.register(Token)
class TokenAdmin(TeamAdmin):
    """One's own tokens; an admin sees those of the team."""

    list_display = ("prefix", "user", "team", "state", "expires", "used")
    list_select_related = ("user", "team")
    search_fields = ("prefix", "user__username")
    fields = ("user", "team", "prefix", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at")
    ordering = ("-created_at",)
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Token]:
        actor = actor_of(request)
        rows: QuerySet[Token] = ModelAdmin.get_queryset(self, request)
        managed: QuerySet[Token] = rows.filter(team__in=actor.teams(Action.PEOPLE_MANAGE))
        return managed | rows.filter(user=actor.user, team__in=list(actor.roles))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_authenticated and actor_of(request).roles)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        return people.TokenPage.as_view()(request)

    @admin.display(description="state")
    def state(self, row: Token) -> SafeString:
        return tag(*people.token_state(row))

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, row: Token) -> SafeString:
        return moment(row.expires_at)

    @admin.display(description="last used", ordering="last_used_at")
    def used(self, row: Token) -> SafeString:
        return moment(row.last_used_at)

    @admin.action(description="Revoke at once")
    def revoke(self, request: HttpRequest, rows: QuerySet[Token]) -> None:
        for token in rows:
            say(request, f"{token} is revoked", tokens.revoke_token, token)


@admin.register(AuditRecord)
class AuditRecordAdmin(TeamAdmin):
    """What happened in the auditor's teams, newest first."""

    needed = Action.AUDIT_VIEW
    list_display = ("seq", "when", "actor", "action", "subject", "team")
    search_fields = ("actor", "action", "subject")
    fields = ("seq", "at", "actor", "team", "action", "subject", "said", "previous", "digest")
    readonly_fields = ("said",)
    ordering = ("-seq",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditRecord]:
        rows: QuerySet[AuditRecord] = ModelAdmin.get_queryset(self, request)
        names = Team.objects.filter(pk__in=actor_of(request).teams(self.needed)).values("name")
        return rows.filter(team__in=names)

    @admin.display(description="at", ordering="seq")
    def when(self, row: AuditRecord) -> SafeString:
        return moment(row.at)

    @admin.display(description="data")
    def said(self, row: AuditRecord) -> SafeString:
        return format_html('<pre class="log">{}</pre>', json.dumps(row.data, indent=2, ensure_ascii=False))


@admin.register(Delivery)
class DeliveryAdmin(TeamAdmin):
    """What was told to other servers, and how they took it. The address is not here: it may hold a secret."""

    list_display = ("event", "channel", "progress", "attempts", "answer", "created", "next_try")
    list_filter = ("state", "channel")
    search_fields = ("=subject",)
    fields = ("event", "channel", "subject", "team", "progress", "attempts", "answer", "created", "next_try", "said")
    readonly_fields = ("progress", "answer", "created", "next_try", "said")
    ordering = ("-created_at",)

    @admin.display(description="state", ordering="state")
    def progress(self, row: Delivery) -> SafeString:
        return tag(row.get_state_display(), {"failed": "bad", "delivered": "ok"}.get(row.state, "info"))

    @admin.display(description="last answer")
    def answer(self, row: Delivery) -> str:
        return row.error or str(row.status_code or "–")

    @admin.display(description="written", ordering="created_at")
    def created(self, row: Delivery) -> SafeString:
        return moment(row.created_at)

    @admin.display(description="next try", ordering="next_at")
    def next_try(self, row: Delivery) -> SafeString:
        return moment(row.next_at if row.state == DeliveryState.PENDING else None)

    @admin.display(description="body")
    def said(self, row: Delivery) -> SafeString:
        return format_html('<pre class="log">{}</pre>', json.dumps(row.body, indent=2, ensure_ascii=False))


def say(request: HttpRequest, done: str, service: Any, subject: Any, **arguments: Any) -> None:
    """One call of a service for one row; its refusal is a message."""
    try:
        service(subject, actor=actor_of(request), **arguments)
    except StewardError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, done)
