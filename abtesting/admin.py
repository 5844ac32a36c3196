"""Every experiment there was, to look at; stopped and concluded by the same services as over the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.forms import ActionForm

from abtesting import services
from abtesting.choices import Verdict
from abtesting.models import Epoch, Experiment
from abtesting.selectors import experiments, open_epoch
from mlops_site.core.admin import TeamAdmin
from mlops_site.core.api.auth import actor_of
from mlops_site.core.errors import StewardError
from mlops_site.core.permissions import Action
from mlops_site.core.templatetags.steward import moment, pretty, tag
from registry.services.guards import MAX_REASON

_TONE = {Verdict.SHIP_B: "ok", Verdict.KEEP_A: "info", Verdict.UNDECIDED: "plain", Verdict.BLOCKED: "warn"}


class ReasonForm(ActionForm):
    """An action, and why."""

    reason = forms.CharField(
        label="",
        required=False,
        max_length=MAX_REASON,
        widget=forms.TextInput(
            {
                "placeholder": "Why",
                "aria-label": "Why",
                "class": "bg-white/20 px-2 py-1 rounded-default text-current placeholder:text-white/70 min-w-0 grow",
            }
        ),
    )


@admin.register(Experiment)
class ExperimentAdmin(TeamAdmin):
    team_path = "model__team"
    action_form = ReasonForm
    list_display = ("name", "model", "kind", "versions", "state", "said", "share", "started")
    list_filter = ("status", "design")
    search_fields = ("name", "=model__name")
    ordering = ("-started_at", "-pk")
    actions = ("stop", "conclude")
    fields = (
        "name", "model", "kind", "versions", "hypothesis", "metrics", "margin", "min_samples", "planned_labels",
        "limits", "group_by", "costs", "follow_up_days", "holdout", "steps", "step_hours", "salt", "splits", "state",
        "said", "created_by", "started", "ended", "ended_by", "end_reason", "result_digest", "frozen",
    )  # fmt: skip
    readonly_fields = ("kind", "versions", "limits", "splits", "state", "said", "started", "ended", "frozen")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Experiment]:
        return experiments(actor_of(request))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of the actions: what is on a row is never edited."""
        actor = actor_of(request)
        return obj is None and bool(actor.teams(Action.EXPERIMENT_SHADOW) or actor.teams(Action.EXPERIMENT_LIVE))

    @admin.display(description="kind", ordering="design")
    def kind(self, row: Experiment) -> str:
        return row.get_design_display()

    @admin.display(description="versions")
    def versions(self, row: Experiment) -> str:
        return f"{row.version_a.number} and {row.version_b.number}"

    @admin.display(description="status", ordering="status")
    def state(self, row: Experiment) -> SafeString:
        return tag(row.get_status_display(), "info" if row.is_running else "plain")

    @admin.display(description="verdict", ordering="verdict")
    def said(self, row: Experiment) -> SafeString | str:
        return tag(row.get_verdict_display(), _TONE[Verdict(row.verdict)]) if row.verdict else "–"

    @admin.display(description="in B")
    def share(self, row: Experiment) -> str:
        epoch = open_epoch(row)
        return "–" if epoch is None else f"{epoch.share_b:.0%}"

    @admin.display(description="started", ordering="started_at")
    def started(self, row: Experiment) -> SafeString:
        return moment(row.started_at)

    @admin.display(description="ended")
    def ended(self, row: Experiment) -> SafeString:
        return moment(row.ended_at)

    @admin.display(description="guardrails")
    def limits(self, row: Experiment) -> SafeString:
        return format_html('<pre class="log">{}</pre>', pretty(row.guardrails))

    @admin.display(description="splits")
    def splits(self, row: Experiment) -> SafeString:
        return format_html('<pre class="log">{}</pre>', "\n".join(map(_line, row.epochs.all())))

    @admin.display(description="frozen result")
    def frozen(self, row: Experiment) -> SafeString | str:
        return "–" if row.result is None else format_html('<pre class="log">{}</pre>', pretty(row.result))

    @admin.action(description="Stop without a verdict", permissions=["change"])
    def stop(self, request: HttpRequest, rows: QuerySet[Experiment]) -> None:
        _each(request, rows, services.stop_experiment, "is stopped; all units go back to A")

    @admin.action(description="Conclude: judge, and freeze the result", permissions=["change"])
    def conclude(self, request: HttpRequest, rows: QuerySet[Experiment]) -> None:
        _each(request, rows, services.conclude_experiment, "is concluded")


def _each(request: HttpRequest, rows: QuerySet[Experiment], service: Callable[..., Experiment], done: str) -> None:
    """One call of the service for each row; its refusal is a message."""
    for row in rows:
        try:
            ended = service(row, actor=actor_of(request), reason=request.POST.get("reason", ""))
        except StewardError as error:
            messages.error(request, f"{row.name}: {error.detail}")
        else:
            verdict = f": {ended.get_verdict_display()}" if ended.verdict else ""
            messages.success(request, f"{row.name} {done}{verdict}.")


def _line(epoch: Epoch) -> str:
    until = f" to {epoch.ended_at:%Y-%m-%d %H:%M}" if epoch.ended_at else ""
    by = epoch.by.username if epoch.by else "the ramp"
    reason = f": {epoch.reason}" if epoch.reason else ""
    return f"{epoch.number}. {epoch.share_b:.1%} in B from {epoch.started_at:%Y-%m-%d %H:%M}{until}, by {by}{reason}"
