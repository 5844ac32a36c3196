"""People's schedules, to change, and the system's jobs, to look at (ADR 11)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.safestring import SafeString
from django_celery_beat.models import PeriodicTask

from mlops_site.core.admin import TeamAdmin
from mlops_site.core.api.auth import actor_of
from mlops_site.core.beats import length_of
from mlops_site.core.dashboards import FormPage
from mlops_site.core.durations import spelt
from mlops_site.core.errors import NotFound, StewardError
from mlops_site.core.permissions import Action
from mlops_site.core.templatetags.steward import moment, span, tag
from monitoring.forms import ScheduleForm
from monitoring.selectors.policies import RETRAINING, schedules
from monitoring.selectors.schedules import EVERY_MODEL, WATCHING
from monitoring.services import set_schedule
from training.selectors.sources import SCHEDULED

LIST = "admin:django_celery_beat_periodictask_changelist"


class SchedulePage(FormPage):
    title = "Schedule"
    form_class = ScheduleForm

    @property
    def row(self) -> PeriodicTask:
        pk = str(self.kwargs["pk"])
        found = schedules(self.actor).filter(pk=pk).first() if pk.isascii() and pk.isdigit() and len(pk) < 10 else None
        if found is None:
            raise NotFound(f"no schedule {pk[:40]!r} here")
        return found

    def form_options(self) -> dict[str, Any]:
        row = self.row
        return {"initial": {"every": spelt(length_of(row)) if row.interval else "", "enabled": row.enabled}}

    def facts(self) -> dict[str, Any]:
        row = self.row
        mine = row.name == EVERY_MODEL or row.name.startswith((RETRAINING, SCHEDULED, WATCHING))
        return {
            "crumbs": [("Schedules", reverse(LIST))],
            "back": reverse(LIST),
            "question": row.name,
            "answer": row.description or f"It fires every {span(row.schedule.run_every)}."
            if row.interval
            else f"It fires {row.crontab.human_readable if row.crontab else row.schedule}.",
            "notes": [] if mine else ["A job of the system: how often it runs is part of the code."],
            "impossible": not mine or not self.actor.teams(Action.RETRAIN_SET),
        }

    def save(self, form: ScheduleForm) -> str:
        row = self.row
        set_schedule(row, actor=self.actor, **form.cleaned_data)
        messages.success(self.request, f"{row.name} is set.")
        return reverse(LIST)


@admin.register(PeriodicTask)
class ScheduleAdmin(TeamAdmin):
    """What Beat fires: the system's jobs to look at, people's schedules to change, by one service (ADR 11)."""

    needed = Action.VIEW
    list_display = ("name", "every", "state", "last", "count")
    list_select_related = ("interval", "crontab")
    search_fields = ("name",)
    ordering = ("name",)
    actions = ("switch_on", "switch_off")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PeriodicTask]:
        return schedules(actor_of(request)).select_related(*self.list_select_related)

    def has_change_permission(self, request: HttpRequest, obj: PeriodicTask | None = None) -> bool:
        return bool(actor_of(request).teams(Action.RETRAIN_SET))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        return SchedulePage.as_view()(request, pk=object_id)

    @admin.display(description="every")
    def every(self, row: PeriodicTask) -> str:
        if row.crontab is not None:
            return str(row.crontab.human_readable)
        return span(row.schedule.run_every) if row.interval else str(row.schedule)

    @admin.display(description="in force", ordering="enabled")
    def state(self, row: PeriodicTask) -> SafeString:
        return tag("on", "ok") if row.enabled else tag("off", "plain")

    @admin.display(description="last fired", ordering="last_run_at")
    def last(self, row: PeriodicTask) -> SafeString:
        return moment(row.last_run_at)

    @admin.display(description="times fired", ordering="total_run_count")
    def count(self, row: PeriodicTask) -> int:
        return int(row.total_run_count)

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, rows: QuerySet[PeriodicTask]) -> None:
        _switch(request, rows, on=True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, rows: QuerySet[PeriodicTask]) -> None:
        _switch(request, rows, on=False)


def _switch(request: HttpRequest, rows: QuerySet[PeriodicTask], *, on: bool) -> None:
    """One call of the service for each row; its refusal is a message."""
    for row in rows:
        try:
            set_schedule(row, actor=actor_of(request), enabled=on)
        except StewardError as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, f"{row.name} is {'on' if on else 'off'}.")
